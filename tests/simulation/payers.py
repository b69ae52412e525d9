"""Families that pay, and what node, bank and treasury report of it, through the real doors.

A message is kept when it is written. It may arrive late, again, or before the one before it: at
each rest all of them arrive once more, as node and bank send what was not answered.
"""

from dataclasses import dataclass
from typing import NamedTuple

from agent.central.books import payments, settlements
from agent.central.books.payments import StoredPayment
from agent.central.books.postings import Payment, PaymentKey
from agent.central.books.references import Reference, Share
from agent.central.office.credit import credit
from agent.central.payments.doors import receive_file, receive_notification, receive_soap
from agent.central.payments.giving_out import give_out_notice, give_out_order
from agent.central.payments.intake import assign, close
from agent.central.payments.settling import credit_missing, take_flow
from agent.errors import CentralError
from tests import payment_invariants
from tests.parts.payment_messages import CREDITOR, DOOR, WHOSE
from tests.payment_invariants import OpenPayment
from tests.simulation.engine import Engine
from tests.simulation.office import Office
from tests.simulation.payment_paper import BY_HAND, Part, PaymentPaper, Report, Row

POSTED = "SELECT account, sum(cents) FROM posting WHERE channel IS NOT NULL GROUP BY account"


class Notice(NamedTuple):
    """A notice that the office gave out: its IUV, its number in the run, its parts."""

    iuv: str
    number: int
    parts: tuple[Part, ...]

    @property
    def cents(self) -> int:
        return sum(part.cents for part in self.parts)


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it is sent, and what it reports. `door` is soap, file, bank or flow."""

    door: str
    body: bytes
    report: Report | Row
    fields: dict[str, str] | None = None


class Booking(NamedTuple):
    """What the office books by hand, under the id that the bank will report."""

    code: str
    part: Part


class Payers:
    """The payments of a town. `sent` has all that was ever reported, in its first order."""

    def __init__(self, engine: Engine, office: Office) -> None:
        self.engine = engine
        self.office = office
        self.notices: list[Notice] = []
        self.ordered: set[str] = set()
        self.sent: list[Message | Booking] = []

    @property
    def paper(self) -> PaymentPaper:
        return self.engine.observer.books.reported

    def give_out(self, parts: tuple[Part, ...]) -> None:
        """Give out a notice for one account or two. After a restore it is given out again."""
        number = len(self.notices)
        shares = [Share(*part) for part in parts]

        def action() -> None:
            central = self.engine.central
            made = give_out_notice(central.office, "47", shares, lambda _: number, central.instant)
            if number == len(self.notices):
                self.notices.append(Notice(made.id, number, parts))
            self.paper.give_out(made.id, parts)

        self.office.do(action)
        self.check()

    def store_order(self, notice: Notice, code: str) -> None:
        """Store an order of a notice, if it is not stored."""
        if code in self.ordered:
            return
        self.ordered.add(code)

        def action() -> None:
            central = self.engine.central
            root = Reference(notice.iuv, None, notice.iuv, notice.cents, central.instant)
            give_out_order(central.office, root, code, central.instant)
            self.paper.store_order(code, notice.iuv)

        self.office.do(action)
        self.check()

    def send(self, message: Message | Booking, *, is_late: bool) -> None:
        """Write a message. If it is not late, it arrives at once."""
        self.sent.append(message)
        if not is_late:
            self.arrive(message)

    def arrive(self, message: Message | Booking) -> None:
        """Let a message arrive, perhaps again, and check what becomes of it."""
        match message:
            case Booking():
                self._book_by_hand(message)
            case Message(report=Report() as report):
                due = self.paper.take(report)
                result = self._receive(message)
                payment_invariants.a_payment_has_the_result_that_is_due(report.id, result, due)
            case Message(report=Row() as row):
                self.paper.take_flow(row)
                self._receive(message)
        self.check()

    def arrive_with_kill(self, message: Message, kill_after: int) -> None:
        """Kill the process that takes a message after so many statements; it is sent again."""
        self.engine.central.command(lambda: self._receive(message), kill_after)
        self._receive(message)
        match message.report:
            case Report() as report:
                self.paper.take(report)
            case Row() as row:
                self.paper.take_flow(row)
        self.check()

    def all_again(self) -> None:
        """Let all that was ever reported arrive again. A restored file has lost some of it."""
        for message in self.sent:
            self.arrive(message)

    def _receive(self, message: Message) -> str:
        """Hand a message to its door. Return the result."""
        books, at = self.engine.central.office, self.engine.central.instant
        match message.door:
            case "soap":
                ruling = receive_soap(books, message.body, WHOSE, at).ruling
            case "file":
                ruling = receive_file(books, message.body, WHOSE, at)
            case "bank":
                ruling = receive_notification(books, message.fields or {}, DOOR, at)
            case _:
                take_flow(books, message.body, CREDITOR, at)
                return ""
        assert ruling is not None, f"the door {message.door} took no message of {message.report}"
        return ruling.result.value

    def _book_by_hand(self, booking: Booking) -> None:
        central = self.engine.central
        payment = Payment(*booking.part, PaymentKey("pos", booking.code))
        due = self.paper.book_by_hand(booking.code, booking.part)
        try:
            is_new = credit(central.office, payment, at=central.instant)
        except CentralError:
            is_new = False  # the bank reported it
        payment_invariants.a_payment_has_the_result_that_is_due(booking.code, str(is_new), str(due))

    def credit_missing(self) -> None:
        """Credit a payment that a flow settles and no receipt reported, on the office's word."""
        books, at = self.engine.central.office, self.engine.central.instant
        for row in settlements.missing(books)[:1]:
            due = self.paper.take(Report(row.external, row.iuv, row.cents))
            result = credit_missing(books, row.external, at).result.value
            payment_invariants.a_payment_has_the_result_that_is_due(row.external, result, due)
        self.check()

    def decide(self, number: int, account: str | None) -> None:
        """Assign a payment that waits to an account, or end it without a credit."""
        if not self.paper.waiting:
            return
        key = list(self.paper.waiting)[number % len(self.paper.waiting)]
        n = self._listed(key).n
        books, at = self.engine.central.office, self.engine.central.instant
        if account is None:
            close(books, n, "rejected", "rejected")
            self.paper.close(key)
        elif self.paper.waiting[key].reason != BY_HAND:
            cents = self.paper.waiting[key].report.cents
            assign(books, n, [Share(account, cents)], at, "assigned")
            self.paper.assign(key, account)
        else:
            payment_invariants.what_was_booked_by_hand_is_not_assigned(
                key, was_assigned=self._may_assign(n, account)
            )
        self.check()

    def _may_assign(self, n: int, account: str) -> bool:
        books, at = self.engine.central.office, self.engine.central.instant
        payment = payments.find_number(books, n)
        assert payment is not None
        try:
            assign(books, n, [Share(account, payment.cents)], at, "assigned")
        except CentralError:
            return False
        return True

    def _listed(self, key: str) -> StoredPayment:
        """Return a payment that waits as the office's list has it."""
        report, reason = self.paper.waiting[key]
        what = (report.names, report.cents, reason)
        return next(
            row
            for row in payments.open_payments(self.engine.central.office)
            if row.external.partition("~")[0] == report.id
            and (row.reference, row.cents, row.reason) == what
        )

    def check(self) -> None:
        """Compare the books with the paper."""
        central, observer = self.engine.central, self.engine.observer
        observer.accounts_moved(central)
        posted = dict(central.office.sql.execute(POSTED).fetchall())
        accepted = {account: observer.books.credit(account) for account in self.office.accounts}
        payment_invariants.credit_is_the_payments_accepted(posted, accepted)
        payment_invariants.every_payment_that_waits_is_listed(
            [
                OpenPayment(row.reference, row.cents, row.reason)
                for row in payments.open_payments(central.office)
                if row.state == "parked"
            ],
            [
                OpenPayment(report.names, report.cents, reason)
                for report, reason in self.paper.waiting.values()
            ],
        )
        payment_invariants.what_is_settled_without_a_receipt_is_listed(
            {row.external for row in settlements.missing(central.office)}, self.paper.missing()
        )
