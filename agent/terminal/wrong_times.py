"""Finds entries that were made under a wrong time, keeps which they are, and reports them.

An entry is wrong if its time does not fit the confirmed time of its boot: the monotonic clock says
when it was made. An entry of an earlier boot is wrong if its time has not come yet.
The entry itself never changes; the central dates it again.
"""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from agent.domain.clock import Moment, format_instant, parse_instant
from agent.domain.timekeeper import STEP, Belief, Timekeeper, gap_words
from agent.store import reads, writes
from agent.store.database import Database
from agent.store.rows import EntryTime, Incident, WrongTime

NAMED_SPANS_MAX = 8  # an incident is one line

log = logging.getLogger("agent.terminal")


class _Wrong(NamedTuple):
    """An entry with a wrong time, and how far it is ahead of the right one."""

    entry: EntryTime
    ahead: timedelta


class WrongTimes:
    """The entries of one database whose time is wrong."""

    def __init__(self, db: Database, time: Timekeeper, boot: str) -> None:
        self._db = db
        self._time = time
        self._corrections: int | None = None
        self._zero: datetime | None = None  # of the belief by which was judged
        self._load(boot)

    @property
    def is_due(self) -> bool:
        """Return whether a confirmed time became known or changed since the last step."""
        is_known = self._time.belief is not None
        return is_known and self._corrections != self._time.corrections

    def step(self, moment: Moment) -> None:
        """Look for wrong entries after a confirmed time became known or changed."""
        belief = self._time.belief
        assert belief is not None
        writes.keep_belief(self._db, moment.boot, belief)
        known = reads.wrong_times(self._db)
        has_jumped = self._zero is not None and abs(self._zero - belief.zero) > STEP
        judged = [
            span for span in known if span.judged_in == moment.boot and span.boot != moment.boot
        ]
        if has_jumped:
            judged = []  # it was judged by another time; else it stays wrong when its day comes
        self._zero = belief.zero
        wrong = [
            w
            for w in self._of_earlier_boots(belief, moment)
            if not any(span.covers(w.entry.place) for span in judged)
        ]
        if not belief.doubt:  # of two times of this boot, nobody knows yet which one was wrong
            wrong += self._of_this_boot(belief, moment)
        spans = sorted([*_spans(wrong, moment.boot), *judged], key=lambda span: span.first)
        if spans != [span for span in known if span.judged_in == moment.boot]:
            is_sure = not (has_jumped and belief.doubt)  # else the jump may be what is wrong
            incident = _incident(wrong, known, moment) if is_sure else None
            writes.keep_wrong_times(self._db, moment.boot, spans, incident)
            _log(incident)
        self._corrections = self._time.corrections
        self._load(moment.boot)

    def _of_this_boot(self, belief: Belief, moment: Moment) -> Iterator[_Wrong]:
        for entry in reads.entry_times(self._db, moment.boot):
            ahead = parse_instant(entry.at) - parse_instant(belief.at(entry.mono_ms))
            if abs(ahead) > STEP:
                yield _Wrong(entry, ahead)

    def _of_earlier_boots(self, belief: Belief, moment: Moment) -> Iterator[_Wrong]:
        """Yield what has not come yet: its day must not refuse a child when it comes."""
        now = parse_instant(belief.at(moment.mono_ms))
        for entry in reads.times_after(self._db, format_instant(now + STEP), moment.boot):
            yield _Wrong(entry, parse_instant(entry.at) - now)

    def _load(self, boot: str) -> None:
        """Give the clocks the confirmed times that the file has."""
        newest_at = reads.newest_confirmed_at(self._db, boot)
        self._time.take_recorded(newest_at, boot, reads.belief(self._db, boot))


def _spans(wrong: list[_Wrong], judged_in: str) -> list[WrongTime]:
    """Return entries as spans of consecutive places in one boot."""
    spans: list[WrongTime] = []
    for entry in sorted((w.entry for w in wrong), key=lambda entry: entry.place):
        before = spans[-1] if spans else None
        place, boot = entry.place, entry.boot
        follows = before is not None and place == (before.last.epoch_number, before.last.seq + 1)
        if before is not None and follows and before.boot == boot:
            spans[-1] = WrongTime(before.first, place, boot, judged_in)
        else:
            spans.append(WrongTime(place, place, boot, judged_in))
    return spans


def _incident(wrong: list[_Wrong], known: list[WrongTime], moment: Moment) -> Incident | None:
    """Return the incident that names the entries which are newly found, None if there are none."""
    new = [w for w in wrong if not any(span.covers(w.entry.place) for span in known)]
    if not new:
        return None
    names = ", ".join(
        str(span.first.seq) if span.first == span.last else f"{span.first.seq} to {span.last.seq}"
        for span in _spans(new, moment.boot)[:NAMED_SPANS_MAX]
    )
    ahead = max((w.ahead for w in new), key=abs)
    side = "ahead" if ahead > timedelta() else "behind"
    detail = (
        f"the clock was {gap_words(ahead)} {side} when {len(new)} entries were made: {names};"
        " the central corrects them"
    )
    return Incident(at=moment.at, kind="wrong_time", detail=detail)


def _log(incident: Incident | None) -> None:
    if incident is not None:
        fields = {"fields": {"incident": incident.kind}}
        log.error("Incident %s: %s", incident.kind, incident.detail, extra=fields)
