"""The newest confirmed time of a boot."""

from agent.central.books import boots
from agent.central.books.boots import Boot, BootTime
from agent.central.books.file import FileBooks

NOON = BootTime("2026-11-23T11:00:00.000Z", 60_000)


def test_a_boots_time_is_kept_and_replaced(books: FileBooks) -> None:
    boot = Boot("t-1", "b")
    assert boots.find(books, boot) is None
    for time in (NOON, BootTime("2026-11-24T11:00:00.000Z", 90_000)):
        boots.keep(books, boot, time)
        assert boots.find(books, boot) == time
    assert boots.find(books, Boot("t-2", "b")) is None
    assert boots.find(books, Boot("t-1", "c")) is None


def test_a_boots_time_says_when_another_moment_was() -> None:
    assert NOON.at_ms(0) == "2026-11-23T10:59:00.000Z"
    assert NOON.at_ms(61_500) == "2026-11-23T11:00:01.500Z"
