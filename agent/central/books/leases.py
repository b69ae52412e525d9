"""Leases: which process serves which town, by advisory locks of a PostgreSQL session.

The locks end with the session, so with the process and with its connection. The process that takes
a town writes a new lease into the town's row, under the row's lock. From then on the books refuse
every transaction of the one before (`TownBooks`): a process that does not know yet that its session
ended writes nothing any more.
"""

import secrets
from collections import Counter
from typing import LiteralString, NamedTuple
from zlib import crc32

from psycopg import Error

from agent.central.books.database import Row
from agent.central.books.postgres import PREFIX, Server, TownBooks
from agent.central.books.town import lead
from agent.errors import CentralError

# Two numbers name an advisory lock. The second is the number of the town's schema.
_PROCESS = 0x43454E50  # "CENP"
_TOWN = 0x43454E54  # "CENT"
LEASE_BYTES = 8
FREE_LOOKS = 10
"""So many looks in a row a town is left to the other processes, which have less to do."""


class Lease(NamedTuple):
    """A town that this process leads, and what it wrote into the town's row.

    `number` is of its lock: a town that was removed and restored meanwhile has another.
    """

    town: str
    token: str
    number: int


class Leases:
    """The towns that a process leads. `server` is a connection for nothing else.

    Raises `CentralError` when the session has ended: nothing is led any more.
    """

    def __init__(self, server: Server, books_of: Server, towns: frozenset[str] | None) -> None:
        self._server = server
        self._books = books_of
        self._only = towns
        # processes with the same list share its towns between them
        self._group = crc32(" ".join(sorted(towns)).encode()) >> 1 if towns is not None else 0
        self.held: dict[str, Lease] = {}
        self._free: Counter[str] = Counter()  # town -> looks in a row in which nobody led it
        self._left: set[str] = set()  # towns that other processes cannot open
        self._join()

    def renew(self) -> None:
        """Begin again with a new session, which leads nothing."""
        self.held = {}
        self._server.close()
        self._server.connect()
        self._join()

    def close(self) -> None:
        """End the session: another process may lead the towns."""
        self.held = {}
        self._server.close()

    def surplus(self) -> list[str]:
        """Return the towns to give back: above this process's share, removed or restored."""
        numbers, share = self._count()
        kept = [town for town, lease in self.held.items() if numbers.get(town) == lease.number]
        own = [town for town in kept if town not in self._left]
        return [town for town in self.held if town not in kept] + own[share:]

    def take(self) -> dict[str, str]:
        """Take towns that nobody leads, up to this process's share.

        Return why towns could not be opened: they are left to other processes. A town that is still
        free after `FREE_LOOKS` looks is taken beyond the share: another process cannot open it.
        """
        numbers, share = self._count()
        faults = dict.fromkeys(
            (self._only or frozenset()) - numbers.keys(),
            "is not in this database; see: canteen-central town list",
        )
        self._count_free(numbers)
        for town, number in numbers.items():
            if town in self.held or (self._own() >= share and town not in self._left):
                continue
            if self._locks(number):
                fault = self._lead(town, number)
                if fault is not None:
                    faults[town] = fault
        return faults

    def _own(self) -> int:
        """Return how many towns count for this process's share."""
        return sum(1 for town in self.held if town not in self._left)

    def _count_free(self, numbers: dict[str, int]) -> None:
        """Count the looks in which nobody led a town; note those that others leave."""
        rows = self._execute(
            "SELECT objid::int8::bit(32)::int4 FROM pg_locks WHERE locktype = 'advisory'"
            " AND classid = %s AND granted AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())",
            (_TOWN,),
        )
        led = {int(row[0]) for row in rows}
        free = [town for town, number in numbers.items() if number not in led]
        self._free = Counter({town: self._free[town] + 1 for town in free})
        self._left = {town for town in self._left if town in self.held} | {
            town for town, looks in self._free.items() if looks > FREE_LOOKS
        }

    def _count(self) -> tuple[dict[str, int], int]:
        """Return the number of each town's lock, and how many towns each process should lead."""
        try:
            numbers = self._numbers()
            return numbers, -(-len(numbers) // self._processes())
        except Error as error:
            raise self._server.fault("leases are lost", error) from error

    def give_back(self, town: str) -> None:
        """Let another process lead a town."""
        number = self.held.pop(town).number
        self._execute("SELECT pg_advisory_unlock(%s, %s)", (_TOWN, number))

    def _execute(self, statement: LiteralString, values: tuple[int, ...]) -> list[Row]:
        try:
            return self._server.sql.execute(statement, values).fetchall()
        except Error as error:
            raise self._server.fault("leases are lost", error) from error

    def _join(self) -> None:
        self._execute("SELECT pg_advisory_lock_shared(%s::int4, %s::int4)", (_PROCESS, self._group))

    def _processes(self) -> int:
        (number,) = self._server.sql.execute(
            "SELECT count(DISTINCT pid) FROM pg_locks WHERE locktype = 'advisory'"
            " AND classid = %s AND objid = %s AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())",
            (_PROCESS, self._group),
        ).fetchone() or (1,)
        return max(1, int(number))

    def _numbers(self) -> dict[str, int]:
        rows = self._server.sql.execute(
            "SELECT substr(nspname, %s), oid::int8::bit(32)::int4 FROM pg_namespace"
            " WHERE starts_with(nspname, %s) ORDER BY oid",
            (len(PREFIX) + 1, PREFIX),
        ).fetchall()
        return {
            str(town): int(number)
            for town, number in rows
            if self._only is None or town in self._only
        }

    def _locks(self, number: int) -> bool:
        return self._execute("SELECT pg_try_advisory_lock(%s, %s)", (_TOWN, number)) == [(True,)]

    def _lead(self, town: str, number: int) -> str | None:
        """Write a new lease into the town's row; return why that cannot be done."""
        lease = Lease(town, secrets.token_hex(LEASE_BYTES), number)
        self.held[town] = lease
        try:
            books = TownBooks(self._books, town)
            with books.transaction():
                lead(books, lease.token)
        except CentralError as error:
            self.give_back(town)
            return str(error)
        return None
