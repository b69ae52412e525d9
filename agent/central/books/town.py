"""The one row of `central`: the town, the generation, the position, and whether labels are sent."""

from typing import NamedTuple

from agent.central.books.file import Books
from agent.domain.clock import Instant


class Town(NamedTuple):
    """Whose central this is. `zone` is a name like Europe/Rome."""

    name: str
    zone: str


class Standing(NamedTuple):
    """Where the central stands: the generation of its database, and its change counter."""

    generation: str
    position: int


def initialise(books: Books, town: Town, generation: str, *, at: Instant) -> None:
    """Write the row of a new central, in a transaction of its own."""
    with books.transaction():
        books.sql.execute(
            "INSERT INTO central (id, town, zone, generation, position) VALUES (1, ?, ?, ?, 0)",
            (*town, generation),
        )
        books.sql.execute("INSERT INTO generation VALUES (?, ?, 'init')", (generation, at))


def find(books: Books) -> Town:
    """Return the town."""
    return Town(*books.only_row("SELECT town, zone FROM central"))


def standing(books: Books) -> Standing:
    """Return the generation and the position."""
    return Standing(*books.only_row("SELECT generation, position FROM central"))


def next_position(books: Books) -> int:
    """Count one change of a record and return its position."""
    (position,) = books.sql.execute(
        "UPDATE central SET position = position + 1 RETURNING position"
    ).fetchone()
    return int(position)


def next_positions(books: Books, count: int) -> range:
    """Count several changes of records at once and return their positions."""
    if not count:
        return range(0)  # nothing changes, so nothing is written
    (position,) = books.sql.execute(
        "UPDATE central SET position = position + ? RETURNING position", (count,)
    ).fetchone()
    return range(int(position) - count + 1, int(position) + 1)


def sends_labels(books: Books) -> bool:
    """Return whether account records carry their label."""
    return bool(books.only_row("SELECT labels FROM central")[0])


def set_labels(books: Books, sends_labels: bool) -> None:
    """Say whether account records carry their label."""
    books.sql.execute("UPDATE central SET labels = ?", (int(sends_labels),))
