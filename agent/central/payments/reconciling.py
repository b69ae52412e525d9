"""The reconciliation: for each day what was paid, credited, settled and arrived, and what differs.

Pure sums over the books. Each difference says what to do; when all is done the list is empty.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct

from agent.central.books import payments, postings, settlements
from agent.central.books.database import Books
from agent.central.books.payments import StoredPayment
from agent.central.payments.receipt import CHANNEL
from agent.central.payments.reported import WORDS, Park
from agent.domain.clock import Day, Instant, day_of
from agent.domain.money import format_euro

SETTLED_AFTER_DAYS = 5
"""Days after which a payment without a flow is a difference: banks settle on the second day."""
ARRIVED_AFTER_DAYS = 3
"""Days after which a flow without its sum at the treasury is a difference."""


class DayRow(Struct, kw_only=True):
    """What was paid on a day by a channel, and what became of it. Amounts in cents."""

    day: Day
    channel: str
    payments: int = 0
    paid_cents: int = 0
    credited_cents: int = 0
    parked_cents: int = 0
    closed_cents: int = 0
    settled_cents: int = 0
    arrived_cents: int = 0


class Difference(Struct, frozen=True, kw_only=True):
    """Something that is not as it must be, and what to do."""

    what: str
    do: str


class Today(NamedTuple):
    """The present day and the town's zone."""

    day: Day
    zone: ZoneInfo

    def minus(self, days: int) -> Day:
        """Return the day that many days ago."""
        return (date.fromisoformat(self.day) - timedelta(days=days)).isoformat()


def day_rows(books: Books, zone: ZoneInfo) -> list[DayRow]:
    """Return a row for each day and channel, by day."""
    rows: dict[str, DayRow] = {}
    flows, arrived = settlements.flows_of_receipts(books), settlements.arrived_flows(books)
    for payment, _ in payments.sums(books):
        if payment.state not in ("failed", "pending"):
            row = _row(rows, _day(payment, zone), payment.channel)
            flow = flows.get(payment.external) if payment.channel == CHANNEL else None
            _add(row, payment, is_settled=flow is not None, is_arrived=flow in arrived)
    for credit in postings.by_hand(books):
        row = _row(rows, day_of(credit.at, zone), credit.channel)
        row.payments += 1
        row.paid_cents += credit.cents
        row.credited_cents += credit.cents
    return [rows[key] for key in sorted(rows)]


def differences(books: Books, today: Today) -> Iterator[Difference]:
    """Yield what differs, with what to do."""
    for payment in payments.open_payments(books):
        is_park = payment.reason in set(Park)
        words = WORDS[Park(payment.reason)] if is_park else payment.reason
        yield Difference(
            what=f"payment {payment.n}, {format_euro(payment.cents)} euro, is {payment.state}:"
            f" {words}",
            do="canteen-central payments assign, refund or reject"
            if is_park
            else "wait for the bank; ask it after a day",
        )
    yield from _of_receipts(books, today)
    for row in settlements.missing(books):
        yield Difference(
            what=f"{format_euro(row.cents)} euro of {row.day} are settled, and no receipt"
            f" {row.external} came",
            do=f"canteen-central settlements credit {row.external}",
        )
    for other in settlements.differing(books):
        yield Difference(
            what=f"flow {other.flow} settles {format_euro(other.cents)} euro of {other.external},"
            f" its receipt has {format_euro(other.paid_cents or 0)}",
            do="is a part of it another service's? else ask the partner for the receipt",
        )
    for back in settlements.revoked(books):
        key = postings.PaymentKey(CHANNEL, f"{back.external}#revoked")
        if back.paid_cents is not None and postings.find_payment(books, key) is None:
            yield Difference(
                what=f"flow {back.flow} revokes {format_euro(back.cents)} euro of {back.external},"
                f" {format_euro(back.paid_cents)} are credited",
                do="load the flow again; a part is taken back with: canteen-central credit",
            )
    yield from _of_the_treasury(books, today)


def _of_receipts(books: Books, today: Today) -> Iterator[Difference]:
    flows = settlements.flows_of_receipts(books)
    for payment, _ in payments.sums(books):
        is_due = _day(payment, today.zone) < today.minus(SETTLED_AFTER_DAYS)
        is_money = payment.channel == CHANNEL and payment.state in ("credited", "parked")
        if is_money and is_due and payment.external not in flows:
            yield Difference(
                what=f"payment {payment.n}, {format_euro(payment.cents)} euro, is in no flow",
                do="load the flows of its days: canteen-central settlements flow",
            )


def _of_the_treasury(books: Books, today: Today) -> Iterator[Difference]:
    for flow in settlements.unequal_flows(books, today.minus(ARRIVED_AFTER_DAYS)):
        arrived = flow.arrived_cents
        at_treasury = "nothing" if arrived is None else f"{format_euro(arrived)} euro"
        yield Difference(
            what=f"flow {flow.flow} of {flow.day} has {format_euro(flow.cents)} euro,"
            f" {at_treasury} arrived",
            do="load the treasury's sums: canteen-central settlements treasury; else ask the bank",
        )
    for sum_ in settlements.sums_without_flow(books):
        yield Difference(
            what=f"sum {sum_.number} of {sum_.year}, {format_euro(sum_.cents)} euro, names a flow"
            " that is not loaded",
            do="load it: canteen-central settlements flow",
        )


def _row(rows: dict[str, DayRow], day: Day, channel: str) -> DayRow:
    return rows.setdefault(f"{day} {channel}", DayRow(day=day, channel=channel))


def _add(row: DayRow, payment: StoredPayment, *, is_settled: bool, is_arrived: bool) -> None:
    cents = payment.cents
    row.payments += 1
    row.paid_cents += cents
    match payment.state:
        case "credited":
            row.credited_cents += cents
        case "parked":
            row.parked_cents += cents
        case _:
            row.closed_cents += cents
    row.settled_cents += cents if is_settled else 0
    row.arrived_cents += cents if is_arrived else 0


def _day(payment: StoredPayment, zone: ZoneInfo) -> Day:
    """Return the day on which a payment was made, or came where its channel states none."""
    paid: Instant = payment.paid_at or payment.at
    return paid if len(paid) == len("2026-11-23") else day_of(paid, zone)
