"""Orders: one waits for each terminal, and their numbers only count up."""

import pytest

from agent.central.books import terminals
from agent.central.books.file import FileBooks
from agent.central.orders import confirm, give_new_epoch, give_order
from agent.domain.ledger import SEQ_MAX
from agent.errors import CentralError
from tests.central.conftest import GENERATION

T = "t-1"


@pytest.fixture(autouse=True)
def terminal(books: FileBooks) -> None:
    with books.transaction():
        terminals.add(books, T, "primaria")


def waiting(books: FileBooks) -> str | None:
    known = terminals.find(books, T)
    assert known is not None
    return known.order_do


def number(order_id: str) -> int:
    return int(order_id.rpartition("-")[2])


# C81
def test_an_order_names_the_generation_and_counts(books: FileBooks) -> None:
    first = give_order(books, T, "new_epoch")
    assert first == f"o-{GENERATION[-8:]}-1"
    confirm(books, T, first)
    assert waiting(books) is None
    assert number(give_order(books, T, "new_epoch")) == 2


def test_the_same_order_is_not_given_twice_while_it_waits(books: FileBooks) -> None:
    assert give_order(books, T, "resync") == give_order(books, T, "resync")
    assert (give_new_epoch(books, T), give_new_epoch(books, T)) == (True, False)


# C82
def test_nothing_replaces_a_wipe(books: FileBooks) -> None:
    wipe = give_order(books, T, "wipe")
    assert give_order(books, T, "new_epoch") == wipe
    assert waiting(books) == "wipe"


# C82
def test_a_resync_that_was_replaced_comes_afterwards(books: FileBooks) -> None:
    give_order(books, T, "resync")
    new_epoch = give_order(books, T, "new_epoch")
    assert waiting(books) == "new_epoch"
    confirm(books, T, new_epoch)
    assert waiting(books) == "resync"
    confirm(books, T, f"o-{GENERATION[-8:]}-3")
    assert waiting(books) is None


# C110
def test_a_waiting_order_whose_number_was_done_gets_a_higher_one(books: FileBooks) -> None:
    """The database was restored from a backup: its terminal has done more orders since."""
    give_order(books, T, "new_epoch")
    confirm(books, T, f"o-{GENERATION[-8:]}-17")
    known = terminals.find(books, T)
    assert known is not None and known.order_id == f"o-{GENERATION[-8:]}-18"


@pytest.mark.parametrize(
    ("done", "next_number"),
    [
        (f"o-x-{SEQ_MAX - 1}", SEQ_MAX),
        (f"o-x-{SEQ_MAX + 1}", 1),
        (f"o-x-{10**30}", 1),
        ("o-x-٣", 1),
        ("nonsense", 1),
        ("", 1),
    ],
)
def test_a_done_order_raises_the_count_only_by_a_number_up_to_the_limit(
    books: FileBooks, done: str, next_number: int
) -> None:
    confirm(books, T, done)
    assert number(give_order(books, T, "resync")) == next_number


def test_an_order_for_an_unknown_terminal_is_refused_with_the_command_to_add_it(
    books: FileBooks,
) -> None:
    with pytest.raises(CentralError, match="canteen-central terminals add"):
        give_order(books, "stranger", "resync")
