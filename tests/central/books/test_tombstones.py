"""Tombstones: one for each site and record, with the position of its newest deletion."""

from agent.central.books import tombstones, town
from agent.central.books.file import Books
from agent.central.books.tombstones import Seen


def rows(books: Books) -> list[tuple[str, str, str, int]]:
    found = books.rows("SELECT site, kind, id, p FROM tombstone ORDER BY site, kind, id")
    return [(site, kind, record_id, p) for site, kind, record_id, p in found]


def test_a_record_deleted_again_has_one_tombstone_with_a_new_position(books: Books) -> None:
    tombstones.add(books, "primaria", "account", "a-1")
    tombstones.add(books, "primaria", "account", "a-1")
    position = town.standing(books).position
    assert rows(books) == [("primaria", "account", "a-1", position)]


def test_only_the_tombstone_of_that_site_and_kind_is_removed(books: Books) -> None:
    for site, kind in (("primaria", "account"), ("primaria", "card"), ("media", "account")):
        tombstones.add(books, site, kind, "x")
    tombstones.remove(books, "primaria", "account", "x")
    assert [row[:2] for row in rows(books)] == [("media", "account"), ("primaria", "card")]


def test_tombstones_of_many_records_are_removed_at_once(books: Books) -> None:
    for record_id in ("x", "y", "z"):
        tombstones.add(books, "primaria", "card", record_id)
    tombstones.remove_all(books, [Seen("primaria", "card", "x"), Seen("primaria", "card", "z")])
    assert [row[2] for row in rows(books)] == ["y"]
