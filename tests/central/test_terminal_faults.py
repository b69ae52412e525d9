"""What is wrong with a terminal, as the central sees it."""

import pytest

from agent.central.terminal_faults import (
    SILENT,
    SILENT_MS,
    duration,
    state_of,
    terminal_faults,
)
from agent.domain.clock import format_instant
from agent.sync.messages import StateFault, TerminalState
from tests.parts.wire import NOON, Clock

AT = format_instant(NOON)


def after(milliseconds: int) -> str:
    clock = Clock()
    clock.pass_ms(milliseconds)
    return clock.instant


def test_a_terminal_is_silent_when_two_hellos_are_missing() -> None:
    online = TerminalState(online=True)
    assert terminal_faults(online, AT, after(SILENT_MS - 1)) == {}
    assert list(terminal_faults(online, AT, after(SILENT_MS))) == [SILENT]


def test_a_terminal_that_the_broker_has_lost_is_silent_at_once() -> None:
    assert "offline" in terminal_faults(TerminalState(online=False), AT, AT)[SILENT]


def test_its_own_faults_keep_id_words_and_reader_in_a_single_line() -> None:
    faults = [
        StateFault(id="reader", subject="counter", words="down:\nunplugged"),
        StateFault(id="a_later_one", words="?"),
    ]
    assert terminal_faults(TerminalState(online=True, faults=faults), AT, AT) == {
        "reader counter": "down: unplugged",
        "a_later_one": "?",
    }


def test_a_state_in_a_form_that_cannot_be_read_is_none() -> None:
    assert state_of('{"online": "perhaps"}') is None
    assert state_of(None) is None
    assert state_of('{"online": true, "of_later": 1}') == TerminalState(online=True)


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [(59_999, "59 s"), (60_000, "1 min"), (3_600_000, "1 h 0 min"), (12_000_000, "3 h 20 min")],
)
def test_a_duration_is_written_as_people_do(milliseconds: int, words: str) -> None:
    assert duration(milliseconds) == words
