"""How far a time can be trusted. A Pi has no clock battery, so `seq` orders entries, not time.

An *instant* is RFC 3339 UTC text with milliseconds. A *day* is `YYYY-MM-DD` in the town's zone.
Both sort as text, in the program as on the wire. Promises that the time of an entry is never before
the newest time that this terminal recorded or received from the central.
"""

from collections.abc import Iterable
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

NEARLY_RIGHT = timedelta(hours=1)
"""A synchronised clock that is this far behind the newest entry still gives the right day."""
STEP_TOLERANCE = timedelta(seconds=1)
"""A clock that was just slewed may be this far behind the newest entry; that is no fault."""
OLDEST_PLAUSIBLE_YEAR = 2020
"""Before its first entry a terminal has nothing else to compare with a clock of 1970."""


class ClockTrust(StrEnum):
    """How far to trust a time.

    synced: a time server or the central confirmed it in this boot. held: plausible, not confirmed.
    unset: known to be wrong.
    """

    SYNCED = "synced"
    HELD = "held"
    UNSET = "unset"


class Reading(Struct, frozen=True, kw_only=True):
    """The machine's clocks: wall time in UTC, milliseconds since boot, boot id, synchronised."""

    wall: datetime
    mono_ms: int
    boot: str
    synced: bool


class Moment(Struct, frozen=True, kw_only=True):
    """The time of an entry.

    `day` is set by the staff while the clock is known to be wrong. `ntp_at` is the machine's wall
    time while a time server keeps it, else None.
    """

    at: Instant
    trust: ClockTrust
    boot: str
    mono_ms: int
    day: Day | None = None
    ntp_at: Instant | None = None


class Anchor(Struct, frozen=True, kw_only=True):
    """A right time, and the monotonic clock of `boot` at that time. `boot` None: not known when."""

    when: datetime
    boot: str | None
    mono_ms: int

    def carried_to(self, reading: Reading | Moment) -> datetime:
        """Return the earliest time it can be now: `when` plus the time that passed since.

        In a later boot, all of that boot counts. An anchor without a boot is not carried on.
        """
        if self.boot is None:
            return self.when
        elapsed_ms = reading.mono_ms - (self.mono_ms if self.boot == reading.boot else 0)
        return self.when + timedelta(milliseconds=max(0, elapsed_ms))


class LocalMinute(NamedTuple):
    """A minute in the town's zone: its day, its weekday (1 is Monday), seconds since midnight."""

    day: Day
    weekday: int
    seconds: int


def highest(anchors: Iterable[Anchor], reading: Reading | Moment) -> Anchor | None:
    """Return the anchor that gives the latest time now."""
    return max(anchors, key=lambda anchor: anchor.carried_to(reading), default=None)


def read_moment(reading: Reading, *, floor: Anchor | None, central: Anchor | None) -> Moment:
    """Return the time to work with, never before `floor`.

    `floor` is the newest time recorded or received. `central` is the central's own time, which
    counts only in its boot. Beside a synchronised clock the floor advances at half speed: later
    entries still get later times, and the right time overtakes an entry that was ahead of it.
    """
    if reading.synced:
        base, trust = reading.wall, ClockTrust.SYNCED
    elif central is not None and central.boot == reading.boot:
        base, trust = central.carried_to(reading), ClockTrust.SYNCED
    else:
        base, trust = reading.wall, ClockTrust.HELD
    if floor is not None:
        lowest = floor.carried_to(reading)
        if reading.synced:
            lowest -= (lowest - floor.when) / 2
        if base < lowest - STEP_TOLERANCE:
            trust = _trust_behind(lowest - base, trust)
        base = max(base, lowest)
    elif base.year < OLDEST_PLAUSIBLE_YEAR:
        trust = ClockTrust.UNSET
    at = format_instant(base)
    ntp_at = None
    if reading.synced:
        ntp_at = at if base == reading.wall else format_instant(reading.wall)
    return Moment(at=at, trust=trust, boot=reading.boot, mono_ms=reading.mono_ms, ntp_at=ntp_at)


def _trust_behind(gap: timedelta, trust: ClockTrust) -> ClockTrust:
    """Return the trust in a clock behind the newest entry: minutes keep the day, more may not."""
    nearly_right = trust is ClockTrust.SYNCED and gap < NEARLY_RIGHT
    return ClockTrust.HELD if nearly_right else ClockTrust.UNSET


def latest_contact(before: Instant | None, central_at: Instant, moment: Moment) -> Instant:
    """Return the newest time received from the central, at most our NTP time.

    Without that limit, one wrong clock at the office would make every terminal's clock wrong.
    """
    newest = central_at if before is None else max(before, central_at)
    return newest if moment.ntp_at is None else min(newest, moment.ntp_at)


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


def local_minute(at: Instant, zone: ZoneInfo) -> LocalMinute:
    """Return the minute of an instant in the town's zone."""
    return _local_minute(at[:16], zone)


@lru_cache(maxsize=256)  # every tap of a lunch asks: about 130 minutes
def _local_minute(minute: str, zone: ZoneInfo) -> LocalMinute:
    local = datetime.fromisoformat(f"{minute}+00:00").astimezone(zone)
    seconds = (local.hour * 60 + local.minute) * 60 + local.second
    return LocalMinute(local.date().isoformat(), local.isoweekday(), seconds)
