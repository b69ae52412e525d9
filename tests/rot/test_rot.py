"""A sample of the faults. `make rot` tries a thousand of each kind."""

import pytest

from tests.rot.__main__ import CLASSES, open_with, try_one
from tests.rot.agents import open_with_agent
from tests.rot.faults import FAULTS
from tests.rot.victim import Victim, make

EACH = 8


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    return make(tmp_path_factory.mktemp("victim"))


@pytest.mark.parametrize("name", FAULTS)
def test_no_fault_is_unnoticed_and_nothing_is_lost_without_need(name: str, victim: Victim) -> None:
    for seed in range(1, EACH + 1):
        assert try_one(victim, open_with, name, seed) in CLASSES[:3], f"seed {seed}"


@pytest.mark.parametrize("name", FAULTS)
def test_a_whole_agent_opens_the_damaged_files_alike(name: str, victim: Victim) -> None:
    assert try_one(victim, open_with_agent, name, EACH + 1) in CLASSES[:3]


def test_the_victim_promises_something(victim: Victim) -> None:
    assert len(victim.entries) == 80 and len(victim.balances) == 60
    assert victim.notes and victim.acked
