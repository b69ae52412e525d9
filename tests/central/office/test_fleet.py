"""All terminals with what is wrong, and what each sent last."""

import msgspec

from agent.central.office.fleet import Condition, FleetRow, fleet
from agent.central.office.terminals import add_terminal, retire_terminal
from agent.central.terminal_faults import SILENT_MS
from agent.sync.messages import StateFault, TerminalState
from tests.parts.foreign_terminal import NAME, ForeignTerminal
from tests.parts.wire import SITE

STATE = TerminalState(
    online=True,
    software="1.2",
    pending=3,
    oldest_pending_at="2026-11-23T11:01:00.000Z",
    last_tap_at="2026-11-23T11:04:00.000Z",
    readers={"counter": "down"},
    disk_free_mb=812,
    temperature_c=51,
    faults=[StateFault(id="reader", subject="counter", words="down: unplugged")],
)


def rows(foreign: ForeignTerminal) -> dict[str, FleetRow]:
    return {row.id: row for row in fleet(foreign.central.books, foreign.central.clock.instant)}


def send(foreign: ForeignTerminal, state: TerminalState) -> None:
    foreign.receive("state", msgspec.to_builtins(state))


def test_a_terminal_is_shown_with_what_it_sent_last(foreign: ForeignTerminal) -> None:
    send(foreign, STATE)
    row = rows(foreign)[NAME]
    assert (row.condition, row.faults) == (Condition.FAULT, {"reader counter": "down: unplugged"})
    assert (row.contact_s, row.pending, row.oldest_pending_s, row.last_tap_s) == (0, 3, 240, 60)
    assert (row.readers, row.disk_free_mb, row.temperature_c) == ({"counter": "down"}, 812, 51)
    assert (row.software, row.booked, row.last) == ("1.2", 0, 0)


def test_what_a_lost_terminal_sent_before_is_still_shown(foreign: ForeignTerminal) -> None:
    send(foreign, STATE)
    foreign.receive("state", {"online": False})
    row = rows(foreign)[NAME]
    assert list(row.faults) == ["silent", "reader counter"]
    assert (row.pending, row.software) == (3, "1.2")


def test_a_terminal_whose_hellos_stay_away_is_silent_in_the_list(foreign: ForeignTerminal) -> None:
    foreign.central.clock.pass_ms(SILENT_MS)
    assert list(rows(foreign)[NAME].faults) == ["silent"]
    foreign.hello()
    assert rows(foreign)[NAME].condition is Condition.OK


def test_faults_come_first_then_new_well_and_retired_terminals(foreign: ForeignTerminal) -> None:
    books = foreign.central.books
    for name in ("a-new", "a-retired"):
        add_terminal(books, name, SITE)
    retire_terminal(books, "a-retired")
    send(foreign, STATE)
    assert list(rows(foreign)) == [NAME, "a-new", "t-1", "a-retired"]
