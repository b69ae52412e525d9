"""What must always be true of silence: it is noticed, on both sides, and no loop spins in it."""

from typing import NamedTuple

IDLE_TURNS_MAX = 50


class IncidentRow(NamedTuple):
    """An incident as the central lists it. One that repeats is counted in its detail."""

    n: int
    detail: str


def a_silence_at_serving_is_noticed(
    terminal: str, before: set[IncidentRow], after: set[IncidentRow]
) -> None:
    """Both are the incidents of the terminal: before its silence, and when the limit is over."""
    assert after - before, f"{terminal} is silent while its school eats, and no incident names it"


def a_terminal_that_answers_is_not_missed(
    terminal: str, before: set[IncidentRow], after: set[IncidentRow]
) -> None:
    assert after == before, f"{terminal} answers, and is listed as silent: {after - before}"


def a_link_without_answers_is_dropped(terminal: str, *, is_linked: bool) -> None:
    assert not is_linked, f"{terminal}: the link stands, and brings no answers"


def a_loop_with_nothing_to_do_waits(turns: int) -> None:
    """`turns` at once, one after the other, in which nothing arrived and nothing was sent."""
    assert turns <= IDLE_TURNS_MAX, f"a loop took {turns} turns at once, and did nothing"
