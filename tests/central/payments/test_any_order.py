"""Story 13 in any order: real messages of every door, late, doubled, shuffled, with power cuts.

The invariant: the credit of each account is the sum of the payments that were accepted, and each
notice is credited once at most.
"""

from pathlib import Path
from random import Random

import pytest

from agent.central.books import payments, settlements
from agent.central.books.payments import Arrival
from agent.central.books.postings import PaymentKey
from agent.central.books.references import Reference, Share
from agent.central.office.credit import Transfer, transfer
from agent.central.payments.documents import book_document, read_document
from agent.central.payments.doors import receive_file, receive_notification, receive_soap
from agent.central.payments.folder import complete_files, sole_watcher, take
from agent.central.payments.giving_out import give_out_notice, give_out_order
from agent.central.payments.intake import assign
from agent.central.payments.reported import ReportedPayment
from agent.central.payments.retention import remove_old_messages
from agent.central.payments.settling import credit_missing, take_flow, take_treasury
from tests.invariants import the_books_are_consistent
from tests.parts.payment_messages import (
    CREDITOR,
    DOOR,
    WHOSE,
    Notification,
    OldReceipt,
    Receipt,
    default_namespace_receipt,
    notification,
    old_receipt,
    soap_receipt,
)
from tests.parts.settlement_messages import FlowMessage, Movement, Row, cash_book, flow_message
from tests.parts.wire import Central, Clock

STEPS = 120
ACCOUNTS = ("a-1", "a-2", "a-3")


class Town:
    """A central, and what its node, bank and treasury may send at any time."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = Random(seed)
        self.clock = Clock()
        self.central = Central(folder, self.clock)
        for account in ACCOUNTS:
            self.central.add_account(account)
        self.notices = [self._notice() for _ in range(20)]
        self.orders: list[str] = [f"ORDER{n}" for n in range(30)]
        self.given_out: set[str] = set()
        self.folder = folder / "in"
        with sole_watcher(self.folder):
            pass

    def _notice(self) -> Reference:
        cents = self.random.randrange(100, 6_000)
        first = self.random.randrange(1, cents)
        shares = [Share("a-1", first), Share("a-2", cents - first)]
        books, at = self.central.books, self.clock.instant
        return give_out_notice(books, "47", shares, self.random.randrange, at)

    def step(self) -> None:
        self.clock.pass_ms(self.random.randrange(60_000))
        often = (self._receipt, self._bank, self._file)
        seldom = (
            self._order,
            self._flow,
            self._missing,
            self._treasury,
            self._office,
            self._transfer,
            self._prune,
        )
        self.random.choice([*often, *often, *seldom, self._power_cut])()

    def _written(self) -> bytes:
        """Return a receipt of a notice, in any form."""
        notice = self.random.choice(self.notices)
        n = self.random.randrange(2)
        euro = f"{notice.cents // 100}.{notice.cents % 100:02d}"
        parts = (Receipt("").transfers[0]._replace(euro=euro),)
        receipt = Receipt(notice.id, f"{notice.id}-{n}", euro, parts)
        older = OldReceipt(notice.id, "0", euro, (euro,), receipt.receipt)
        write = self.random.choice([soap_receipt, default_namespace_receipt])
        return self.random.choice([write(receipt), write(receipt), old_receipt(older)])

    def _receipt(self) -> None:
        data, books = self._written(), self.central.books
        receive = receive_file if b"<RT " in data else receive_soap
        receive(books, data, WHOSE, self.clock.instant)

    def _file(self) -> None:
        """Put a file into the watched folder; a kill after its booking leaves it there."""
        (self.folder / f"{self.random.randrange(9)}.xml").write_bytes(self._written())
        for path in complete_files(self.folder, 0):
            data = path.read_bytes()
            if self.random.random() < 0.3:
                document = read_document(data, WHOSE)
                book_document(self.central.books, document, Arrival(self.clock.instant, data))
                self._power_cut()
                return
            assert take(self.central.books, path, WHOSE, self.clock.instant) is not None

    def _transfer(self) -> None:
        source, target = self.random.sample(ACCOUNTS, 2)
        cents = self.random.randrange(1, 1_000)
        if cents <= self.central.balance(source):
            key = PaymentKey("transfer", f"t-{self.random.randrange(10**9)}")
            move = Transfer(source, target, cents, key)
            transfer(self.central.books, move, at=self.clock.instant)

    def _prune(self) -> None:
        """Remove the texts of all messages: what they did stays."""
        remove_old_messages(self.central.books, "2099-01-01T00:00:00.000Z")

    def _bank(self) -> None:
        code = self.random.choice(self.orders)
        notice = self._noticed(code)
        cents = notice.cents if self.random.random() < 0.7 else notice.cents + 1
        outcome = self.random.choice(["OK", "OK", "KO", "PEN"])
        given = Notification(code, outcome, str(cents), f"12{self.random.randrange(3):02d}00")
        receive_notification(self.central.books, notification(given), DOOR, self.clock.instant)

    def _order(self) -> None:
        code = self.random.choice(self.orders)
        if code not in self.given_out:
            self.given_out.add(code)
            give_out_order(self.central.books, self._noticed(code), code, self.clock.instant)

    def _flow(self) -> None:
        notice, n = self.random.choice(self.notices), self.random.randrange(2)
        euro = f"{notice.cents // 100}.{notice.cents % 100:02d}"
        outcome = self.random.choice("0003")
        sign = "-" if outcome == "3" and self.random.random() < 0.5 else ""
        row = Row(notice.id, f"{notice.id}-{n}", sign + euro, outcome)
        total = ("-" if outcome == "3" else "") + euro
        given = FlowMessage((row,), f"flow-{notice.id}-{n}-{outcome}", total=total)
        take_flow(self.central.books, flow_message(given), CREDITOR, self.clock.instant)

    def _missing(self) -> None:
        for row in settlements.missing(self.central.books)[:1]:
            credit_missing(self.central.books, row.external, self.clock.instant)

    def _treasury(self) -> None:
        take_treasury(self.central.books, cash_book(Movement()))

    def _office(self) -> None:
        for payment in payments.open_payments(self.central.books):
            if payment.state == "parked" and self.random.random() < 0.2:
                share = Share("a-3", payment.cents)
                assign(self.central.books, payment.n, [share], self.clock.instant, "assigned")

    def _power_cut(self) -> None:
        self.central.restart()

    def _noticed(self, code: str) -> Reference:
        return self.notices[int(code[5:]) % len(self.notices)]


def the_credit_is_the_payments_accepted(central: Central) -> None:
    """Compare balances with accepted payments less those that a flow revoked."""
    books = central.books
    accepted = sum(
        payment.cents for payment, _ in payments.sums(books) if payment.state == "credited"
    )
    back = {row.external: row.cents for row in settlements.revoked(books) if row.paid_cents}
    taken_back = books.rows(
        "SELECT external, -sum(cents) FROM posting WHERE kind = 'refund' GROUP BY external"
    )
    assert all(back[key.removesuffix("#revoked")] == cents for key, cents in taken_back)
    held = sum(central.balance(account) for account in ACCOUNTS)
    assert held == accepted - sum(cents for _, cents in taken_back)


def each_notice_is_credited_once(central: Central) -> None:
    """Without the office's word: what it assigned has another reason."""
    rows = central.books.rows(
        "SELECT root, count(*) FROM payment JOIN reference ON reference.id = payment.reference"
        " WHERE state = 'credited' AND reason = '' GROUP BY root HAVING count(*) > 1"
    )
    assert rows == []


def every_file_is_done_and_in_the_books(town: Town) -> None:
    for path in complete_files(town.folder, 0):
        take(town.central.books, path, WHOSE, town.clock.instant)
    assert not complete_files(town.folder, 0) and not list((town.folder / "refused").iterdir())
    for path in (town.folder / "done").iterdir():
        document = read_document(path.read_bytes(), WHOSE)
        assert isinstance(document, ReportedPayment)
        assert payments.find(town.central.books, document.key) is not None, path.name


@pytest.mark.parametrize("seed", range(12))
def test_in_any_order_the_credit_is_the_payments_accepted(tmp_path: Path, seed: int) -> None:
    town = Town(tmp_path, seed)
    for _ in range(STEPS):
        town.step()
        the_credit_is_the_payments_accepted(town.central)
        each_notice_is_credited_once(town.central)
    every_file_is_done_and_in_the_books(town)
    the_credit_is_the_payments_accepted(town.central)
    the_books_are_consistent(town.central.books)
    town.central.books.close()
