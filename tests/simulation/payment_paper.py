"""What the payments that node and bank report must give: a model of the intake.

It uses nothing of agent.central.payments. A family was promised: what they paid for a notice is
their credit, once, whatever is reported twice, late or in another order. All else waits for the
office. What a flow revokes is taken back, once.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

UNKNOWN, SECOND, DIFFERS = "unknown_reference", "second_payment", "amount_differs"
REUSED, BY_HAND = "key_reused", "booked_by_hand"


class Part(NamedTuple):
    """What an account gets of a payment."""

    account: str
    cents: int


class Report(NamedTuple):
    """What a message reports. `names` is the notice or order, `cents` the part that is ours.

    `id` is that of the payment, or of an attempt that failed. `fault`: why it is not for us.
    """

    id: str
    names: str
    cents: int
    outcome: str = "paid"
    fault: str = ""
    text: bytes = b""


class Waiting(NamedTuple):
    """A payment that waits for the office, and why."""

    report: Report
    reason: str


class Row(NamedTuple):
    """A payment that a flow settles or revokes."""

    id: str
    names: str
    cents: int
    is_revoked: bool


@dataclass(slots=True)
class PaymentPaper:
    """What was given out and what was reported so far. A restored backup brings an earlier one.

    `credit` has the cents of each account: accepted payments, less what was taken back. `first` is
    what was first reported under an id. `credited` has the parts of each accepted payment, and
    `waiting` is in the order of arrival.
    """

    notices: dict[str, tuple[Part, ...]] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)
    first: dict[str, Report] = field(default_factory=dict)
    credited: dict[str, tuple[Part, ...]] = field(default_factory=dict)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    taken_back: set[str] = field(default_factory=set)
    by_hand: set[str] = field(default_factory=set)
    credit: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def copy(self) -> "PaymentPaper":
        return PaymentPaper(
            notices=dict(self.notices),
            orders=dict(self.orders),
            first=dict(self.first),
            credited=dict(self.credited),
            waiting=dict(self.waiting),
            rows=list(self.rows),
            taken_back=set(self.taken_back),
            by_hand=set(self.by_hand),
            credit=defaultdict(int, self.credit),
        )

    def give_out(self, notice: str, parts: tuple[Part, ...]) -> None:
        """Give out a notice."""
        self.notices[notice] = parts
        self._decide_early(notice)

    def store_order(self, code: str, notice: str) -> None:
        """Store an order that pays a notice. The bank may have notified before."""
        self.orders[code] = notice
        self._decide_early(code)

    def _decide_early(self, names: str) -> None:
        for key, (report, reason) in list(self.waiting.items()):
            if report.names == names and reason == UNKNOWN:
                self._accept_or_wait(key, report, self._paid(report))

    def take(self, report: Report) -> str:
        """Take a report. Return what becomes of it."""
        first = self.first.get(report.id)
        if first is None:
            if report.id in self.by_hand and report.outcome == "paid":
                return self._wait_beside(report, f"{report.id} by hand", BY_HAND)
            self.first[report.id] = report
            if report.outcome != "paid":
                return "failed" if report.outcome == "not paid" else "pending"
            return self._accept_or_wait(report.id, report, report.fault or self._paid(report))
        if (first.names, first.cents) == (report.names, report.cents):
            return "duplicate"
        return self._wait_beside(report, f"{report.id} {report.text!r}", REUSED)

    def _wait_beside(self, report: Report, key: str, reason: str) -> str:
        """Let a report wait whose id is taken; the same one again changes nothing."""
        if key in self.first:
            return "duplicate"
        self.first[key] = report
        return self._accept_or_wait(key, report, reason)

    def _paid(self, report: Report) -> str:
        """Return why a payment is not accepted, "" if it is."""
        parts = self._parts(report.names)
        if parts is None:
            return UNKNOWN
        if any(self._parts(self.first[key].names) is parts for key in self.credited):
            return SECOND
        return "" if report.cents == sum(part.cents for part in parts) else DIFFERS

    def _parts(self, names: str) -> tuple[Part, ...] | None:
        return self.notices.get(self.orders.get(names, names))

    def _accept_or_wait(self, key: str, report: Report, reason: str) -> str:
        if reason:
            self.waiting[key] = Waiting(report, reason)
            return "parked"
        self._accept(key, self._parts(report.names) or ())
        return "credited"

    def _accept(self, key: str, parts: tuple[Part, ...]) -> None:
        self.waiting.pop(key, None)
        self.credited[key] = parts
        for part in parts:
            self.credit[part.account] += part.cents

    def assign(self, key: str, account: str) -> None:
        """Give a waiting payment to an account, on the office's word."""
        self._accept(key, (Part(account, self.waiting[key].report.cents),))

    def close(self, key: str) -> None:
        """End a waiting payment without a credit."""
        del self.waiting[key]

    def book_by_hand(self, name: str, part: Part) -> bool:
        """Book a payment by the office's command. Return False if its id is known."""
        if name in self.by_hand or name in self.first:
            return False
        self.by_hand.add(name)
        self.credit[part.account] += part.cents
        return True

    def missing(self) -> set[str]:
        """Return the payments for our notices that a flow settles and no message reported."""
        settled = {row.id for row in self.rows if not row.is_revoked and row.names in self.notices}
        return settled - self.first.keys()

    def take_flow(self, row: Row) -> None:
        """Take a flow: all that flows revoked so far and was accepted is taken back, once."""
        if row not in self.rows:
            self.rows.append(row)
        for revoked in self.rows:
            parts = self.credited.get(revoked.id, ())
            is_whole = bool(parts) and self.first[revoked.id].cents == revoked.cents
            is_ours = revoked.is_revoked and revoked.names in self.notices
            if is_whole and is_ours and revoked.id not in self.taken_back:
                self.taken_back.add(revoked.id)
                for part in parts:
                    self.credit[part.account] -= part.cents
