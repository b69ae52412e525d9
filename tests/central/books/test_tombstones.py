"""Tombstones: one for each site and record, with the position of its newest deletion."""

from agent.central.books import accounts, cards, tombstones, town
from agent.central.books.accounts import Account
from agent.central.books.cards import Card
from agent.central.books.file import FileBooks
from agent.domain.card import Token


def rows(books: FileBooks) -> list[tuple[str, str, str, int]]:
    found = books.rows("SELECT site, kind, id, p FROM tombstone ORDER BY site, kind, id")
    return [(site, kind, record_id, p) for site, kind, record_id, p in found]


def test_a_record_deleted_again_has_one_tombstone_with_a_new_position(books: FileBooks) -> None:
    tombstones.add(books, "primaria", "account", "a-1")
    tombstones.add(books, "primaria", "account", "a-1")
    position = town.standing(books).position
    assert rows(books) == [("primaria", "account", "a-1", position)]


def test_only_the_tombstone_of_that_site_and_kind_is_removed(books: FileBooks) -> None:
    for site, kind in (("primaria", "account"), ("primaria", "card"), ("media", "account")):
        tombstones.add(books, site, kind, "x")
    tombstones.remove(books, "primaria", "account", "x")
    assert [row[:2] for row in rows(books)] == [("media", "account"), ("primaria", "card")]


def test_what_is_at_a_site_has_no_tombstone_there(books: FileBooks) -> None:
    accounts.add(books, Account("a-1", "primaria", "pupil", "active"))
    cards.put(books, Card(Token("ab" * 16), "a-1", "active"))
    for site in ("media", "primaria"):
        for kind, record_id in (("account", "a-1"), ("card", "ab" * 16), ("account", "a-2")):
            tombstones.add(books, site, kind, record_id)
    tombstones.remove_of_present(books)
    assert [row[:3] for row in rows(books)] == [
        ("media", "account", "a-1"),
        ("media", "account", "a-2"),
        ("media", "card", "ab" * 16),
        ("primaria", "account", "a-2"),
    ]
