"""Facts: what a rule must know, read in a few queries for all of a batch."""

from typing import Any

from agent.central.books import accounts, boots, cards, entries, facts, postings, rules
from agent.central.books.accounts import Account, AccountPrice
from agent.central.books.boots import Boot, BootTime
from agent.central.books.cards import Card
from agent.central.books.facts import Facts, Kept, Later, Wanted
from agent.central.books.file import FileBooks
from agent.central.books.meals import Serving
from agent.central.books.postings import Posting
from agent.central.books.rules import GIVE_BACK, Rules
from agent.domain.canteen import PolicyRecord, Price
from agent.domain.card import Token
from agent.domain.ledger import EntryKey
from tests.parts.booked_entry import entry

LUNCH = Serving("a-1", "lunch", "2026-11-23")
AT = "2026-11-23T12:00:00.000Z"
TOKEN = Token("ab" * 16)


def read(books: FileBooks, wanted: Wanted) -> Facts:
    known = Facts()
    facts.read(books, known, wanted)
    return known


def test_what_the_books_have_and_what_they_lack_are_both_facts(books: FileBooks) -> None:
    pupil = Account("a-1", "primaria", "pupil", "active")
    price = Price(from_day="2026-09-01", service="lunch", cents=366)
    accounts.add_all(books, [pupil])
    accounts.set_prices(books, [AccountPrice("a-1", price)])
    cards.put(books, Card(TOKEN, "a-1", "active"))
    boot, time = Boot("t-1", "b"), BootTime(AT, 5)
    boots.keep(books, boot, time)
    other = Boot("t-1", "c")
    names = Wanted(
        accounts={"a-1", "a-2"},
        cards={TOKEN, "cd" * 16},
        priced={"a-1", "a-2"},
        boots={boot, other},
    )
    known = read(books, names)
    assert known.accounts == {"a-1": pupil, "a-2": None}
    assert known.cards == {TOKEN: Card(TOKEN, "a-1", "active"), "cd" * 16: None}
    assert known.priced == {"a-1": [price], "a-2": []}
    assert known.boots == {boot: time, other: None}


def test_an_entry_comes_with_what_stands_beside_it(books: FileBooks) -> None:
    meal, second = entry(1), entry(2)
    undoes: dict[str, Any] = {"undoes_epoch": "1-aa", "undoes_seq": 1, "undoes_hash": "h1"}
    storno = entry(3, kind="storno", cents=366, **undoes)
    entries.add_all(books, [meal, second, storno])
    given = Posting("a-1", 366, "double_meal", AT, entry=second.key)
    postings.add_all(books, [given, Posting("a-1", -366, "meal", AT, entry=second.key)])
    absent = EntryKey("t-1", "1-aa", 1, "other")
    known = read(books, Wanted(entries={meal.key, second.key, absent}))
    assert known.entries == {
        meal.key: Kept(meal, is_undone=True, given_back_cents=0),
        second.key: Kept(second, is_undone=False, given_back_cents=366),
        absent: None,
    }


def test_a_serving_has_its_booked_meals_and_no_other(books: FileBooks) -> None:
    rules.put_policy(books, Rules(PolicyRecord(from_day="2026-09-01", p=0), GIVE_BACK))
    unbooked = entry(5, cents=None, account=None)
    others = [entry(3, service="snack"), entry(4, true_day="2026-11-24"), unbooked]
    entries.add_all(books, [entry(1), entry(2, kind="unknown_meal"), *others])
    entries.add_all(books, [entry(6, kind="storno"), entry(7, account="a-2")])
    empty = LUNCH._replace(account="a-3")
    known = read(books, Wanted(servings={LUNCH, empty}))
    assert known.servings.keys() == {LUNCH, empty} and known.servings[empty] == []
    assert sorted(known.servings[LUNCH]) == [entry(1).key, entry(2).key]
    assert known.entries.keys() == {entry(1).key, entry(2).key}
    assert known.rules == [("2026-09-01", GIVE_BACK)]


def test_a_boot_has_its_entries_and_those_without_a_time(books: FileBooks) -> None:
    undated = entry(2, dated=0)
    entries.add_all(books, [entry(1), undated, entry(3, boot="c"), entry(4)._replace(epoch="2-aa")])
    boot = Boot("t-1", "b")
    known = read(books, Wanted(undated={boot}, whole_boots={boot}))
    assert known.undated == {boot: [undated.key]}
    assert {key[1:3] for key in known.whole_boots[boot]} == {("1-aa", 1), ("1-aa", 2), ("2-aa", 4)}


def test_entries_of_other_boots_are_later_or_have_no_time_of_their_own(books: FileBooks) -> None:
    noon, later = "2026-11-23T11:00:00.000Z", "2026-11-25T11:00:00.000Z"
    wrong = entry(11, true_at=later, boot="c")
    ahead = entry(12, true_at=None, true_day=None, dated=0, boot="c")
    others = [
        entry(13, true_at=noon, boot="c"),
        entry(14, true_at=later, boot="own"),
        entry(15, true_at=None, clock="unset", boot="c"),
        entry(16, true_at=later, boot="c")._replace(terminal="t-2"),
    ]
    entries.add_all(books, [wrong, ahead, *others])
    wanted = Later(Boot("t-1", "own"), noon)
    assert read(books, Wanted(later={wanted})).later == {wanted: [wrong.key, ahead.key]}


def test_nothing_is_read_where_nothing_is_wanted(books: FileBooks) -> None:
    assert not Wanted() and Wanted(cards={"ab"})
    assert read(books, Wanted()) == Facts()
