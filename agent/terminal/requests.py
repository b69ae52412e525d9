"""Answers what people ask of a running terminal over the control socket."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from agent.domain.clock import Day, Moment
from agent.domain.ledger import Entry
from agent.domain.tap import Refused, Served
from agent.domain.timekeeper import Timekeeper
from agent.errors import AgentError, RefusedEntryError, StoreError
from agent.ops.control_messages import (
    Ask,
    Classes,
    Closing,
    LookAtCredit,
    Meal,
    OfClass,
    Search,
    SetDay,
    Status,
    Storno,
    Watch,
)
from agent.store import writes
from agent.store.rows import Incident
from agent.terminal.control import Answer, Request
from agent.terminal.counter import Counter, LateMeal, Recorded
from agent.terminal.lookups import Lookups
from agent.terminal.staff_lock import LockedError

log = logging.getLogger("agent.terminal")


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a request, and the entry that it made."""

    answer: Answer
    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class Requests:
    """`status` returns what the terminal is doing."""

    counter: Counter
    lookups: Lookups
    time: Timekeeper
    status: Callable[[Moment], Answer]

    def answer(self, request: Request, moment: Moment) -> Answered:
        """Do what a request asks. A refusal is an answer with a sentence under `error`.

        Raise `StoreError` when the file does not take it, `RecordError` for a damaged record: then
        nothing was done.
        """
        try:
            return self._do(request.ask, request.user, moment)
        except RefusedEntryError as error:
            return Answered({"error": str(error)})
        except StoreError:
            raise  # of the file, or a damaged record: the core deals with it
        except LockedError as error:
            return Answered({"error": str(error), "locked": True})
        except AgentError as error:
            return Answered({"error": str(error)})

    def _do(self, ask: Ask, user: str | None, moment: Moment) -> Answered:
        match ask:
            case Status():
                return Answered(self.status(moment))
            case SetDay(day=day):
                return self._set_day(day, user, moment)
            case Storno(seq=seq, epoch=epoch):
                return _recorded(self.counter.undo(seq, moment, epoch=epoch, user=user))
            case Meal():
                return self._meal(ask, user, moment)
            case Closing(trays=trays):
                return _recorded(self.counter.close(trays, moment, user=user))
            case Classes():
                return Answered(self.lookups.classes())
            case OfClass(group=group, day=day):
                return Answered(self.lookups.members(group, day, moment))
            case Search(text=text):
                return Answered(self.lookups.search(text, moment))
            case LookAtCredit(account=account):
                return Answered(self.lookups.credit(account, moment))
            case Watch():
                raise AgentError("only the process itself answers watch")
            case _:
                assert_never(ask)

    def _set_day(self, day: Day, user: str | None, moment: Moment) -> Answered:
        """Take the staff's day. It makes no entry, so an incident says who set it."""
        self.time.take_staff_day(day, moment)
        words = f"the day was set to {day} by user {user or 'unknown'}"
        log.warning("Clock: %s.", words, extra={"fields": {"user": user}} if user else None)
        writes.add_incident(self.counter.db, Incident(at=moment.at, kind="day_set", detail=words))
        return Answered({"day": day, "clock": moment.trust.value, "at": moment.at})

    def _meal(self, ask: Meal, user: str | None, moment: Moment) -> Answered:
        late = LateMeal(ask.day, ask.service) if ask.day is not None else None
        outcome, recorded = self.counter.meal_by_name(ask.account, late, moment, user=user)
        if isinstance(outcome, Served) or not recorded.is_new:
            return _recorded(recorded)
        reason = outcome.reason.value if isinstance(outcome, Refused) else "already served"
        sentence = f"no meal for account {ask.account}: {reason.replace('_', ' ')}"
        return Answered({"error": sentence}, recorded.entry)


def _recorded(recorded: Recorded) -> Answered:
    entry = recorded.entry
    answer: Answer = {
        "seq": entry.seq,
        "kind": entry.kind.value,
        "account": entry.account,
        "cents": entry.cents,
        "day": entry.day,
        "served": entry.served,
        "by": entry.by,
        "repeated": not recorded.is_new,
    }
    return Answered(answer, entry if recorded.is_new else None)
