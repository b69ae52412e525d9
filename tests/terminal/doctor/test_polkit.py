"""What pkcheck answered for the agent's user, and what the doctor says of it."""

from pathlib import Path

import pytest

from agent.readers.open import ReaderConfig
from agent.readers.profile_rules import load_profile
from agent.terminal.doctor.finding import Level
from agent.terminal.doctor.polkit import ACTIONS, judge, look_at_polkit

PCSC = ReaderConfig(name="desk", profile=load_profile("acs-acr122u"), port=None, device=None)
SERIAL = ReaderConfig(name="door", profile=load_profile("rdm6300"), port="/dev/x", device=None)


@pytest.mark.parametrize(
    ("code", "words", "level"),
    [
        (0, "", Level.OK),
        (1, "Not authorized.\n", Level.FAULT),
        (2, "Authorization requires authentication but no agent is available.\n", Level.FAULT),
        (126, "Error getting authority: Unit polkit.service is masked.\n", Level.HIDDEN),
        (1, "runuser: user canteen-agent does not exist\n", Level.HIDDEN),
    ],
)
def test_an_answer_of_polkit_is_judged(code: int, words: str, level: Level) -> None:
    finding = judge(ACTIONS[0], code, words)
    assert finding.level is level
    assert level is not Level.FAULT or "--reinstall canteen-agent" in finding.mend


def test_serial_readers_do_not_need_polkit(tmp_path: Path) -> None:
    assert list(look_at_polkit([SERIAL], tmp_path)) == []


def test_a_pcscd_that_does_not_ask_polkit_is_well(tmp_path: Path) -> None:
    (finding,) = look_at_polkit([SERIAL, PCSC], tmp_path / "none")
    assert finding.level is Level.OK
