"""All terminals as a town's technician sees them: what is wrong comes first. Nothing here writes.

It is what the books hold. While no central serves, every terminal grows silent here.
"""

from enum import StrEnum

from msgspec import Struct, structs

from agent.central.books import lists, terminals
from agent.central.books.database import Books
from agent.central.books.lists import TerminalRow
from agent.central.terminal_faults import state_of, terminal_faults
from agent.domain.clock import Instant, age_ms
from agent.sync.messages import TerminalState


class Condition(StrEnum):
    """How a terminal is. `new`: it was added, and never sent a hello."""

    FAULT = "fault"
    NEW = "new"
    OK = "ok"
    RETIRED = "retired"


class FleetRow(Struct, frozen=True, kw_only=True):
    """A terminal, what is wrong with it, what it sent last, and how far it is booked.

    `faults` are words by id. `contact_s` is the age of its newest hello, `oldest_pending_s` and
    `last_tap_s` count from its own times. None: not known. `last` is its newest entry, it says.
    """

    id: str
    site: str | None
    condition: Condition
    faults: dict[str, str]
    contact_s: int | None
    pending: int | None
    oldest_pending_s: int | None
    last_tap_s: int | None
    readers: dict[str, str]
    clock: str | None
    disk_free_mb: int | None
    temperature_c: int | None
    software: str | None
    epoch: str | None
    booked: int | None
    last: int | None
    hello_at: str | None
    forked: int
    waiting_order: str | None
    online: int | None
    wiped: int | None


def fleet(books: Books, now: Instant) -> list[FleetRow]:
    """Return all terminals: those with a fault first, the retired ones last."""
    with books.reading():
        states = {
            contact.terminal: state_of(contact.state) for contact in terminals.contacts(books)
        }
        listed = lists.terminals(books)
    rows = [_row(row, states[row.id], now) for row in listed]
    order = list(Condition)
    return sorted(rows, key=lambda row: (order.index(row.condition), row.id))


def _row(row: TerminalRow, state: TerminalState | None, now: Instant) -> FleetRow:
    is_in_use = row.site is not None and row.hello_at is not None
    faults = terminal_faults(state, row.hello_at, now) if is_in_use and row.hello_at else {}
    condition = Condition.FAULT if faults else Condition.OK
    if not is_in_use:
        condition = Condition.RETIRED if row.site is None else Condition.NEW
    sent = state or TerminalState(online=False)
    return FleetRow(
        **structs.asdict(row),
        condition=condition,
        faults=faults,
        contact_s=_age_s(row.hello_at, now),
        pending=sent.pending,
        oldest_pending_s=_age_s(sent.oldest_pending_at, now),
        last_tap_s=_age_s(sent.last_tap_at, now),
        readers=sent.readers,
        clock=sent.clock,
        disk_free_mb=sent.disk_free_mb,
        temperature_c=sent.temperature_c,
        software=sent.software,
    )


def _age_s(at: Instant | None, now: Instant) -> int | None:
    return None if at is None else age_ms(at, now) // 1000
