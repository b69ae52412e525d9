"""`Books`: one connection to the books of a town, on SQLite or on PostgreSQL.

The functions of this room take it first. What they say of transactions holds on both engines: one
transaction of a town writes at a time, and sees all that was committed before it began.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Table

from agent.central.books.query import Query, Value, Values
from agent.errors import CentralError

Row = tuple[Any, ...]
_PASSWORD = re.compile(r"(?<=://)([^:@/]*):[^@]*(?=@)|(?<=password=)[^&]*")


def shown(url: str) -> str:
    """Return the URL of a server without its password."""
    return _PASSWORD.sub(r"\1", url)


class Books(ABC):
    """One connection, used by one thread. Raises `CentralError`."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Return how people name these books: their file, or their server and town."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""

    @abstractmethod
    def reopen(self) -> None:
        """Connect again: the connection is closed where it could not roll back."""

    @abstractmethod
    def is_usable(self) -> bool:
        """Return whether this connection works. It may wait for another that writes."""

    @abstractmethod
    def version(self) -> int:
        """Return a number that changes when another connection has committed."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[object]:
        """Run the block as one transaction. When it ends, all is on the disk; else nothing is."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[object]:
        """Run the block's reads on one snapshot. A block inside a block shares it."""

    @abstractmethod
    def erase_deleted(self) -> None:
        """Let what is deleted from now on be overwritten, where this connection can do that."""

    @abstractmethod
    def page_faults(self) -> list[str]:
        """Return what the engine finds wrong with its own pages, a hundred sentences at most."""

    @abstractmethod
    def all(self, query: Query, **values: Value) -> list[Row]:
        """Return all rows of a query."""

    @abstractmethod
    def each(self, query: Query, **values: Value) -> Iterator[Row]:
        """Yield the rows of a query, few of them in memory at a time."""

    @abstractmethod
    def first(self, query: Query, **values: Value) -> Row | None:
        """Return the first row of a query, None if there is none."""

    def only(self, query: Query, **values: Value) -> Row:
        """Return the first row of a query that always has one."""
        row = self.first(query, **values)
        if row is None:
            raise CentralError(f"{self.name}: a row is missing that every central has")
        return row

    @abstractmethod
    def changed(self, query: Query, **values: Value) -> Row:
        """Execute a statement that changes a row and returns it."""

    @abstractmethod
    def run(self, query: Query, **values: Value) -> int:
        """Execute a statement; return how many rows it changed."""

    @abstractmethod
    def run_all(self, query: Query, values: Iterable[Values]) -> None:
        """Execute a statement once for each set of values."""

    @abstractmethod
    def add_all(self, table: Table, columns: tuple[str, ...], rows: Iterable[Row]) -> None:
        """Add rows to a table, as fast as the engine's driver can; values are in that order.

        The connection is busy meanwhile: what yields the rows reads nothing by it.
        """
