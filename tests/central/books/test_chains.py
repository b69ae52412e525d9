"""Chains: each epoch of a terminal has an end, which old batches do not move back."""

import pytest
from sqlalchemy import select

from agent.central.books import chains, tables
from agent.central.books.chains import Chain
from agent.central.books.database import Books
from agent.central.books.query import Query
from agent.domain.ledger import ChainEnd

EPOCH = "1-00000000000000aa"


def end(seq: int, epoch: str = EPOCH) -> ChainEnd:
    return ChainEnd(epoch=epoch, seq=seq, hash=f"{seq:064x}")


@pytest.fixture
def books(either: Books) -> Books:
    return either


def test_a_chain_begins_at_its_start_and_epochs_are_numbered_as_seen(books: Books) -> None:
    assert chains.find(books, "t-1", EPOCH) is None
    chains.begin(books, "t-1", end(0))
    chains.begin(books, "t-1", end(0, "2-00000000000000aa"))
    chains.begin(books, "t-2", end(0))
    assert chains.find(books, "t-1", EPOCH) == Chain(0, f"{0:064x}", 1)
    chain = tables.chain.c
    seen = Query(select(chain.terminal, chain.seen).order_by(chain.terminal, chain.epoch))
    assert books.all(seen) == [("t-1", 1), ("t-1", 2), ("t-2", 1)]


def test_an_old_batch_does_not_move_the_end_back(books: Books) -> None:
    chains.begin(books, "t-1", end(0))
    chains.advance(books, "t-1", end(7), or_back=False)
    chains.advance(books, "t-1", end(3), or_back=False)
    assert chains.find(books, "t-1", EPOCH) == Chain(7, f"{7:064x}", 1)


def test_a_batch_with_a_new_entry_and_a_hello_move_the_end_back(books: Books) -> None:
    """The terminal's disk is another one: its chain ends where it says."""
    chains.begin(books, "t-1", end(0))
    chains.advance(books, "t-1", end(7), or_back=False)
    chains.advance(books, "t-1", end(3), or_back=True)
    assert chains.find(books, "t-1", EPOCH) == Chain(3, f"{3:064x}", 1)
    chains.set_end(books, "t-1", end(2), oldest=2)
    assert chains.find(books, "t-1", EPOCH) == Chain(2, f"{2:064x}", 2)


def test_what_is_booked_is_added_up_over_terminals_and_epochs(books: Books) -> None:
    assert chains.booked(books) == 0
    chains.begin(books, "t-1", end(7))
    chains.begin(books, "t-1", end(2, "2-00000000000000aa"))
    chains.begin(books, "t-2", end(3))
    assert chains.booked(books) == 12
