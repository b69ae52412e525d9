"""How far a time can be trusted. A Pi has no clock battery: order is `seq`, never time.

An *instant* is RFC 3339 UTC text with milliseconds and a *day* is `YYYY-MM-DD` in the town's zone, in the program as on
the wire: both sort as text. Promises that the time given to an entry never steps below the newest time this terminal
has recorded or heard from the central.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec

_INSTANT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z(?!\n)$"
Instant = Annotated[str, msgspec.Meta(pattern=_INSTANT, description="RFC 3339, UTC, milliseconds")]
Day = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(?!\n)$", description="day in the town's time zone"
    ),
]

NEARLY_RIGHT_MS = 3_600_000
STEP_TOLERANCE_MS = 1_000  # a clock that was just slewed may stand a little behind the newest entry: that is no fault


class ClockTrust(StrEnum):
    """synced: this boot has agreed with a time server or the central. held: plausible, unconfirmed. unset: known wrong."""

    SYNCED = "synced"
    HELD = "held"
    UNSET = "unset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the machine's clocks say: wall time (aware UTC), monotonic milliseconds since boot, boot id, synchronised or not."""

    wall: datetime
    mono_ms: int
    boot: str
    synced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A time as an entry carries it. `day` is what the staff said it is, while the clock is known to be wrong; `ntp_at` is what the
    machine's clock says while a time server keeps it."""

    at: Instant
    trust: ClockTrust
    boot: str
    mono_ms: int
    day: Day | None = None
    ntp_at: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A time that was true when the monotonic clock of `boot` stood at `mono_ms`; `boot` None: at a moment not known."""

    when: datetime
    boot: str | None
    mono_ms: int

    def carried_to(self, reading: Reading | Moment) -> datetime:
        """Return the least this time can be by now: what passed of its boot since, or all of a later one."""
        if self.boot is None:
            return self.when
        elapsed_ms = reading.mono_ms - (self.mono_ms if self.boot == reading.boot else 0)
        return self.when + timedelta(milliseconds=max(0, elapsed_ms))


def highest(anchors: Iterable[Anchor], reading: Reading | Moment) -> Anchor | None:
    """Return the anchor that says the latest time now."""
    return max(anchors, key=lambda anchor: anchor.carried_to(reading), default=None)


def read_moment(reading: Reading, *, floor: Anchor | None, central: Anchor | None) -> Moment:
    """Return the time to work with.

    `floor` is the newest time recorded or heard; `heard` the central's own time, which counts only within its boot. Against a clock that
    a time server keeps the floor counts on at half the pace: where an entry was made ahead of time, that time comes, and none stands still.
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
        if base < lowest - timedelta(milliseconds=STEP_TOLERANCE_MS):
            # a clock that is said to be right and differs by minutes is believed to be nearly right; by more, the day is a guess
            nearly = trust is ClockTrust.SYNCED and lowest - base < timedelta(
                milliseconds=NEARLY_RIGHT_MS
            )
            trust = ClockTrust.HELD if nearly else ClockTrust.UNSET
        base = max(base, lowest)
    elif (
        base.year < 2020
    ):  # first start ever of a box whose clock says 1970: nothing to hold it against
        trust = ClockTrust.UNSET
    ntp_at = format_instant(reading.wall) if reading.synced else None
    return Moment(
        at=format_instant(base),
        trust=trust,
        boot=reading.boot,
        mono_ms=reading.mono_ms,
        ntp_at=ntp_at,
    )


def latest_contact(before: Instant | None, central_at: Instant, moment: Moment) -> Instant:
    """Return the newest time heard of the central, after `before`. A clock that a time server keeps knows better than one that is ahead
    of it, or one wrong clock at the office would make all of a town's wrong."""
    newest = central_at if before is None else max(before, central_at)
    return newest if moment.ntp_at is None else min(newest, moment.ntp_at)


def format_instant(when: datetime) -> Instant:
    """Return an aware datetime as an instant, cut to milliseconds."""
    return f"{when.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def parse_instant(text: Instant) -> datetime:
    """Return an instant as an aware UTC datetime. Raise `ValueError` for a text that is none."""
    return datetime.fromisoformat(text)


def is_instant(text: str) -> bool:
    """Return whether a text of an instant's form is a time a canteen may meet: a real day, from 1970 to 2199."""
    try:
        return 1970 <= parse_instant(text).year < 2200
    except ValueError:
        return False


def is_day(text: str) -> bool:
    """Return whether a text of a day's form is a day of the calendar."""
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
    return parse_instant(at).astimezone(zone).date().isoformat()
