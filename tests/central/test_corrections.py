"""Entries are booked when what they lacked is known, and never change themselves."""

from agent.central.books import accounts, cards, entries, lists
from agent.central.books.accounts import Account
from agent.central.books.cards import Card
from agent.central.corrections import BOOKED_AT_ONCE_MAX, book_waiting_meals
from agent.central.dating import BOOKED_LATER
from agent.central.office.cards import assign_card
from agent.domain.canteen import Price
from agent.domain.card import Token
from tests.invariants import the_books_are_consistent
from tests.parts.foreign_terminal import ForeignTerminal, meal

NEW_CARD = Token("ab" * 16)


def unknown_meal(**changes: object) -> dict[str, object]:
    members = {"kind": "unknown_meal", "account": None, "card": NEW_CARD, "cents": 0}
    return meal(**{**members, **changes})


def assign(foreign: ForeignTerminal) -> int:
    return assign_card(foreign.central.books, NEW_CARD, "a-1", at=foreign.central.clock.instant)


def test_meals_of_an_unknown_card_are_booked_once_when_its_account_is_known(
    foreign: ForeignTerminal,
) -> None:
    foreign.send(unknown_meal(), unknown_meal(day="2026-11-24"))
    assert foreign.central.balance("a-1") == 0
    assert (assign(foreign), assign(foreign)) == (2, 0)
    assert foreign.central.balance("a-1") == -2 * 366
    assert foreign.verdict(1) == ("applied", BOOKED_LATER)
    the_books_are_consistent(foreign.central.books)


def test_an_undone_meal_of_an_unknown_card_is_booked_with_zero(foreign: ForeignTerminal) -> None:
    foreign.send(unknown_meal())
    foreign.send(foreign.storno(1, cents=0))
    assign(foreign)
    assert foreign.central.balance("a-1") == 0
    the_books_are_consistent(foreign.central.books)


def test_other_reasons_of_a_meal_stay_when_it_is_booked_later(foreign: ForeignTerminal) -> None:
    entry = {**unknown_meal(), "seq": 1, "hash": "ab" * 32}
    foreign.send_raw([entry], prev=foreign.previous)
    foreign.seq = 1
    assign(foreign)
    assert foreign.verdict() == ("flagged", f"{BOOKED_LATER}; hash_does_not_match")


def test_meals_that_wait_are_booked_a_few_in_each_transaction(foreign: ForeignTerminal) -> None:
    books = foreign.central.books
    count = BOOKED_AT_ONCE_MAX + 1
    for n in range(count):
        foreign.send(unknown_meal(card=f"{n:032x}"), meal(account=f"b-{n}", day="2026-11-24"))
    with books.transaction():
        accounts.add_all(
            books, [Account(f"b-{n}", "primaria", "pupil", "active") for n in range(count)]
        )
        cards.add_all(books, [Card(Token(f"{n:032x}"), "a-1", "active") for n in range(count)])
    before = books.transactions
    book_waiting_meals(books, at=foreign.central.clock.instant)
    assert books.transactions == before + 4
    assert {foreign.central.balance(f"b-{n}") for n in range(count)} == {-366}
    assert entries.waiting_cards(books) == {} and entries.waiting_accounts(books) == []
    the_books_are_consistent(books)
    book_waiting_meals(books, at=foreign.central.clock.instant)
    assert books.transactions == before + 4


def test_what_nobody_knows_waits_on(foreign: ForeignTerminal) -> None:
    foreign.send(unknown_meal(), meal(account="nobody"))
    book_waiting_meals(foreign.central.books, at=foreign.central.clock.instant)
    assert foreign.verdict(1) == ("set_aside", "unknown_card")
    assert foreign.verdict(2) == ("set_aside", "unknown_account")


def without_price(**changes: object) -> dict[str, object]:
    return meal(cents=0, flags=["no_price"], account="b-1", **changes)


def open_account(foreign: ForeignTerminal) -> None:
    """Add an account without a price."""
    with foreign.central.books.transaction():
        accounts.add(foreign.central.books, Account("b-1", "primaria", "pupil", "active"))


def write_price(foreign: ForeignTerminal, from_day: str, cents: int = 400) -> None:
    books = foreign.central.books
    with books.transaction():
        price = Price(service="lunch", from_day=from_day, cents=cents)
        accounts.set_price(books, "b-1", price)
        accounts.move_balances(books, {"b-1": 0})
    book_waiting_meals(books, at=foreign.central.clock.instant)
    the_books_are_consistent(books)


# C125
def test_a_meal_without_a_price_is_charged_once_from_the_prices_day(
    foreign: ForeignTerminal,
) -> None:
    open_account(foreign)
    foreign.send(without_price(), without_price(day="2026-11-24", mono_ms=2))
    write_price(foreign, "2026-11-24")
    assert [foreign.verdict(seq) for seq in (1, 2)] == [("flagged", "no_price"), ("applied", "")]
    assert foreign.central.balance("b-1") == -400
    write_price(foreign, "2026-11-01", 300)
    assert foreign.verdict(1) == ("applied", "")
    assert foreign.central.balance("b-1") == -700
    write_price(foreign, "2026-11-01", 900)  # a later correction of a price charges no meal again
    assert foreign.central.balance("b-1") == -700


def test_an_undone_meal_without_a_price_is_never_charged(foreign: ForeignTerminal) -> None:
    open_account(foreign)
    foreign.send(without_price())
    foreign.send(foreign.storno(1, account="b-1", cents=0))
    write_price(foreign, "2026-11-01")
    assert foreign.central.balance("b-1") == 0


def test_a_storno_gives_back_what_the_central_charged_meanwhile(foreign: ForeignTerminal) -> None:
    open_account(foreign)
    foreign.send(without_price())
    write_price(foreign, "2026-11-01")
    assert foreign.central.balance("b-1") == -400
    foreign.send(foreign.storno(1, account="b-1", cents=0))
    assert foreign.central.balance("b-1") == 0
    the_books_are_consistent(foreign.central.books)


def test_a_second_meal_without_a_price_is_given_back_when_both_are_charged(
    foreign: ForeignTerminal,
) -> None:
    open_account(foreign)
    foreign.send(without_price(), without_price(mono_ms=2, boot="other"))
    write_price(foreign, "2026-11-01")
    assert foreign.central.balance("b-1") == -400


def test_meals_of_an_unknown_card_wait_for_the_card_and_then_for_the_price(
    foreign: ForeignTerminal,
) -> None:
    open_account(foreign)
    foreign.send(unknown_meal())
    assign_card(foreign.central.books, NEW_CARD, "b-1", at=foreign.central.clock.instant)
    assert foreign.verdict() == ("flagged", f"{BOOKED_LATER}; no_price")
    write_price(foreign, "2026-11-01")
    assert foreign.verdict() == ("applied", BOOKED_LATER)
    assert foreign.central.balance("b-1") == -400


def test_the_list_of_accounts_counts_meals_without_a_price(foreign: ForeignTerminal) -> None:
    open_account(foreign)
    foreign.send(without_price(), without_price(day="2026-11-24", mono_ms=2))
    foreign.send(foreign.storno(1, account="b-1", cents=0))
    waiting = {row.id: row.without_price for row in lists.accounts(foreign.central.books)}
    assert waiting["b-1"] == 1 and waiting["a-1"] == 0
