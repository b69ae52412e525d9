"""Instants, days, and what a terminal knows of the time. `seq` orders entries, never their time.

An *instant* is RFC 3339 UTC text with milliseconds. A *day* is `YYYY-MM-DD` in the town's zone.
Both sort as text, in the program as on the wire. `timekeeper.py` decides which clock to believe.
"""

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

_INSTANT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z(?!\n)$"
_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(?!\n)$"
Instant = Annotated[str, Meta(pattern=_INSTANT, description="RFC 3339, UTC, milliseconds")]
Day = Annotated[str, Meta(pattern=_DAY, description="day in the town's time zone")]

OLDEST_PLAUSIBLE_YEAR = 2020
"""A clock before this year is unset: a Pi without network starts in 1970."""


class ClockTrust(StrEnum):
    """How far to trust a time.

    synced: a time server or the central keeps it, and nothing contradicts it. held: plausible, or
    contradicted. unset: known to be wrong.
    """

    SYNCED = "synced"
    HELD = "held"
    UNSET = "unset"


class TimeSource(StrEnum):
    """Where a time comes from, the best source first."""

    TIME_SERVER = "time server"
    CENTRAL = "central"
    CENTRAL_ONCE = "one answer of the central"
    OWN_CLOCK = "own clock"
    NEWEST_ENTRY = "newest entry"


class Reading(Struct, frozen=True, kw_only=True):
    """The machine's clocks: wall time in UTC, milliseconds since boot, boot id, synchronised."""

    wall: datetime
    mono_ms: int
    boot: str
    synced: bool


class Moment(Struct, frozen=True, kw_only=True):
    """The time of an entry. `day` is the staff's, while no confirmed time is known.

    `doubt` is what contradicts a time that a source confirms; empty if nothing does.
    """

    at: Instant
    trust: ClockTrust
    boot: str
    mono_ms: int
    source: TimeSource = TimeSource.OWN_CLOCK
    day: Day | None = None
    doubt: str = ""

    @property
    def is_day_sure(self) -> bool:
        """Return whether the day is confirmed. A guessed day never refuses a child."""
        return self.trust is ClockTrust.SYNCED or self.day is not None


class LocalMinute(NamedTuple):
    """A minute in the town's zone: its day, its weekday (1 is Monday), seconds since midnight."""

    day: Day
    weekday: int
    seconds: int


def format_instant(when: datetime) -> Instant:
    """Return an aware datetime as an instant, cut to milliseconds."""
    return f"{when.astimezone(UTC).isoformat('T', 'milliseconds').removesuffix('+00:00')}Z"


def parse_instant(text: Instant) -> datetime:
    """Return an instant as an aware UTC datetime. Raise `ValueError` for any other text."""
    return datetime.fromisoformat(text)


def is_instant(text: str) -> bool:
    """Return whether a text in an instant's form is a real time between 1970 and 2199."""
    try:
        return 1970 <= parse_instant(text).year < 2200
    except ValueError:
        return False


def is_day(text: str) -> bool:
    """Return whether a text in a day's form is a day of the calendar."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def age_ms(earlier: Instant, now: Instant) -> int:
    """Return the milliseconds from one instant to another, never below 0."""
    return max(0, (parse_instant(now) - parse_instant(earlier)) // timedelta(milliseconds=1))


def day_of(at: Instant, zone: ZoneInfo) -> Day:
    """Return the day of an instant in the town's zone."""
    return local_minute(at, zone).day


def shifted_to_day(at: Instant, day: Day, zone: ZoneInfo) -> Instant:
    """Return an instant at the same local time of another day."""
    days = date.fromisoformat(day) - date.fromisoformat(day_of(at, zone))
    local = parse_instant(at).astimezone(zone) + days
    return format_instant(local)


def local_minute(at: Instant, zone: ZoneInfo) -> LocalMinute:
    """Return the minute of an instant in the town's zone."""
    return _local_minute(at[:16], zone)


@lru_cache(maxsize=256)  # every tap of a lunch asks: about 130 minutes
def _local_minute(minute: str, zone: ZoneInfo) -> LocalMinute:
    local = datetime.fromisoformat(f"{minute}+00:00").astimezone(zone)
    seconds = (local.hour * 60 + local.minute) * 60
    return LocalMinute(local.date().isoformat(), local.isoweekday(), seconds)
