"""References: what the central gives out before a payment can name it, and who gets the money."""

from collections.abc import Sequence
from typing import NamedTuple

from agent.central.books.file import Books
from agent.domain.clock import Instant


class Share(NamedTuple):
    """What an account gets of a payment."""

    account: str
    cents: int


class Reference(NamedTuple):
    """A notice or an order. `root` is the notice that an order pays, else its own id."""

    id: str
    notice: str | None
    root: str
    cents: int
    at: Instant


def add(books: Books, reference: Reference, shares: Sequence[Share] = ()) -> None:
    """Add a reference. `shares` are those of a root; an order of a notice has the notice's."""
    books.sql.execute("INSERT INTO reference VALUES (?, ?, ?, ?, ?)", reference)
    books.sql.executemany(
        "INSERT INTO share VALUES (?, ?, ?)", ((reference.id, *share) for share in shares)
    )


def find(books: Books, reference: str) -> Reference | None:
    """Return a reference by its id, which is the IUV of a notice; None if there is none."""
    row = books.row("SELECT id, notice, root, cents, at FROM reference WHERE id = ?", (reference,))
    return Reference(*row) if row else None


def find_notice(books: Books, notice: str) -> Reference | None:
    """Return a reference by its notice number, None if there is none."""
    row = books.row("SELECT id, notice, root, cents, at FROM reference WHERE notice = ?", (notice,))
    return Reference(*row) if row else None


def shares(books: Books, root: str) -> list[Share]:
    """Return what each account gets of a payment, by account."""
    rows = books.rows(
        "SELECT account, cents FROM share WHERE reference = ? ORDER BY account", (root,)
    )
    return [Share(*row) for row in rows]


def count_orders(books: Books, root: str) -> int:
    """Return how many orders a notice has."""
    return int(
        books.only_row("SELECT count(*) FROM reference WHERE root = ? AND id <> root", (root,))[0]
    )
