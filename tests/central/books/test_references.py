"""References in the books."""

from agent.central.books import references
from agent.central.books.file import FileBooks
from agent.central.books.references import Reference, Share


def test_a_reference_is_looked_up_by_its_id_and_its_notice(books: FileBooks) -> None:
    notice = Reference("iuv", "notice", "iuv", 30, "at")
    with books.transaction():
        references.add(books, notice, [Share("b", 10), Share("a", 20)])
    assert references.find(books, "iuv") == references.find_notice(books, "notice") == notice
    assert references.find(books, "other") is references.find_notice(books, "iuv") is None
    assert references.shares(books, "iuv") == [("a", 20), ("b", 10)]
