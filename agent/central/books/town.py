"""The one row of `central`: the town, the generation, the position, and whether labels are sent."""

from typing import NamedTuple

from sqlalchemy import insert, select, update

from agent.central.books import tables
from agent.central.books.database import Books
from agent.central.books.query import Query, value
from agent.domain.clock import Instant
from agent.errors import CentralError

_CENTRAL = tables.central.c
_FIND = Query(select(_CENTRAL.town, _CENTRAL.zone))
_STANDING = Query(select(_CENTRAL.generation, _CENTRAL.position))
_ADVANCE = Query(
    update(tables.central)
    .values(position=_CENTRAL.position + value("count"))
    .returning(_CENTRAL.position)
)
_LABELS = Query(select(_CENTRAL.labels))
_SET_LABELS = Query(update(tables.central).values(labels=value("labels")))
_LEAD = Query(update(tables.central).values(leader=value("new_leader")))
_BEGIN = Query(
    insert(tables.central).values(
        id=1, town=value("town"), zone=value("zone"), generation=value("generation"), position=0
    )
)
_FIRST_GENERATION = Query(
    insert(tables.generation).values(id=value("id"), since=value("since"), reason="init")
)


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
        books.run(_BEGIN, town=town.name, zone=town.zone, generation=generation)
        books.run(_FIRST_GENERATION, id=generation, since=at)


def find(books: Books) -> Town:
    """Return the town."""
    return Town(*books.only(_FIND))


def standing(books: Books) -> Standing:
    """Return the generation and the position."""
    return Standing(*books.only(_STANDING))


def next_position(books: Books) -> int:
    """Count one change of a record and return its position."""
    (position,) = books.changed(_ADVANCE, count=1)
    return int(position)


def next_positions(books: Books, count: int) -> range:
    """Count several changes of records at once and return their positions."""
    if not count:
        return range(0)  # nothing changes, so nothing is written
    (position,) = books.changed(_ADVANCE, count=count)
    return range(int(position) - count + 1, int(position) + 1)


def sends_labels(books: Books) -> bool:
    """Return whether account records carry their label."""
    return bool(books.only(_LABELS)[0])


def set_labels(books: Books, sends_labels: bool) -> None:
    """Say whether account records carry their label."""
    books.run(_SET_LABELS, labels=int(sends_labels))


def is_made(books: Books) -> bool:
    """Return whether the books have their row, so whether `initialise` ended."""
    return books.first(_FIND) is not None


def lead(books: Books, lease: str | None) -> None:
    """Write which process serves the town: from now on the one before writes nothing.

    Raise `CentralError` for a town that another program is just making.
    """
    if books.run(_LEAD, new_leader=lease) != 1:
        raise CentralError(f"{books.name}: is being made")
