"""Two machines with one identity, seen from their hellos."""

import json

import msgspec
import pytest

from agent.central.identities import RETURNS_MAX, Identities
from agent.domain.clock import ClockTrust
from agent.sync.messages import Hello
from tests.parts.foreign_terminal import NAME, ForeignTerminal

HELLO = Hello(
    epoch="1-00000000000000aa",
    oldest=1,
    last=0,
    acked=0,
    head="00" * 32,
    acked_head="00" * 32,
    software="test",
    schema=1,
    clock=ClockTrust.SYNCED,
    at="2026-11-23T11:00:00.000Z",
)


def hello(boot: str | None, mono_ms: int) -> Hello:
    return msgspec.structs.replace(HELLO, boot=boot, mono_ms=mono_ms)


@pytest.mark.parametrize(
    ("boots", "is_shared"),
    [
        ("aaaa", False),
        ("abcd", False),  # it starts again and again
        ("aab", False),
        ("aba", False),  # one message of the boot before may come late
        ("abab", True),
        ("aabbabb", True),
        ("abcab", False),
    ],
)
def test_boots_that_take_turns_are_two_machines(boots: str, is_shared: bool) -> None:
    identities = Identities()
    seen = [identities.is_shared("t-1", hello(boot, n)) for n, boot in enumerate(boots)]
    assert any(seen) == is_shared


def test_a_message_that_comes_again_is_no_second_machine() -> None:
    identities = Identities()
    for _ in range(RETURNS_MAX + 2):
        assert not identities.is_shared("t-1", hello("a", 5))
        assert not identities.is_shared("t-1", hello("b", 9))


def test_a_terminal_that_names_no_boot_is_not_judged() -> None:
    identities = Identities()
    assert not any(identities.is_shared("t-1", hello(None, n)) for n in range(9))


def test_two_machines_are_one_incident_with_a_count(foreign: ForeignTerminal) -> None:
    for n in range(20):
        foreign.hello(boot=f"boot-{n % 2}", mono_ms=n, at=f"2026-11-23T11:00:{n + 10}.000Z")
    rows = foreign.central.books.rows(
        "SELECT terminal, detail FROM incident WHERE kind = 'identity_in_use'"
    )
    ((terminal, detail),) = rows
    assert terminal == NAME
    assert "look for a second one" in detail and "times, last" in json.dumps(detail)
