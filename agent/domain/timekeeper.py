"""What time it is at one terminal: its machine's clocks, held against what it has recorded and heard, and the staff's word. Pure."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

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

HEARD_TOLERANCE = timedelta(
    minutes=1
)  # a message may have waited at the broker: only a time ahead of ours, or near it, is news
STAFFS_DAY_MS = (
    12 * 3_600_000
)  # the staff say what day it is for that day's serving: nobody is asked at midnight
STAFFS_DAY_AHEAD = timedelta(days=366)


class Timekeeper:
    """`stored` are the newest times that the disk knows of: recorded, in a boot, and heard."""

    def __init__(self, stored: Iterable[Anchor], zone: ZoneInfo) -> None:
        anchors = list(stored)
        self._recorded = [anchor for anchor in anchors if anchor.boot is not None]
        self._heard = [anchor for anchor in anchors if anchor.boot is None]
        self._zone = zone
        self._centrals: Anchor | None = None  # heard in this boot
        self._staffs: tuple[Day, int] | None = (
            None  # the day, and when it was said, in this boot's monotonic milliseconds
        )

    def add_anchor(self, anchor: Anchor) -> None:
        """Take a time that a file knows: of an entry, with its boot, or of the central, without."""
        (self._heard if anchor.boot is None else self._recorded).append(anchor)

    def moment(self, reading: Reading) -> Moment:
        """Return the time as an entry made now would carry it."""
        if reading.synced:  # for the rest of this boot: what a time server says is worth more than what the central said
            self._heard, self._centrals = [], None
        moment = read_moment(
            reading, floor=highest([*self._recorded, *self._heard], reading), heard=self._centrals
        )
        if self._staffs is None or moment.trust is not ClockTrust.UNSET:
            return moment
        day, mono_ms = self._staffs
        return replace(moment, day=day) if moment.mono_ms - mono_ms < STAFFS_DAY_MS else moment

    def recorded(self, at: Instant, moment: Moment) -> None:
        """An entry was made at a moment: no later one is below it."""
        self._recorded = [Anchor(when=parse_instant(at), boot=moment.boot, mono_ms=moment.mono_ms)]

    def heard(self, central_at: Instant, moment: Moment) -> None:
        """Take the central's time for this boot's, unless a time server keeps ours, or it may be old news from a queue."""
        if (
            moment.kept_at is not None
            or parse_instant(central_at) < parse_instant(moment.at) - HEARD_TOLERANCE
        ):
            return
        if self._centrals is None or self._centrals.boot != moment.boot or central_at > moment.at:
            self._centrals = Anchor(
                when=parse_instant(central_at), boot=moment.boot, mono_ms=moment.mono_ms
            )
            self._heard = [self._centrals]

    def confirm(self, day: Day, moment: Moment) -> None:
        """Take the staff's word for the day. Raise `AgentError` where the clock needs none, or the day cannot be."""
        today = day_of(moment.at, self._zone)
        if moment.trust is not ClockTrust.UNSET:
            raise AgentError(
                f"the clock says {today} and nothing speaks against it: there is nothing to confirm"
            )
        if not is_day(day):
            raise AgentError(f"{day} is not a day; write 2026-11-23")
        if day < today:
            raise AgentError(
                f"{day} is before {today}, which is over: something was recorded or heard then"
            )
        if date.fromisoformat(day) - date.fromisoformat(today) > STAFFS_DAY_AHEAD:
            raise AgentError(
                f"{day} is more than a year after {today}, when something was last recorded or heard: look at the year"
            )
        self._staffs = day, moment.mono_ms

    def day(self, moment: Moment) -> Day | None:
        """Return what day it is, None where nobody knows."""
        return moment.day if moment.trust is ClockTrust.UNSET else day_of(moment.at, self._zone)
