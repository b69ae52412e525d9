"""Answers what people ask of a running terminal over the control socket."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from agent.domain.canteen import Id
from agent.domain.clock import Day, Moment
from agent.domain.ledger import Entry, Epoch, Seq
from agent.domain.tap import Refused, Served
from agent.domain.timekeeper import Timekeeper
from agent.errors import AgentError, RefusedEntryError, StoreError
from agent.terminal.control import Answer, Request
from agent.terminal.counter import Counter, LateMeal
from agent.terminal.lookups import Lookups

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
            return self._do(request, moment)
        except RefusedEntryError as error:
            return Answered({"error": str(error)})
        except StoreError:
            raise  # of the file, or a damaged record: the core deals with it
        except AgentError as error:
            return Answered({"error": str(error)})
        except KeyError as error:
            return Answered({"error": f"request {request.do!r}: argument {error} is missing"})
        except msgspec.ValidationError as error:
            return Answered({"error": f"request {request.do!r}: {error}"})

    def _do(self, request: Request, moment: Moment) -> Answered:
        arguments = request.arguments
        match request.do:
            case "status":
                return Answered(self.status(moment))
            case "day":
                day = msgspec.convert(arguments["day"], Day)
                self.time.take_staff_day(day, moment)
                log.warning("The staff say that today is %s.", day)
                return Answered({"day": day, "clock": moment.trust.value, "at": moment.at})
            case "storno":
                seq = msgspec.convert(arguments.get("seq"), Seq | None)
                epoch = msgspec.convert(arguments.get("epoch"), Epoch | None)
                return _recorded(*self.counter.undo(seq, moment, epoch=epoch))
            case "meal":
                return self._meal(request, moment)
            case "closing":
                trays = msgspec.convert(arguments["trays"], int)
                return _recorded(*self.counter.close(trays, moment))
            case "classes" | "class" | "search" | "credit":
                return Answered(self.lookups.answer(request, moment))
            case unknown:
                return Answered({"error": f"this agent does not know the request {unknown!r}"})

    def _meal(self, request: Request, moment: Moment) -> Answered:
        arguments = request.arguments
        account = msgspec.convert(arguments["account"], Id)
        day = msgspec.convert(arguments.get("day"), Day | None)
        service = msgspec.convert(arguments.get("service"), Id | None)
        late = LateMeal(day, service) if day is not None else None
        outcome, entry = self.counter.meal_by_name(account, late, moment)
        if isinstance(outcome, Served):
            return _recorded(entry)
        reason = outcome.reason.value if isinstance(outcome, Refused) else "already served"
        sentence = f"no meal for account {account}: {reason.replace('_', ' ')}"
        return Answered({"error": sentence}, entry)


def _recorded(entry: Entry, is_new: bool = True) -> Answered:
    answer: Answer = {
        "seq": entry.seq,
        "kind": entry.kind.value,
        "account": entry.account,
        "cents": entry.cents,
        "day": entry.day,
        "served": entry.served,
        "repeated": not is_new,
    }
    return Answered(answer, entry if is_new else None)
