"""A new generation is recorded, announced by renumbered orders, and known from then on."""

from agent.central.books import generations, terminals, town
from agent.central.books.file import FileBooks
from agent.central.generation import begin_generation
from agent.central.orders import give_order
from tests.central.conftest import AT, GENERATION

NEXT = "fedcba9876543210" * 2


def test_a_new_generation_keeps_the_position_and_leaves_an_incident(books: FileBooks) -> None:
    before = town.standing(books)
    with books.transaction():
        begin_generation(books, NEXT, at=AT, reason="backup of last night")
    assert town.standing(books) == before._replace(generation=NEXT)
    assert generations.is_known(books, GENERATION) and generations.is_known(books, NEXT)
    rows = books.rows("SELECT at, kind, detail FROM incident")
    assert [tuple(row) for row in rows] == [(AT, "new_generation", "backup of last night")]


# C110
def test_a_waiting_order_is_given_again_in_the_new_generation(books: FileBooks) -> None:
    with books.transaction():
        terminals.add(books, "t-1", "primaria")
        old = give_order(books, "t-1", "wipe")
        begin_generation(books, NEXT, at=AT, reason="test")
    known = terminals.find(books, "t-1")
    assert known is not None and known.order_do == "wipe"
    assert known.order_id == f"o-{NEXT[-8:]}-2" != old
