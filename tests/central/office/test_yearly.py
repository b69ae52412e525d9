"""A year's payments: by the day they were paid, less refunds, without vouchers and transfers."""

from pathlib import Path

from agent.central.books.file import FileBooks
from agent.central.books.payments import Arrival
from agent.central.books.postings import Payment, PaymentKey
from agent.central.books.references import Share
from agent.central.office.credit import Credit, credit, post_credit
from agent.central.office.yearly import YearlyRow, families_of, yearly
from agent.central.payments.giving_out import give_out_notice
from agent.central.payments.intake import take_in
from agent.central.payments.reported import ReportedPayment
from tests.parts.roster import load_roster
from tests.parts.wire import ZONE, Wire


def rows(books: FileBooks, year: int) -> list[YearlyRow]:
    return [part.row for part in yearly(books, year, ZONE)]


NEW_YEAR = "2026-12-31T23:30:00.000Z"  # half past midnight of the first of January in the town


def test_a_payment_counts_in_the_year_in_which_it_was_paid(wire: Wire) -> None:
    books = wire.central.books
    notice = give_out_notice(books, "47", [Share("a-1", 2_000)], lambda _: 5, "")
    key = PaymentKey("pagopa", "1")
    paid = ReportedPayment(key, notice.id, 2_000, paid_at="2026-12-31T12:00:00.000Z")
    take_in(books, paid, Arrival("2027-01-03T08:00:00.000Z", b""))
    credit(books, Payment("a-1", 500, PaymentKey("desk", "1")), at=NEW_YEAR)
    credit(books, Payment("a-1", -100, PaymentKey("desk", "2")), at=NEW_YEAR)
    assert rows(books, 2026) == [("a-1", None, 2_000, 0, 2_000)]
    assert rows(books, 2027) == [("a-1", None, 500, 100, 400)]
    assert rows(books, 2025) == []


def test_vouchers_and_transfers_are_not_paid(wire: Wire) -> None:
    books = wire.central.books
    with books.transaction():
        for n, kind in enumerate(("voucher", "transfer", "adjustment")):
            payment = Payment("a-1", 100, PaymentKey("x", str(n)))
            post_credit(books, Credit(payment, kind, ""), at=NEW_YEAR)
    assert rows(books, 2027) == []


def test_a_refund_counts_up_to_what_was_paid(wire: Wire) -> None:
    """At close-out a voucher and an older card's credit are paid back, too: nobody paid them."""
    books = wire.central.books
    with books.transaction():
        for n, (kind, cents) in enumerate((("voucher", 4_000), ("adjustment", 3_000))):
            payment = Payment("a-1", cents, PaymentKey("x", str(n)))
            post_credit(books, Credit(payment, kind, ""), at=NEW_YEAR)
    credit(books, Payment("a-1", 1_000, PaymentKey("desk", "1")), at=NEW_YEAR)
    credit(books, Payment("a-1", -8_000, PaymentKey("desk", "2")), at=NEW_YEAR)
    credit(books, Payment("a-2", -700, PaymentKey("desk", "3")), at=NEW_YEAR)
    assert rows(books, 2027) == [("a-1", None, 1_000, 1_000, 0)]


def test_a_refund_of_what_a_sibling_was_given_counts(wire: Wire, tmp_path: Path) -> None:
    """The family paid it, for the other child."""
    load_roster(wire, tmp_path / "r.csv", "account,family\na-1,f-1\na-2,f-1\n")
    books = wire.central.books
    credit(books, Payment("a-1", 1_000, PaymentKey("desk", "1")), at=NEW_YEAR)
    credit(books, Payment("a-2", -600, PaymentKey("desk", "2")), at=NEW_YEAR)
    assert rows(books, 2027) == [("a-1", "f-1", 1_000, 0, 1_000), ("a-2", "f-1", 0, 600, -600)]


def test_a_family_has_a_statement_and_an_account_without_a_family_has_its_own(
    wire: Wire, tmp_path: Path
) -> None:
    wire.central.add_account("a-3")
    load_roster(wire, tmp_path / "r.csv", "account,family\na-1,f-1\na-3,f-1\n")
    for account in ("a-1", "a-2", "a-3"):
        wire.central.credit(account, 100, account)
    made = families_of(yearly(wire.central.books, 2026, ZONE), 2026)
    assert [(part.name, [a.account.id for a in part.accounts]) for part in made] == [
        ("account-a-2", ["a-2"]),
        ("family-f-1", ["a-1", "a-3"]),
    ]


def test_a_year_names_the_family(wire: Wire, tmp_path: Path) -> None:
    load_roster(wire, tmp_path / "r.csv", "account,family\na-1,f-1\n")
    credit(wire.central.books, Payment("a-1", 500, PaymentKey("desk", "1")), at=NEW_YEAR)
    assert rows(wire.central.books, 2027) == [("a-1", "f-1", 500, 0, 500)]
