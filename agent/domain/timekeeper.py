"""The time at one terminal: its clocks, what it recorded, the central's time, the staff's day.

Pure: the clocks' readings are arguments. Promises that `moment` never goes back within a boot.
"""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from agent.domain.clock import (
    Anchor,
    ClockTrust,
    Day,
    Instant,
    Moment,
    Reading,
    day_of,
    highest,
    is_day,
    parse_instant,
    read_moment,
)
from agent.errors import AgentError

CENTRAL_BEHIND = timedelta(minutes=1)
"""A message may have waited at the broker: a time this far behind ours says nothing about now."""
STAFF_DAY_MS = 12 * 3_600_000
"""The staff's day ends after this time, so that it never counts for the next day's serving."""
STAFF_DAY_AHEAD = timedelta(days=366)
"""A day further ahead is a mistyped year."""


class Timekeeper:
    """The clocks of one terminal."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._entries: list[Anchor] = []  # times of entries, each with its boot
        self._contacts: list[Anchor] = []  # times of the central, without a boot
        self._zone = zone
        # the central's time, received in this boot
        self._central: Anchor | None = None
        # the staff's day, and this boot's monotonic milliseconds when they set it
        self._staff_day: tuple[Day, int] | None = None

    def add_anchor(self, anchor: Anchor) -> None:
        """Take a time that a file knows: of an entry, with its boot, or of the central, without."""
        (self._contacts if anchor.boot is None else self._entries).append(anchor)

    def moment(self, reading: Reading) -> Moment:
        """Return the time of an entry made now."""
        if reading.synced:
            # for the rest of this boot: a time server is right where the central's clock is not
            self._contacts, self._central = [], None
        floor = highest([*self._entries, *self._contacts], reading)
        moment = read_moment(reading, floor=floor, central=self._central)
        if self._staff_day is None or moment.trust is not ClockTrust.UNSET:
            return moment
        day, mono_ms = self._staff_day
        return replace(moment, day=day) if moment.mono_ms - mono_ms < STAFF_DAY_MS else moment

    def take_entry_time(self, at: Instant, moment: Moment) -> None:
        """Take the time of a new entry as the floor of every later one."""
        self._entries = [Anchor(when=parse_instant(at), boot=moment.boot, mono_ms=moment.mono_ms)]

    def take_central_time(self, central_at: Instant, moment: Moment) -> None:
        """Take the central's time for this boot.

        Not while a time server keeps our clock, and not a time that may have waited in a queue.
        """
        when = parse_instant(central_at)
        if moment.ntp_at is not None or when < parse_instant(moment.at) - CENTRAL_BEHIND:
            return
        if self._central is None or self._central.boot != moment.boot or central_at > moment.at:
            self._central = Anchor(when=when, boot=moment.boot, mono_ms=moment.mono_ms)
            self._contacts = [self._central]

    def take_staff_day(self, day: Day, moment: Moment) -> None:
        """Take the day that the staff set while the clock is known to be wrong.

        Raise `AgentError` if the clock is right, or if today cannot be that day.
        """
        today = day_of(moment.at, self._zone)
        if moment.trust is not ClockTrust.UNSET:
            raise AgentError(
                f"The clock says {today} and is not known to be wrong; no day is needed"
            )
        if not is_day(day):
            raise AgentError(f"{day} is not a day; write one like 2026-11-23")
        if day < today:
            raise AgentError(f"Cannot set an earlier day than {today}: entries exist for it")
        if date.fromisoformat(day) - date.fromisoformat(today) > STAFF_DAY_AHEAD:
            raise AgentError(
                f"{day} is more than a year after {today}, the day of the newest entry;"
                " check the year"
            )
        self._staff_day = day, moment.mono_ms

    def day(self, moment: Moment) -> Day | None:
        """Return the day, None if it is not known."""
        return moment.day if moment.trust is ClockTrust.UNSET else day_of(moment.at, self._zone)
