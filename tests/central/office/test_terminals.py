"""Terminals at the office: added, moved, retired, ordered."""

import pytest

from agent.central.books import terminals
from agent.central.office.terminals import add_terminal, new_generation, order, retire_terminal
from agent.errors import CentralError
from agent.store.standing import standing
from agent.sync.topics import IDENTITY_CHARACTERS_MAX, Topics
from tests.conftest import CARD
from tests.parts.wire import SITE, TOWN, Wire


def test_a_terminal_added_again_at_its_site_gets_no_order(wire: Wire) -> None:
    add_terminal(wire.central.books, "t-1", SITE)
    assert terminals.waiting_orders(wire.central.books) == []


def test_a_terminal_is_added_only_if_a_certificate_can_name_it(wire: Wire) -> None:
    books = wire.central.books
    longest = "x" * (IDENTITY_CHARACTERS_MAX - len(Topics(TOWN).identity("")))
    add_terminal(books, longest, SITE)
    with pytest.raises(CentralError, match=r"is not added: .* has 65 characters"):
        add_terminal(books, longest + "x", SITE)
    assert terminals.find(books, longest + "x") is None


def test_a_moved_terminal_compares_all_records_and_holds_those_of_its_new_site(
    wire: Wire,
) -> None:
    wire.central.add_account("a-3", site="media")
    add_terminal(wire.central.books, "t-1", "media")
    known = terminals.find(wire.central.books, "t-1")
    assert known is not None and known.order_do == "resync"
    wire.settle()
    wire.pass_time(300_000)
    assert (wire.box.balance("a-1"), wire.box.balance("a-3")) == (None, 0)


def test_a_retired_terminal_deletes_its_records_after_its_entries_are_booked(wire: Wire) -> None:
    wire.disconnect()
    wire.box.tap(CARD)
    retire_terminal(wire.central.books, "t-1")
    wire.connect()
    wire.pass_time(300_000)
    assert wire.central.balance("a-1") == -366
    assert wire.box.db.rows("SELECT id FROM record WHERE kind IN ('account', 'card')") == []


def test_an_ordered_epoch_begins(wire: Wire) -> None:
    before = standing(wire.box.db).epoch
    order(wire.central.books, "t-1", "new_epoch")
    wire.settle()
    assert standing(wire.box.db).epoch != before


@pytest.mark.parametrize("do", ["resync", "wipe"])
def test_an_unknown_terminal_is_refused_and_nothing_changes(wire: Wire, do: str) -> None:
    with pytest.raises(CentralError, match="terminal 'stranger' does not exist"):
        order(wire.central.books, "stranger", do)
    with pytest.raises(CentralError, match="canteen-central terminals add"):
        retire_terminal(wire.central.books, "stranger")
    assert terminals.waiting_orders(wire.central.books) == []


def test_a_declared_restore_reaches_the_terminals(wire: Wire) -> None:
    new_generation(wire.central.books, "f" * 32, at=wire.clock.instant, reason="restored")
    wire.announce()
    wire.settle()
    assert standing(wire.box.db).generation == "f" * 32
