"""Payments that are late, doubled, reordered, partly ours, changed or revoked, as files.

Each file goes through the watched folder, and what it does is seen at a terminal.
"""

import zipfile
from itertools import permutations
from pathlib import Path

import pytest

from agent.central.books import payments
from agent.central.books.references import Reference, Share
from agent.central.payments.folder import complete_files, sole_watcher, take
from agent.central.payments.giving_out import give_out_notice
from agent.central.payments.intake import assign
from agent.central.payments.reconciling import Today, differences
from agent.readers.events import Signal
from tests.conftest import CARD
from tests.invariants import everything_is_consistent, the_books_are_consistent
from tests.parts.payment_messages import (
    OTHER_CREDITOR,
    WHOSE,
    OldReceipt,
    Receipt,
    Transfer,
    default_namespace_receipt,
    old_receipt,
    soap_receipt,
)
from tests.parts.settlement_messages import FlowMessage, Movement, Row, cash_book, flow_message
from tests.parts.wire import ZONE, Wire

DAY_MS = 24 * 3_600_000


class Folder:
    """A watched folder of a town with one terminal, and a notice of 20 euro for a-1."""

    def __init__(self, wire: Wire, path: Path) -> None:
        self.wire = wire
        self.path = path
        self.notice: Reference = give_out_notice(
            wire.central.books, "47", [Share("a-1", 2_000)], lambda n: n // 3, wire.clock.instant
        )
        with sole_watcher(path):
            pass

    def drop(self, name: str, data: bytes) -> list[str]:
        """Put a file into the folder, take it in, and return what became of it."""
        (self.path / name).write_bytes(data)
        lines = []
        for path in complete_files(self.path, 0):
            taken = take(self.wire.central.books, path, WHOSE, self.wire.clock.instant)
            assert taken is not None
            lines += taken.lines
        self.wire.settle()
        return lines

    def credits(self) -> list[int]:
        """Return the balances of a-1 at the central and at the terminal."""
        balance = self.wire.box.balance("a-1")
        assert balance is not None
        return [self.wire.central.balance("a-1"), balance]

    def differences(self) -> list[str]:
        today = Today("2026-12-24", ZONE)
        return [row.what for row in differences(self.wire.central.books, today)]


@pytest.fixture
def folder(wire: Wire, tmp_path: Path) -> Folder:
    return Folder(wire, tmp_path / "in")


def test_a_late_receipt_pays_the_meals_that_were_eaten_on_credit(folder: Folder) -> None:
    for _ in range(4):
        assert folder.wire.box.tap(CARD) is Signal.SERVED
        folder.wire.settle()
        folder.wire.clock.pass_ms(DAY_MS)
    assert folder.credits() == [-4 * 366] * 2
    paid = Receipt(folder.notice.id, paid_at="2026-11-23T07:30:00")
    assert folder.drop("r.xml", soap_receipt(paid)) == ["r.xml: credited"]
    assert folder.credits() == [2_000 - 4 * 366] * 2
    (payment,) = payments.newest(folder.wire.central.books)
    assert payment.paid_at == "2026-11-23T06:30:00.000Z", "paid before the meals, known after them"
    everything_is_consistent(folder.wire)


def test_a_receipt_that_comes_doubled_in_every_form_is_one_credit(folder: Folder) -> None:
    receipt = Receipt(folder.notice.id)
    newer, older = soap_receipt(receipt), old_receipt(OldReceipt(folder.notice.id))
    assert folder.drop("a.xml", newer) == ["a.xml: credited"]
    assert folder.drop("a.xml", newer) == ["a.xml: duplicate"]
    assert folder.drop("b.xml", default_namespace_receipt(receipt)) == ["b.xml: duplicate"]
    assert folder.drop("c.xml", older) == ["c.xml: duplicate"]
    with zipfile.ZipFile(folder.path / "day.zip", "w") as archive:
        archive.writestr("1.xml", newer)
        archive.writestr("2.xml", older)
    assert folder.drop("x.xml", newer) == [
        "1.xml: duplicate",
        "2.xml: duplicate",
        "x.xml: duplicate",
    ]
    assert folder.credits() == [2_000] * 2


@pytest.mark.parametrize("order", list(permutations(("receipt", "flow", "treasury"))))
def test_receipt_flow_and_treasury_in_any_order_are_one_credit_and_leave_no_difference(
    folder: Folder, order: tuple[str, ...]
) -> None:
    files = {
        "receipt": soap_receipt(Receipt(folder.notice.id)),
        "flow": flow_message(FlowMessage((Row(folder.notice.id),))),
        "treasury": cash_book(Movement()),
    }
    for name in order:
        folder.drop(f"{name}.xml", files[name])
    assert folder.credits() == [2_000] * 2
    assert folder.differences() == []


def test_of_a_receipt_that_is_partly_ours_our_part_is_credited(folder: Folder) -> None:
    parts = (Transfer("20.00"), Transfer("35.00", OTHER_CREDITOR), Transfer("9.00", category="x"))
    receipt = Receipt(folder.notice.id, total="64.00", transfers=parts)
    assert folder.drop("r.xml", soap_receipt(receipt)) == ["r.xml: credited"]
    assert folder.credits() == [2_000] * 2


def test_two_payments_of_a_notice_are_one_credit_and_one_for_the_office(folder: Folder) -> None:
    assert folder.drop("a.xml", soap_receipt(Receipt(folder.notice.id))) == ["a.xml: credited"]
    (line,) = folder.drop("b.xml", soap_receipt(Receipt(folder.notice.id, "receipt-2")))
    assert line == "b.xml: parked: its notice is already paid; refund it, or assign it"
    assert folder.credits() == [2_000] * 2
    second = payments.open_payments(folder.wire.central.books)[0]
    at = folder.wire.clock.instant
    assign(folder.wire.central.books, second.n, [Share("a-2", 2_000)], at, "for the sister")
    folder.wire.settle()
    assert (folder.credits(), folder.wire.box.balance("a-2")) == ([2_000] * 2, 2_000)
    everything_is_consistent(folder.wire)


def test_another_amount_than_the_notices_waits_for_the_office(folder: Folder) -> None:
    receipt = Receipt(folder.notice.id, total="30.00", transfers=(Transfer("30.00"),))
    (line,) = folder.drop("r.xml", soap_receipt(receipt))
    assert line.startswith("r.xml: parked: its amount is not that of its reference")
    assert folder.credits() == [0, 0]
    changed = Receipt(folder.notice.id)  # the same id, now with the right amount
    (line,) = folder.drop("r.xml", soap_receipt(changed))
    assert line == "r.xml: parked: its id came before with other contents; ask the payment's sender"
    assert folder.credits() == [0, 0]
    the_books_are_consistent(folder.wire.central.books)


@pytest.mark.parametrize("sign", ["", "-"])
def test_what_is_revoked_after_it_was_eaten_is_a_debt_and_the_child_eats(
    folder: Folder, sign: str
) -> None:
    box = folder.wire.box
    folder.drop("r.xml", soap_receipt(Receipt(folder.notice.id)))
    for _ in range(3):
        box.tap(CARD)
        folder.wire.settle()
        folder.wire.clock.pass_ms(DAY_MS)
    assert folder.credits() == [2_000 - 3 * 366] * 2
    row = Row(folder.notice.id, euro=f"{sign}20.00", outcome="3")
    revoking = flow_message(FlowMessage((row,), "flow-2", total="-20.00"))
    assert folder.drop("f.xml", revoking) == ["f.xml: flow flow-2: 1 payments, 1 revoked now"]
    assert folder.credits() == [-3 * 366] * 2
    assert box.tap(CARD) is Signal.SERVED, "the counter shows nothing of it"
    folder.wire.settle()
    assert folder.drop("f.xml", revoking) == ["f.xml: flow flow-2: was taken in before"]
    assert folder.drop("r.xml", soap_receipt(Receipt(folder.notice.id))) == ["r.xml: duplicate"]
    assert folder.credits() == [-4 * 366] * 2
    everything_is_consistent(folder.wire)
