"""A terminal's clocks beside the true time, for the tests of `agent/domain/timekeeper.py`."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from agent.domain.clock import ClockTrust, Moment, Reading, TimeSource, format_instant
from agent.domain.timekeeper import Answer, Timekeeper

ROME = ZoneInfo("Europe/Rome")
NOON = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
IN_1970 = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
YEARS = timedelta(days=3653)
HOUR_MS = 3_600_000
MS = timedelta(milliseconds=1)


class Town:
    """A terminal's clocks beside the true time, which is noon at monotonic 0.

    The process starts some seconds after the machine.
    """

    def __init__(self) -> None:
        self.time = Timekeeper(ROME)
        self.boot = "b"
        self.mono_ms = 7_000
        self.error: timedelta | None = None  # of the time server; None: there is none
        self.wall = IN_1970  # the own clock at monotonic 0

    def moment(self) -> Moment:
        passed = timedelta(milliseconds=self.mono_ms)
        wall = self.wall if self.error is None else NOON + self.error
        is_synced = self.error is not None
        return self.time.moment(
            Reading(wall=wall + passed, mono_ms=self.mono_ms, boot=self.boot, synced=is_synced)
        )

    def answer(
        self, error: timedelta = timedelta(), *, after_ms: int = 60_000, trip_ms: int = 0
    ) -> Moment:
        """Let the central answer after some time, with an error of its clock.

        It reads its clock in the middle of the round trip.
        """
        self.mono_ms += after_ms
        moment = self.moment()
        at = format_instant(NOON + error + timedelta(milliseconds=self.mono_ms - trip_ms // 2))
        self.time.take_answer(Answer(at, self.mono_ms - trip_ms, self.mono_ms), moment)
        return self.moment()

    def is_right(self) -> bool:
        expected = format_instant(NOON + timedelta(milliseconds=self.mono_ms))
        return self.moment().at == expected


def seen(moment: Moment) -> tuple[ClockTrust, TimeSource]:
    return moment.trust, moment.source
