"""The time at one terminal: which clock to believe. Pure: the clocks' readings are arguments.

A time is the monotonic clock of this boot plus an offset that has a source. The first source that
there is gives the time:

| source | it counts |
|---|---|
| time server | at once, in both directions, while it keeps the machine's clock and after it |
| central | when three answers over two minutes agree, or one agrees with a plausible own clock |
| one answer of the central | while the own clock is known to be wrong; never trusted |
| own clock | never before the newest confirmed time of an earlier boot; never trusted |

A confirmed time may be contradicted: by a jump of its own source, by the time of an earlier boot,
by the central's last answer. It still gives the time, but is not trusted until a second source
agrees, or until it has stood for a day that the central does not contradict. A source that is wrong
since the boot, with no other in reach, is believed; the staff's day contradicts it.
"""

from collections import deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from agent.domain.clock import (
    OLDEST_PLAUSIBLE_YEAR,
    ClockTrust,
    Day,
    Instant,
    Moment,
    Reading,
    TimeSource,
    age_ms,
    day_of,
    format_instant,
    is_day,
    is_instant,
    parse_instant,
    shifted_to_day,
)
from agent.errors import AgentError

STEP = timedelta(minutes=5)
"""Two right clocks differ by less; a larger difference is a wrong one."""
ANSWER_TOLERANCE = timedelta(seconds=2)
"""Beside the round trip, what a slewed clock may differ between two answers."""
ANSWERS = 3
"""So many answers of the central must agree."""
ANSWER_EVERY_MS = 60_000
"""Answers that come faster count once. So three lie two minutes apart: one wrong minute of the
central sets no clock."""
ROUND_TRIP_MAX_MS = 60_000
"""A slower answer says too little about now."""
DOUBT_ENDS_MS = 24 * 3_600_000
"""A contradicted time that stood for so long is believed: after a day no meal of an earlier boot
can be of the same service."""
ANSWERS_DIFFER = "the central's last answer has another time; check the central's clock"
LONG_AGO = datetime.fromtimestamp(0, UTC)
STAFF_DAY_MS = 12 * 3_600_000
"""The staff's day ends after this time, so that it never counts for the next day's serving."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The central's time in an answer, and this boot's clock when the hello left and it came."""

    at: Instant
    sent_ms: int
    received_ms: int


@dataclass(frozen=True, slots=True)
class _Span:
    """The time at monotonic 0 of this boot by one answer: not before `low`, not after `high`."""

    low: datetime
    high: datetime
    received_ms: int

    @property
    def middle(self) -> datetime:
        return self.low + (self.high - self.low) / 2


@dataclass(frozen=True, slots=True)
class Belief:
    """A confirmed time of a boot. `zero` is the time at its monotonic 0.

    `doubt` is what contradicts it, since `doubted_ms`; empty if nothing does. `is_witnessed`: a
    second source agreed; an answer that differs later is wrong itself.
    """

    source: TimeSource
    zero: datetime
    doubt: str = ""
    doubted_ms: int = 0
    is_witnessed: bool = False

    def at(self, mono_ms: int) -> Instant:
        """Return the time at a moment of this boot."""
        return format_instant(self.zero + timedelta(milliseconds=mono_ms))


class Timekeeper:
    """The clocks of one terminal.

    `corrections` counts how often a confirmed time became known or changed: entries of before may
    carry a wrong time.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._boot = ""
        self._newest_recorded = LONG_AGO  # the newest confirmed time of earlier boots
        self._belief: Belief | None = None
        self._is_recorded = False  # the belief is that of a process before
        self._answers: deque[_Span] = deque(maxlen=ANSWERS)
        self._last_answer: _Span | None = None
        self._staff_day: tuple[Day, int] | None = None
        self._contact_ms: int | None = None
        self._wall: datetime | None = None  # of the last reading, if no time server keeps it
        self._central_fault = ""
        self.corrections = 0

    def take_recorded(self, newest: Instant | None, boot: str, belief: Belief | None) -> None:
        """Take what the file has: the newest confirmed time of earlier boots, and this boot's."""
        self._newest_recorded = LONG_AGO if newest is None else parse_instant(newest)
        if self._belief is None and belief is not None:
            self._boot, self._belief = boot, belief
            self._is_recorded = True

    @property
    def belief(self) -> Belief | None:
        """Return the confirmed time of this boot, None if there is none."""
        return self._belief

    @property
    def fault(self) -> str:
        """Return what is wrong with the clocks, and what to do; empty if nothing is known."""
        return self._belief.doubt if self._belief and self._belief.doubt else self._central_fault

    def moment(self, reading: Reading) -> Moment:
        """Return the time of an entry made now."""
        self._wall = None if reading.synced else reading.wall
        if reading.boot != self._boot:
            self._begin_boot(reading)
        if reading.synced:
            zero = _zero(reading.wall, reading.mono_ms)
            self._believe(TimeSource.TIME_SERVER, zero, reading.mono_ms)
        belief = self._present_belief(reading.mono_ms)
        moment = self._own_moment(reading) if belief is None else _confirmed(belief, reading)
        return moment if moment.trust is ClockTrust.SYNCED else self._on_staff_day(moment)

    def take_answer(self, answer: Answer, moment: Moment) -> None:
        """Take the central's time in the answer to a hello of this boot.

        `moment` is the newest one that this object has returned.
        """
        if not 0 <= answer.received_ms - answer.sent_ms <= ROUND_TRIP_MAX_MS:
            return
        at = parse_instant(answer.at)
        span = _Span(_zero(at, answer.received_ms), _zero(at, answer.sent_ms), answer.received_ms)
        self._last_answer = span
        if not self._answers or span.received_ms - self._answers[-1].received_ms >= ANSWER_EVERY_MS:
            self._answers.append(span)
        agreed = self._agreed()
        belief = self._belief
        if belief is not None:
            self._compare(belief, span, moment.mono_ms)
        if self._wall is None:
            return
        own = _zero(self._wall, moment.mono_ms)
        if agreed is not None:
            self._believe(TimeSource.CENTRAL, agreed, moment.mono_ms)
        elif belief is None and moment.source is TimeSource.OWN_CLOCK and _agrees(span, own):
            self._believe(TimeSource.CENTRAL, span.middle, moment.mono_ms)
            if self._belief is not None:
                self._settle(self._belief)  # two sources agree

    def take_contact(self, mono_ms: int) -> None:
        """Take that the central's records arrived."""
        self._contact_ms = mono_ms

    def take_staff_day(self, day: Day, moment: Moment) -> None:
        """Take the day that the staff set. It counts unless two sources agree on the time.

        It says nothing about the hour, so it ends no doubt about a clock.
        Raise `AgentError` for a text that is no possible day.
        """
        is_possible = is_day(day) and is_instant(f"{day}T12:00:00.000Z")
        if not is_possible or int(day[:4]) < OLDEST_PLAUSIBLE_YEAR:
            raise AgentError(f"{day} is not a possible day; write one like 2026-11-23")
        self._staff_day = day, moment.mono_ms
        belief = self._belief
        if belief is None or belief.is_witnessed or belief.doubt:
            return
        clock_day = day_of(belief.at(moment.mono_ms), self._zone)
        if clock_day != day:
            source = belief.source.value
            doubt = f"the staff say {day}, the {source} says {clock_day}; check the {source}"
            self._doubt(belief, doubt, moment.mono_ms)

    def day(self, moment: Moment) -> Day | None:
        """Return the day, None if it is not known."""
        if moment.day is not None:
            return moment.day
        return None if moment.trust is ClockTrust.UNSET else day_of(moment.at, self._zone)

    def data_age_ms(self, moment: Moment, last_contact_at: Instant | None) -> int | None:
        """Return the milliseconds since the central's last answer, None if that is not known.

        Within a boot the monotonic clock says it. A contact in an earlier boot has an age only
        under a trusted time.
        """
        if self._contact_ms is not None and moment.boot == self._boot:
            return moment.mono_ms - self._contact_ms
        is_known = last_contact_at is not None and moment.trust is ClockTrust.SYNCED
        if not is_known or last_contact_at is None or last_contact_at > moment.at:
            return None
        return age_ms(last_contact_at, moment.at)

    def _begin_boot(self, reading: Reading) -> None:
        self._boot, self._belief, self._staff_day, self._contact_ms = reading.boot, None, None, None
        self._central_fault = ""
        self._answers.clear()
        self._last_answer = None

    def _believe(self, source: TimeSource, zero: datetime, now_ms: int) -> None:
        """Adopt a confirmed time. A jump, or one behind an earlier boot's time, is in doubt."""
        before = self._belief
        if before is not None and abs(before.zero - zero) <= STEP:
            same = replace(before, source=source, zero=zero)
            self._belief = same
            if source is not before.source:
                self._settle(same)
            return
        doubt = ""
        behind = self._newest_recorded - (zero + timedelta(milliseconds=now_ms))
        if before is not None:
            moved = gap_words(zero - before.zero)
            doubt = f"the {source.value} moved this clock by {moved}; check the {source.value}"
        elif behind > STEP:
            doubt = (
                f"the {source.value} is {gap_words(behind)} behind the newest entry;"
                f" check the {source.value}, or set the day"
            )
        self._belief = Belief(source, zero, doubt, now_ms)
        self.corrections += 1
        if source is TimeSource.TIME_SERVER and self._last_answer is not None:
            self._compare(self._belief, self._last_answer, now_ms)

    def _compare(self, belief: Belief, span: _Span, now_ms: int) -> None:
        """Compare the confirmed time with an answer of the central."""
        self._central_fault = ""
        is_server = belief.source is TimeSource.TIME_SERVER
        gap = span.middle - belief.zero
        if _agrees(span, belief.zero):
            if is_server:
                self._settle(belief)
            elif belief.doubt == ANSWERS_DIFFER:
                self._doubt(belief, "", now_ms)
        elif belief.is_witnessed:
            side = "ahead of" if gap > timedelta() else "behind"
            self._central_fault = (
                f"the central's clock is {gap_words(gap)} {side} this terminal's;"
                " check the central's clock"
            )
        elif not belief.doubt:
            differ = f"time server and central differ by {gap_words(gap)}; check both clocks"
            self._doubt(belief, differ if is_server else ANSWERS_DIFFER, now_ms)

    def _doubt(self, belief: Belief, doubt: str, now_ms: int) -> None:
        self._belief = replace(belief, doubt=doubt, doubted_ms=now_ms)
        self.corrections += 1

    def _settle(self, belief: Belief) -> None:
        """End a doubt, and prevent the next one: a second source agrees."""
        settled = replace(belief, doubt="", is_witnessed=True)
        self.corrections += settled != belief
        self._belief = settled

    def _present_belief(self, mono_ms: int) -> Belief | None:
        """Return the confirmed time. A doubt ends with age, but not against the central."""
        belief = self._belief
        if belief is not None and self._is_recorded:
            # The central may have contradicted it a minute ago: a doubt's day begins again.
            belief = self._belief = replace(belief, doubted_ms=mono_ms)
        self._is_recorded = False
        if belief is None or not belief.doubt or mono_ms - belief.doubted_ms < DOUBT_ENDS_MS:
            return belief
        if self._last_answer is None or _agrees(self._last_answer, belief.zero):
            self._belief = replace(belief, doubt="")
            self.corrections += 1
        return self._belief

    def _agreed(self) -> datetime | None:
        """Return the time at monotonic 0 on which the last answers agree, None if they do not."""
        answers = self._answers
        if len(answers) < ANSWERS:
            return None
        low = max(span.low for span in answers)
        high = min(span.high for span in answers)
        return low + (high - low) / 2 if low - high <= 2 * ANSWER_TOLERANCE else None

    def _own_moment(self, reading: Reading) -> Moment:
        """Return the time without a confirmed one: nothing that it gives is trusted."""
        own = Moment(
            at=format_instant(reading.wall),
            trust=ClockTrust.HELD,
            boot=reading.boot,
            mono_ms=reading.mono_ms,
        )
        elapsed = timedelta(milliseconds=reading.mono_ms)
        earliest = self._newest_recorded + elapsed
        if reading.wall >= earliest - STEP and reading.wall.year >= OLDEST_PLAUSIBLE_YEAR:
            return own
        if self._last_answer is not None:
            at, source = self._last_answer.middle + elapsed, TimeSource.CENTRAL_ONCE
            return msgspec.structs.replace(own, at=format_instant(at), source=source)
        at = max(earliest, reading.wall)
        return msgspec.structs.replace(
            own, at=format_instant(at), trust=ClockTrust.UNSET, source=TimeSource.NEWEST_ENTRY
        )

    def _on_staff_day(self, moment: Moment) -> Moment:
        """Return a moment that is not trusted, on the day that the staff set."""
        if self._staff_day is None:
            return moment
        day, mono_ms = self._staff_day
        if moment.mono_ms - mono_ms >= STAFF_DAY_MS:
            return moment
        at = shifted_to_day(moment.at, day, self._zone)
        return msgspec.structs.replace(moment, at=at, day=day)


def _confirmed(belief: Belief, reading: Reading) -> Moment:
    """Return the time by a confirmed source."""
    return Moment(
        at=belief.at(reading.mono_ms),
        trust=ClockTrust.HELD if belief.doubt else ClockTrust.SYNCED,
        boot=reading.boot,
        mono_ms=reading.mono_ms,
        source=belief.source,
        doubt=belief.doubt,
    )


def _zero(when: datetime, mono_ms: int) -> datetime:
    """Return the time at monotonic 0 of a boot that is at `mono_ms` at a time."""
    return when - timedelta(milliseconds=mono_ms)


def _agrees(span: _Span, zero: datetime) -> bool:
    return span.low - STEP <= zero <= span.high + STEP


def gap_words(gap: timedelta) -> str:
    """Return a difference as people say it: days and hours, or minutes."""
    minutes = abs(gap) // timedelta(minutes=1)
    days, hours = divmod(minutes // 60, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
