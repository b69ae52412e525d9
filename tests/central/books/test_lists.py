"""The office's lists."""

import msgspec

from agent.central.books import incidents, lists
from agent.central.books.incidents import Incident, UnusableMessage
from agent.central.books.postgres import Server
from tests.conftest import CARD, OTHER_CARD
from tests.parts.both_engines import on_postgresql
from tests.parts.foreign_terminal import EPOCH, NAME, ForeignTerminal, meal


def test_a_terminal_is_listed_with_how_far_its_newest_epoch_is_booked(
    foreign: ForeignTerminal,
) -> None:
    foreign.send(meal())
    foreign.receive("state", {"online": True})
    foreign.hello()
    rows = {row.id: row for row in lists.terminals(foreign.central.books)}
    row = rows[NAME]
    assert (row.epoch, row.booked, row.last, row.online) == (EPOCH, 1, 1, 1)
    foreign.hello(epoch="2-00000000000000aa", last=0)
    rows = {row.id: row for row in lists.terminals(foreign.central.books)}
    assert (rows[NAME].epoch, rows[NAME].booked) == ("2-00000000000000aa", 0)


def test_an_account_is_listed_with_balance_and_standing_meals(foreign: ForeignTerminal) -> None:
    foreign.send(meal(), meal(day="2026-11-24"))
    foreign.send(foreign.storno(1))
    (row,) = [row for row in lists.accounts(foreign.central.books) if row.id == "a-1"]
    assert (row.balance_cents, row.meals, row.group) == (-366, 1, "1A")
    assert msgspec.to_builtins(row)["class"] == "1A"


def test_incidents_messages_and_entries_are_listed_together_by_time(
    foreign: ForeignTerminal,
) -> None:
    books = foreign.central.books
    with books.transaction():
        incidents.add(books, Incident("2026-11-25T00:00:00.000Z", "hole", "lost", NAME))
        message = UnusableMessage("2026-11-24T00:00:00.000Z", "topic", b"", "unusable")
        incidents.set_aside(books, message)
    foreign.send(meal(account="nobody"))
    found = [(row.kind, row.detail) for row in lists.incidents(books)]
    assert found == [
        ("set_aside", "entry 1: unknown_account"),
        ("message set aside", "topic: unusable"),
        ("hole", "lost"),
    ]


def test_no_list_has_a_card_id_or_a_label(foreign: ForeignTerminal) -> None:
    books = foreign.central.books
    books.sql.execute("UPDATE account SET label = 'Nora K.'")
    foreign.send(meal(kind="unknown_meal", account=None, card="ab" * 16, cents=0))
    rows = [lists.terminals(books), lists.accounts(books), lists.incidents(books)]
    printed = msgspec.json.encode(rows).decode()
    assert "a-1" in printed and "unknown_card" in printed
    uids = [card.partition(":")[2] for card in (CARD, OTHER_CARD)]
    assert not any(secret in printed for secret in ("Nora", "ab" * 16, *uids))


def test_entries_are_listed_by_account_and_terminal_with_who_allowed_them(
    foreign: ForeignTerminal,
) -> None:
    books = foreign.central.books
    foreign.send(meal(), meal(day="2026-11-24"))
    foreign.send({**foreign.storno(1), "by": "cook", "user": "1000 maria"})
    rows = lists.entries(books, newest=10)
    assert [(row.seq, row.kind, row.cents, row.by, row.user) for row in rows] == [
        (1, "meal", -366, None, None),
        (2, "meal", -366, None, None),
        (3, "storno", 366, "cook", "1000 maria"),
    ]
    assert [row.seq for row in lists.entries(books, newest=2)] == [2, 3]
    assert len(lists.entries(books, newest=10, account="a-1", terminal=NAME)) == 3
    assert lists.entries(books, newest=10, account="a-2") == []
    assert lists.entries(books, newest=10, terminal="t-1") == []


def test_an_entry_is_listed_whatever_it_has_in_place_of_texts(foreign: ForeignTerminal) -> None:
    foreign.send({"kind": "meal", "by": 5, "day": [7], "user": "a\0b"})
    (row,) = lists.entries(foreign.central.books, newest=10)
    assert (row.status, row.by, row.day, row.user) == ("set_aside", None, None, "a\0b")


def test_both_engines_list_the_same(foreign: ForeignTerminal, server: Server) -> None:
    """Also an entry without a time, and texts with characters that PostgreSQL does not know."""
    books = foreign.central.books
    foreign.send(meal(), meal(account="a-2", user="a\0b"), {"kind": "meal", "by": 5})
    foreign.send(foreign.storno(1))
    foreign.receive("state", {"online": True, "software": "\0"})
    foreign.hello(software="\0")
    with books.transaction():
        incidents.add(books, Incident("2026-11-25T00:00:00.000Z", "hole", "lost", NAME))
        incidents.set_aside(
            books, UnusableMessage("2026-11-24T00:00:00.000Z", "topic %s", b"\0", "unusable")
        )
    other = on_postgresql(books, server, "lists")
    assert lists.terminals(other) == lists.terminals(books) != []
    assert lists.accounts(other) == lists.accounts(books) != []
    assert lists.incidents(other) == lists.incidents(books) != []
    for named in ({}, {"account": "a-1"}, {"terminal": NAME}, {"account": "a-1", "terminal": NAME}):
        entries = lists.entries(books, newest=3, **named)
        assert lists.entries(other, newest=3, **named) == entries != []
