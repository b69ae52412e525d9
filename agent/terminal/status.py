"""The values that a terminal reports: to `canteen-agent status`, `systemctl status`, in `state`.

`cli.py` prints them.
"""

from typing import NamedTuple

import msgspec

from agent.domain.clock import Moment
from agent.domain.timekeeper import Timekeeper
from agent.store import reads
from agent.store.database import Database
from agent.store.standing import standing
from agent.sync.messages import StateFault, TerminalState, encode
from agent.sync.topics import Leaf, Topics
from agent.terminal.backlog import Backlog, NotBooked
from agent.terminal.control import Answer
from agent.terminal.faults import FILE, Fault, reader_faults
from agent.terminal.outages import Outages


class Machine(NamedTuple):
    """What is known of the machine: degrees Celsius, and millions of bytes free for the ledger."""

    temperature_c: int | None = None
    disk_free_mb: int | None = None


def summary(
    db: Database,
    outages: Outages,
    not_booked: NotBooked | None,
    clock_fault: str,
    others: list[str],
) -> str:
    """Return one line for `systemctl status`."""
    own = standing(db)
    work = "wiped, serves nobody; " if own.is_wiped else ""
    if clock_fault:
        work += f"clock: {clock_fault}; "
    work += "".join(f"{fault}; " for fault in others)
    if not_booked is not None:
        return f"{work}{outages.reader_summary()}; {not_booked.sentence()}"
    waiting = f"{own.pending} entries wait for the central"
    return f"{work}{outages.reader_summary()}; link {outages.link_word()}; {waiting}"


def status(
    db: Database, outages: Outages, backlog: Backlog, time: Timekeeper, moment: Moment
) -> Answer:
    """Return what the terminal is doing, by name. docs/reference/metrics.md explains the names."""
    not_booked = backlog.fault()
    own = standing(db)
    kept = reads.counts(db)
    data_age_ms = time.data_age_ms(moment, own.last_contact_at)
    return {
        "town": own.town,
        "terminal": own.terminal,
        "at": moment.at,
        "clock": moment.trust.value,
        "clock_source": moment.source.value,
        "clock_fault": time.fault or None,
        "wrong_times": kept.pop("wrong_time"),
        "day": time.day(moment),
        "readers": {name: health.sentence() for name, health in outages.readers.items()},
        "link": outages.link_word(),
        "last_contact_s": data_age_ms // 1000 if data_age_ms is not None else None,
        "epoch": own.epoch,
        "last": own.end.seq,
        "acked": own.acked.seq,
        "pending": own.pending,
        "oldest_pending_at": reads.oldest_pending_at(db),
        "not_booked": not_booked.sentence() if not_booked is not None else None,
        "generation": own.generation,
        "position": own.position,
        "resyncing": own.resyncing,
        "wiped": own.is_wiped,
        "accounts": kept.pop("account", 0),
        "cards": kept.pop("card", 0),
        "set_aside": kept.pop("set_aside"),
        "notes": kept.pop("note"),
        "incidents": kept.pop("incident"),
        "other_records": kept,
    }


def state(
    db: Database, not_booked: NotBooked | None, disk_fault: str, faults: dict[Fault, str]
) -> TerminalState:
    """Return what the file adds to the `state` message, and the faults."""
    own = standing(db)
    kept = reads.counts(db)
    return TerminalState(
        online=True,
        pending=own.pending,
        oldest_pending_at=reads.oldest_pending_at(db),
        last_contact_at=own.last_contact_at,
        last_tap_at=reads.last_tap_at(db),
        set_aside=kept["set_aside"],
        incidents=kept["incident"],
        wrong_times=kept["wrong_time"],
        wiped=own.is_wiped,
        disk_fault=disk_fault or None,
        not_booked_since=not_booked.since if not_booked is not None else None,
        not_booked_reason=not_booked.reason if not_booked is not None else None,
        faults=_state_faults(faults),
    )


def state_without_file(reason: str, outages: Outages) -> TerminalState:
    """Return the same of a terminal whose file does not work."""
    faults = {FILE: reason} | reader_faults(outages)
    return TerminalState(online=True, fault=reason, faults=_state_faults(faults))


def with_machine(
    state: TerminalState, outages: Outages, time: Timekeeper, moment: Moment
) -> TerminalState:
    """Return a `state` with what is known without the file: time, readers and link.

    A reader that has not reported yet is no fault: else each start would be a line at the central.
    """
    unreported = outages.unreported()
    return msgspec.structs.replace(
        state,
        at=moment.at,
        clock=moment.trust,
        clock_fault=time.fault or None,
        readers=outages.reader_words(),
        link_fault=outages.link_fault(),
        faults=[fault for fault in state.faults if fault.subject not in unreported],
    )


def last_will(town: str, terminal: str) -> tuple[str, bytes]:
    """Return topic and payload of the message that the broker sends when this terminal is gone."""
    return Topics(town).of(terminal, Leaf.STATE), encode(TerminalState(online=False))


def _state_faults(faults: dict[Fault, str]) -> list[StateFault]:
    return [
        StateFault(id=fault.code.value, subject=fault.subject, words=words)
        for fault, words in faults.items()
    ]
