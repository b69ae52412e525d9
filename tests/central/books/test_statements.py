"""Statements, payments and low balances in the books."""

from agent.central.books import accounts, statements
from agent.central.books.postgres import Server
from tests.conftest import CARD
from tests.parts.both_engines import on_postgresql
from tests.parts.foreign_terminal import ForeignTerminal, meal
from tests.parts.wire import SITE, TODAY, Wire


def test_a_statement_has_the_balance_after_each_movement(wire: Wire) -> None:
    wire.central.credit("a-1", 2_000, "r-1")
    wire.central.credit("a-2", 10, "r-2")
    wire.box.tap(CARD)
    wire.settle()
    lines = statements.of_account(wire.central.books, "a-1")
    assert [(line.kind, line.cents, line.balance_cents) for line in lines] == [
        ("top_up", 2_000, 2_000),
        ("meal", -366, 1_634),
    ]
    assert (lines[0].channel, lines[0].external) == ("pos", "r-1")
    balances = {line.account: line.balance_cents for line in statements.of_all(wire.central.books)}
    assert balances == {"a-1": 1_634, "a-2": 10}


def test_low_balances_are_those_below_an_amount(wire: Wire) -> None:
    wire.central.credit("a-1", -1, "r-1")
    assert [row.account for row in statements.below(wire.central.books, 0)] == ["a-1"]
    assert [row.account for row in statements.below(wire.central.books, 1)] == ["a-1", "a-2"]


def test_the_other_accounts_of_a_family_come_with_the_low_balance(wire: Wire) -> None:
    books = wire.central.books
    wire.central.credit("a-1", -1, "r-1")
    wire.central.credit("a-2", 5, "r-2")
    known = accounts.find_all(books, ["a-1", "a-2"])
    with books.transaction():
        accounts.update_all(books, [account._replace(family="f") for account in known.values()])
    assert [row.account for row in statements.below(books, 0)] == ["a-1", "a-2"]


def test_payments_are_without_meals(wire: Wire) -> None:
    wire.central.credit("a-1", 2_000, "r-1")
    wire.box.tap(CARD)
    wire.settle()
    (line,) = statements.paid(wire.central.books)
    assert (line.cents, line.paid_at) == (2_000, None)


def test_standing_meals_are_counted_by_day_class_and_dish(foreign: ForeignTerminal) -> None:
    """A meal that was undone is none; an unknown card's meal was eaten, and has no class."""
    unknown = {"kind": "unknown_meal", "account": None, "cents": 0, "card": "ab" * 16}
    foreign.send(meal(), meal(account="a-2"), meal(**unknown))
    foreign.send(foreign.storno(2, account="a-2"))
    counts = statements.meals_of_days(foreign.central.books, TODAY, TODAY)
    assert counts == [
        (TODAY, SITE, "lunch", None, None, 1),
        (TODAY, SITE, "lunch", "1A", None, 1),
    ]
    assert statements.meals_of_days(foreign.central.books, "2026-11-24", "2026-11-30") == []


def test_both_engines_read_the_same(foreign: ForeignTerminal, server: Server) -> None:
    """Also where a class, a dish, a family or a channel is missing."""
    foreign.central.credit("a-1", 2_000, "r-1")
    unknown = {"kind": "unknown_meal", "account": None, "cents": 0, "card": "ab" * 16}
    foreign.send(meal(), meal(account="a-2", day="2026-11-24"), meal(**unknown))
    books = foreign.central.books
    with books.transaction():
        accounts.update_all(
            books,
            [
                account._replace(dish="celiac")
                for account in accounts.find_all(books, ["a-2"]).values()
            ],
        )
    other = on_postgresql(books, server, "statements")
    assert statements.of_account(other, "a-1") == statements.of_account(books, "a-1")
    assert list(statements.of_all(other)) == list(statements.of_all(books)) != []
    assert statements.paid(other) == statements.paid(books) != []
    span = ("2026-11-01", "2026-11-30")
    assert statements.meals_of_days(other, *span) == statements.meals_of_days(books, *span) != []
    assert statements.below(other, 9_999) == statements.below(books, 9_999) != []
