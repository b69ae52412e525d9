"""The parts of a simulated town: boxes with a disk and a clock, a central; and how each of them dies.

Of the program only the opening of a file is replaced (`InMemory`). A process is the real terminal or the real exchange, driven one turn at
a time; it dies between two SQL statements or between two effects, as if the plug had been pulled there.
"""

import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from agent.central.books import town
from agent.central.books.file import Books
from agent.central.books.town import Town
from agent.central.server import Exchange
from agent.domain.clock import Reading, format_instant
from agent.sqlite_file import SqliteFile
from agent.store import writes
from agent.store.database import Database
from agent.sync.events import Publish
from agent.sync.topics import Topics
from agent.terminal.core import Setup, Terminal, last_will
from agent.terminal.inbox import Inbox
from tests.parts.wire import KEY, TOWN, ZONE
from tests.simulation.model import Disk

CENTRAL = "central"
BEGIN = datetime(2026, 9, 14, 9, 45, tzinfo=UTC)  # a Monday, a quarter to twelve in the town
TOPICS = Topics(TOWN)


class Killed(BaseException):
    """The plug: no code under test may catch it and go on."""


class Fuse:
    """Burns down by one at every SQL statement and at every effect; at none left the process is dead."""

    def __init__(self, left: int) -> None:
        self._left = left

    def burn(self) -> None:
        if self._left == 0:
            raise Killed
        self._left -= 1


class FusedSql:
    """A connection whose statements burn a fuse. When it has blown they only clean up."""

    def __init__(self, sql: sqlite3.Connection, fuse: Fuse) -> None:
        self.sql = sql
        self._fuse = fuse
        self._blown = False

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        if not self._blown:
            try:
                self._fuse.burn()
            except Killed:
                self._blown = True
                raise
        return self.sql.execute(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sql, name)


@dataclass(slots=True)
class World:
    """The time that really is, and chance; `folder` holds the names of files."""

    random: random.Random
    folder: Path
    now: datetime = BEGIN
    mono_ms: int = 1_000_000
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def pass_ms(self, milliseconds: int) -> None:
        self.now += timedelta(milliseconds=milliseconds)
        self.mono_ms += milliseconds


class InMemory(SqliteFile[Any]):
    """A file of ours whose bytes are in SQLite's own memory file: every connection of this process that names it shares it, and the
    last one takes it along. How a file on a disk tears, and what a flush costs, is for tests/crash and the benchmark to say.

    In the folder lies its name, for whoever looks whether it is there.
    """

    def _create(self) -> None:
        self.path.write_bytes(b"SQLite format 3\0")

    def _connect(self, path: Path, mode: str) -> sqlite3.Connection:
        return connect(path)

    def is_in_place(self) -> bool:
        return True


def connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?vfs=memdb", uri=True, isolation_level=None)


def image_of(sql: sqlite3.Connection) -> sqlite3.Connection:
    """Return a copy of a file, in a memory of its own."""
    copy = sqlite3.connect(":memory:")
    sql.backup(copy)
    return copy


class Flash(InMemory, Database):
    """A terminal's file on a card that may be full, also after it was opened again."""

    pages_max = 2**30

    def _open(self, path: Path, mode: str) -> None:
        super()._open(path, mode)
        self.sql.execute(f"PRAGMA max_page_count = {self.pages_max}")


class BooksInMemory(InMemory, Books):
    """The central's file."""


class Process:
    """Something that runs, with an inbox and a connection; or has died."""

    client_id: str

    def __init__(self, path: Path) -> None:
        self.path = path
        self.medium = connect(path)  # keeps what is on the disk when the process dies
        self.inbox = Inbox()
        self.linked = False
        self.alive = False
        self.full = False
        self.fuse: Fuse | None = None

    def will(self) -> tuple[str, bytes]:
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def light(self, points: int) -> None:
        """Let the next turn die after so many statements and effects."""
        self.fuse = Fuse(points)
        file = self.file()
        file.sql = FusedSql(file.sql, self.fuse)  # type: ignore[assignment]

    def put_out(self) -> None:
        self.fuse = None
        file = self.file()
        if isinstance(file.sql, FusedSql):
            file.sql = file.sql.sql

    def count_set_aside(self) -> int:
        """Return how many messages it has set aside so far."""
        (count,) = self.medium.execute("SELECT coalesce(max(n), 0) FROM set_aside").fetchone()
        return int(count)

    def is_busy(self) -> bool:
        """Return whether its loop goes on at once when no event waits."""
        return False

    def file(self) -> SqliteFile[Any]:
        raise NotImplementedError

    def fill(self, full: bool) -> None:
        """Let the disk be full: SQLite itself then says so."""
        file = self.file()
        pages = file.sql.execute("PRAGMA page_count").fetchone()[0] if full else 2**30
        file.sql.execute(f"PRAGMA max_page_count = {pages}")
        if isinstance(file, Flash):
            file.pages_max = pages


class Box(Process):
    """A terminal: its disk, its clock, and its process while it lives."""

    def __init__(self, world: World, name: str, number: int) -> None:
        super().__init__(world.folder / f"{name}-{number}.db")
        self.client_id = name
        self.world = world
        self.disk = Disk(next(world.numbers))
        self.images: list[tuple[sqlite3.Connection, Disk]] = []
        self.boot_number = next(world.numbers)
        self.booted_ms = world.mono_ms
        self.wall_offset = timedelta()
        self.rate = 0.0  # how much its wall clock gains, as a part of the time that passes
        self.rate_since_ms = world.mono_ms
        self.synced = True
        self.db: Flash
        self.core: Terminal
        self.start()

    def start(self) -> None:
        """Start the process on what the disk holds. Raise `AgentError` if it cannot."""
        setup = Setup(
            town=TOWN,
            terminal=self.client_id,
            zone=ZONE,
            card_key=KEY,
            readers=("counter",),
            software="simulated",
            spread=self.world.random.random,
            epoch_bits=self._bits,
            open_ledger=self._open_ledger,
        )
        self.core = Terminal(setup, self.reading())
        self.inbox = Inbox()
        self.unrecorded = 0  # taps this process told *out of order* and has not recorded yet
        self.alive = True

    def _open_ledger(self, known_damage: str | None) -> Flash:
        self.db = Flash(self.path, headroom_bytes=0)
        epoch = f"1-{self._bits()}"
        writes.initialise(self.db, town=TOWN, terminal=self.client_id, epoch=epoch)
        if self.full:
            self.fill(True)
        return self.db

    def stop(self) -> None:
        """The process is gone, whatever it was doing."""
        self.put_out()
        self.alive = False
        self.db.close()

    def boot(self) -> None:
        """The machine starts anew: another boot id, and its count of milliseconds begins again."""
        self.boot_number = next(self.world.numbers)
        self.booted_ms = self.world.mono_ms

    def reading(self) -> Reading:
        wall = self.world.now + self.wall_offset + self._gained()
        return Reading(
            wall=wall,
            mono_ms=self.world.mono_ms - self.booted_ms,
            boot=f"boot-{self.boot_number}",
            synced=self.synced,
        )

    def is_busy(self) -> bool:
        return self.alive and self.core.wake_ms(self.reading()) == 0

    def set_rate(self, rate: float) -> None:
        """Let the wall clock run fast or slow from now on."""
        self.wall_offset += self._gained()
        self.rate, self.rate_since_ms = rate, self.world.mono_ms

    def is_right(self) -> bool:
        """Return whether its clock is kept, and right."""
        return self.synced and not self.wall_offset and not self._gained()

    def _gained(self) -> timedelta:
        return timedelta(milliseconds=int((self.world.mono_ms - self.rate_since_ms) * self.rate))

    def save_image(self) -> None:
        """Copy the disk aside."""
        self.images.append((image_of(self.medium), self.disk.copy(0)))

    def put_image(self, image: sqlite3.Connection, disk: Disk) -> None:
        """Put an image onto the disk of a box whose process is gone."""
        image.backup(self.medium)
        self.disk = disk.copy(next(self.world.numbers))

    @staticmethod
    def copied(box: "Box", number: int) -> "Box":
        """Return another box with a copy of this one's disk and its identity, not started."""
        twin = Box(box.world, box.client_id, number)
        twin.stop()
        twin.put_image(*box.images[-1])
        return twin

    def damage(self, change: str, account: str) -> None:
        """Change an account's record behind the program's back."""
        self.medium.execute("PRAGMA ignore_check_constraints = ON")
        self.medium.execute(f"{change} WHERE kind = 'account' AND id = ?", (account,))

    def file(self) -> SqliteFile[Any]:
        return self.db

    def will(self) -> tuple[str, bytes]:
        return last_will(TOWN, self.client_id)

    def _bits(self) -> str:
        return f"{next(self.world.numbers):016x}"


class Central(Process):
    """The central's process and its file. The office works on the file with a connection of its own, as its commands do."""

    client_id = CENTRAL

    def __init__(self, world: World) -> None:
        super().__init__(world.folder / "central.db")
        self.world = world
        self.wall_offset = timedelta()  # by how much the office's machine is wrong, of which commands and central take their time
        self.books = BooksInMemory(self.path, create=True)
        town.initialise(self.books, Town(TOWN, ZONE.key), self._generation(), at=self.instant)
        self.office = self.opened()
        self._open()

    @property
    def instant(self) -> str:
        return format_instant(self.world.now + self.wall_offset)

    def opened(self) -> BooksInMemory:
        """Return one more connection."""
        return BooksInMemory(self.path)

    def start(self) -> None:
        self.books = self.opened()
        self._open()

    def stop(self) -> None:
        self.put_out()
        self.alive = False
        self.books.close()

    def save(self) -> sqlite3.Connection:
        """Make a backup, as an administrator would while the central runs."""
        return image_of(self.medium)

    def restore(self, backup: sqlite3.Connection) -> None:
        """Put a backup in the place of the file, while nothing runs."""
        backup.backup(self.medium)

    def file(self) -> SqliteFile[Any]:
        return self.books

    def will(self) -> tuple[str, bytes]:
        absent = Publish(topic=TOPICS.central_state, payload=b'{"online":false}', retain=True)
        return absent.topic, absent.payload

    def new_generation(self) -> str:
        return self._generation()

    def _open(self) -> None:
        if self.full:
            self.fill(True)
        self.exchange = Exchange(self.books, new_generation=self._generation)
        self.inbox = Inbox()
        self.alive = True

    def _generation(self) -> str:
        return f"{next(self.world.numbers):032x}"
