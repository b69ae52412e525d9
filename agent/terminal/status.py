"""The values that a terminal reports: to `canteen-agent status`, `systemctl status`, in `state`.

`cli.py` prints them.
"""

from agent.domain.clock import Moment, age_ms
from agent.domain.timekeeper import Timekeeper
from agent.store import reads
from agent.store.database import Database
from agent.store.standing import standing
from agent.sync.messages import TerminalState
from agent.terminal.backlog import Backlog, NotBooked
from agent.terminal.control import Answer
from agent.terminal.outages import Outages


def summary(db: Database, outages: Outages, not_booked: NotBooked | None) -> str:
    """Return one line for `systemctl status`."""
    if not_booked is not None:
        return f"{outages.reader_summary()}; {not_booked.sentence()}"
    pending = standing(db).pending
    link = outages.link_word()
    return f"{outages.reader_summary()}; link {link}; {pending} entries wait for the central"


def status(
    db: Database, outages: Outages, backlog: Backlog, time: Timekeeper, moment: Moment
) -> Answer:
    """Return what the terminal is doing, by name. docs/reference/metrics.md explains the names."""
    not_booked = backlog.fault()
    own = standing(db)
    kept = reads.counts(db)
    contact_at = own.last_contact_at
    return {
        "town": own.town,
        "terminal": own.terminal,
        "at": moment.at,
        "clock": moment.trust.value,
        "day": time.day(moment),
        "readers": {name: health.sentence() for name, health in outages.readers.items()},
        "link": outages.link_word(),
        "last_contact_s": age_ms(contact_at, moment.at) // 1000 if contact_at else None,
        "epoch": own.epoch,
        "last": own.end.seq,
        "acked": own.acked.seq,
        "pending": own.pending,
        "oldest_pending_at": reads.oldest_pending_at(db),
        "not_booked": not_booked.sentence() if not_booked is not None else None,
        "generation": own.generation,
        "position": own.position,
        "resyncing": own.resyncing,
        "accounts": kept.pop("account", 0),
        "cards": kept.pop("card", 0),
        "set_aside": kept.pop("set_aside"),
        "notes": kept.pop("note"),
        "incidents": kept.pop("incident"),
        "other_records": kept,
    }


def state(db: Database, not_booked: NotBooked | None) -> TerminalState:
    """Return what the file adds to the `state` message."""
    own = standing(db)
    kept = reads.counts(db)
    return TerminalState(
        online=True,
        pending=own.pending,
        oldest_pending_at=reads.oldest_pending_at(db),
        last_contact_at=own.last_contact_at,
        set_aside=kept["set_aside"],
        incidents=kept["incident"],
        not_booked_since=not_booked.since if not_booked is not None else None,
        not_booked_reason=not_booked.reason if not_booked is not None else None,
    )
