"""When a reader is reported up and down, whatever causes overlap."""

from collections.abc import Callable

from agent.readers.events import ReaderDown, ReaderEvent, ReaderUp
from agent.readers.health import FALLS_MAX, FLOOD_QUIET_MS, STEADY_MS, Health

Call = Callable[[Health], object]


def reports(*calls: Call) -> list[str]:
    """Return the names of the events that these calls cause."""
    events: list[ReaderEvent] = []
    health = Health("counter", events.append)
    for call in calls:
        call(health)
    return [type(event).__name__.removeprefix("Reader") for event in events]


def connected(at_ms: int) -> Call:
    return lambda health: health.connected("usb", at_ms)


def disconnected(at_ms: int) -> Call:
    return lambda health: health.disconnected("unplugged", at_ms)


def settle(at_ms: int) -> Call:
    return lambda health: health.settle(at_ms)


def flooding(at_ms: int) -> Call:
    return lambda health: health.flooding("floods", at_ms)


def blocked(health: Health) -> None:
    health.blocked("blocked", is_abandoned=True)


def unblocked(health: Health) -> None:
    health.unblocked()


def test_a_reader_that_is_never_there_is_reported_once() -> None:
    assert reports(*(disconnected(1_000 * n) for n in range(50))) == ["Down"]


def test_the_reason_of_a_loss_is_in_its_event() -> None:
    events: list[ReaderEvent] = []
    Health("counter", events.append).disconnected("unplugged", 0)
    assert events == [ReaderDown(reader="counter", reason="unplugged")]


def test_a_flood_ends_after_its_quiet_time_and_not_before() -> None:
    flood = (connected(0), flooding(1_000))
    assert reports(*flood, settle(999 + FLOOD_QUIET_MS)) == ["Up", "Down"]
    assert reports(*flood, settle(1_000 + FLOOD_QUIET_MS)) == ["Up", "Down", "Up"]


def test_every_card_of_a_flood_extends_it() -> None:
    health = Health("counter", lambda event: None)
    health.connected("usb", 0)
    assert not health.extend_flood(500)
    health.flooding("floods", 1_000)
    assert health.extend_flood(1_900)
    health.settle(1_000 + FLOOD_QUIET_MS)
    assert health.extend_flood(2_100)


def test_a_flooding_reader_that_is_unplugged_is_not_up_when_it_is_quiet() -> None:
    flood = (connected(0), flooding(1_000), disconnected(1_500))
    assert reports(*flood, settle(3_000)) == ["Up", "Down"]
    assert reports(*flood, settle(3_000), connected(4_000)) == ["Up", "Down", "Up"]


def test_a_blocked_reader_that_is_lost_meanwhile_is_not_up_when_the_call_returns() -> None:
    block = (connected(0), blocked, connected(5_000))
    assert reports(*block, disconnected(6_000), unblocked) == ["Up", "Down"]
    assert reports(*block, unblocked) == ["Up", "Down", "Up"]


def test_a_blocked_reader_that_was_not_abandoned_is_up_when_the_call_returns() -> None:
    def third_block(health: Health) -> None:
        health.blocked("blocked", is_abandoned=False)

    assert reports(connected(0), third_block, unblocked) == ["Up", "Down", "Up"]


def flapping(times: int) -> list[Call]:
    """Return connections of half a second, one each second."""
    return [
        call for n in range(times) for call in (connected(1_000 * n), disconnected(1_000 * n + 500))
    ]


def test_an_unsteady_reader_is_reported_a_few_times_and_then_only_when_it_stays_or_reads() -> None:
    few = ["Up", "Down"] * (FALLS_MAX + 1)
    assert reports(*flapping(20)) == few
    stays = (connected(30_000), settle(29_999 + STEADY_MS))
    assert reports(*flapping(20), *stays) == few
    assert reports(*flapping(20), *stays, settle(30_000 + STEADY_MS)) == [*few, "Up"]
    assert reports(*flapping(20), connected(30_000), Health.card_read) == [*few, "Up"]


def test_a_connection_is_steady_after_its_time_and_not_before() -> None:
    health = Health("counter", lambda event: None)
    health.connected("usb", 1_000)
    assert not health.disconnected("unplugged", 999 + STEADY_MS)
    health.connected("usb", 50_000)
    assert health.disconnected("unplugged", 50_000 + STEADY_MS)


def test_a_steady_connection_forgets_the_unsteady_ones() -> None:
    steady = (connected(30_000), settle(30_000 + STEADY_MS), disconnected(50_000))
    again = [connected(60_000), disconnected(60_500)] * FALLS_MAX
    few = ["Up", "Down"] * (FALLS_MAX + 1)
    assert reports(*flapping(3), *steady, *again, connected(70_000)) == [
        *few, "Up", "Down", *["Up", "Down"] * FALLS_MAX, "Up",
    ]  # fmt: skip


def test_a_warning_is_reported_when_it_changes_and_ends_with_the_connection() -> None:
    events: list[ReaderEvent] = []
    health = Health("counter", events.append)
    health.connected("usb", 0)
    for warning in ("disturbed", "disturbed", ""):
        health.warned(warning)
    health.warned("disturbed")
    health.disconnected("unplugged", 1_000)
    health.warned("disturbed again")
    health.connected("usb", 2_000)
    warnings = [event.warning for event in events if isinstance(event, ReaderUp)]
    assert warnings == ["", "disturbed", "", "disturbed", ""]
