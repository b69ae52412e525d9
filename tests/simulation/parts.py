"""The parts of a simulated town: terminals with a disk and a clock, and a central.

A process is the real terminal or the real exchange, driven one turn at a time. It may be killed
between two SQL statements or between two effects, as by a power cut.
"""

import random
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from agent.central.books import town
from agent.central.books.town import Town
from agent.central.server import Exchange
from agent.domain.card import card_token
from agent.domain.clock import Reading, format_instant
from agent.domain.ledger import Entry
from agent.readers.events import CardPresented
from agent.readers.presence import OUTAGE_MS_MAX
from agent.sqlite_file import SqliteFile
from agent.store import writes
from agent.sync.events import Publish
from agent.sync.topics import Topics
from agent.terminal.core import Setup, Terminal
from agent.terminal.inbox import Inbox
from agent.terminal.status import last_will
from agent.terminal.watching import Watching
from tests.parts.wire import KEY, TOWN, ZONE
from tests.simulation.files import PAGES_MAX, BooksInMemory, LedgerInMemory, connect, image_of
from tests.simulation.kill import KillableSql, Killed, KillSwitch
from tests.simulation.model import Disk

CENTRAL = "central"
HELLOS_KEPT = 4
BEGIN = datetime(2026, 9, 14, 9, 45, tzinfo=UTC)  # a Monday, a quarter to twelve in the town
TOPICS = Topics(TOWN)


class Image(Protocol):
    """A backup of the central's books."""

    def close(self) -> None: ...


@dataclass(slots=True)
class Environment:
    """The true time, and chance. `folder` holds the names of the files."""

    random: random.Random
    folder: Path
    now: datetime = BEGIN
    mono_ms: int = 1_000_000
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def pass_ms(self, milliseconds: int) -> None:
        self.now += timedelta(milliseconds=milliseconds)
        self.mono_ms += milliseconds


class Process:
    """A process with an inbox and a connection to the broker. It may be dead."""

    client_id: str

    def __init__(self, path: Path) -> None:
        self.path = path
        # This connection keeps the file in memory while the process is dead.
        self.medium = connect(path)
        self.inbox = Inbox()
        self.linked = False
        self.alive = False
        self.full = False
        self.kill_switch: KillSwitch | None = None

    def will(self) -> tuple[str, bytes]:
        """Return topic and payload of its last will."""
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def arm_kill(self, after: int) -> None:
        """Kill the next turn after so many statements and effects."""
        self.kill_switch = KillSwitch(after)
        file = self.file()
        file.sql = KillableSql(file.sql, self.kill_switch)  # type: ignore[assignment]

    def disarm_kill(self) -> None:
        self.kill_switch = None
        file = self.file()
        if isinstance(file.sql, KillableSql):
            file.sql = file.sql.sql

    def count_set_aside(self) -> int:
        """Return how many messages it has set aside so far."""
        (number,) = self.medium.execute("SELECT coalesce(max(n), 0) FROM set_aside").fetchone()
        return int(number)

    def is_busy(self) -> bool:
        """Return whether its loop takes another turn at once, without an event."""
        return False

    def file(self) -> SqliteFile[Any]:
        raise NotImplementedError

    def fill(self, full: bool) -> None:
        """Make the disk full, or free again. SQLite itself reports it."""
        file = self.file()
        pages = file.sql.execute("PRAGMA page_count").fetchone()[0] if full else PAGES_MAX
        file.sql.execute(f"PRAGMA max_page_count = {pages}")
        if isinstance(file, LedgerInMemory):
            file.pages_max = pages


class Box(Process):
    """A terminal: its disk, its clock, and its process while that lives."""

    def __init__(self, environment: Environment, name: str, number: int) -> None:
        super().__init__(environment.folder / f"{name}-{number}.db")
        self.client_id = name
        self.environment = environment
        self.needs_staff_card = int(name[-1]) % 2 == 0
        self.staff_taps: dict[str, int] = {}  # boot: when a staff card was tapped last
        self.disk = Disk(next(environment.numbers))
        self.images: list[tuple[sqlite3.Connection, Disk]] = []
        self.boot_number = next(environment.numbers)
        self.booted_ms = environment.mono_ms
        self.wall_offset = timedelta()
        self.rate = 0.0  # what its wall clock gains, as a part of the time that passes
        self.rate_since_ms = environment.mono_ms
        self.synced = True
        # when this boot last had a right time, of a time server or of the central
        self.right_ms: int | None = None
        self.contacted = False  # this process has surely taken a message of the central
        self.staff_day_boot = ""  # the boot in which the staff last set the day
        self.misled_alike = False  # a wrong time server and a wrong answer agreed in this boot
        self.db: LedgerInMemory
        self.core: Terminal
        self.start()

    def earlier_entry(self, event: object) -> Entry | None:
        """Return the newest entry before the process began, if it is of the card that is tapped."""
        if not isinstance(event, CardPresented) or not self.disk.entries:
            return None
        entry, reading = list(self.disk.entries.values())[-1].entry, self.reading()
        is_of_card = entry.card == card_token(KEY, event.card)
        is_of_boot = entry.boot == reading.boot and entry.mono_ms < self.started_ms
        is_near = reading.mono_ms - entry.mono_ms <= OUTAGE_MS_MAX
        return entry if is_of_card and is_of_boot and is_near else None

    def start(self) -> None:
        """Start the process on what the disk holds. Raise `AgentError` if it cannot start."""
        setup = Setup(
            town=TOWN,
            terminal=self.client_id,
            zone=ZONE,
            card_key=KEY,
            readers=("counter",),
            software="simulated",
            needs_staff_card=self.needs_staff_card,
            spread=self.environment.random.random,
            epoch_bits=self._bits,
            open_ledger=self._open_ledger,
        )
        self.core = Terminal(setup, self.reading())
        self.watching = Watching(self.core)
        self.started_ms = self.reading().mono_ms
        self.inbox = Inbox()
        self.contacted = False
        # Nonces of the newest hellos: the answer to an older one says nothing about now.
        self.hellos: deque[str | None] = deque(maxlen=HELLOS_KEPT)
        # Taps that this process answered with *out of order* and has not recorded yet.
        self.unrecorded = 0
        self.alive = True

    def _open_ledger(self, known_damage: str | None) -> LedgerInMemory:
        self.db = LedgerInMemory(self.path, headroom_bytes=0, reserve_bytes=0)
        epoch = f"1-{self._bits()}"
        writes.initialise(self.db, town=TOWN, terminal=self.client_id, epoch=epoch)
        if self.full:
            self.fill(True)
        return self.db

    def stop(self) -> None:
        """End the process at once, as a power cut does."""
        self.disarm_kill()
        self.alive = False
        self.db.close()

    def boot(self) -> None:
        """Begin another boot: a new boot id, and the monotonic clock begins again."""
        self.boot_number = next(self.environment.numbers)
        self.booted_ms = self.environment.mono_ms
        self.right_ms, self.misled_alike = None, False

    def error(self) -> timedelta:
        """Return how far its wall clock is ahead of the true time."""
        return self.wall_offset + self._gained()

    def reading(self) -> Reading:
        wall = self.environment.now + self.wall_offset + self._gained()
        return Reading(
            wall=wall,
            mono_ms=self.environment.mono_ms - self.booted_ms,
            boot=f"boot-{self.boot_number}",
            synced=self.synced,
        )

    def is_busy(self) -> bool:
        return self.alive and self.core.wake_ms(self.reading()) == 0

    def set_rate(self, rate: float) -> None:
        """Make the wall clock run fast or slow from now on."""
        self.wall_offset += self._gained()
        self.rate, self.rate_since_ms = rate, self.environment.mono_ms

    def is_right(self) -> bool:
        """Return whether its clock is synchronised and shows the true time."""
        return self.synced and not self.wall_offset and not self._gained()

    def _gained(self) -> timedelta:
        passed_ms = self.environment.mono_ms - self.rate_since_ms
        return timedelta(milliseconds=int(passed_ms * self.rate))

    def save_image(self) -> None:
        """Copy the disk aside."""
        self.images.append((image_of(self.medium), self.disk.copy(0)))

    def put_image(self, image: sqlite3.Connection, disk: Disk) -> None:
        """Put an image onto the disk of a dead process."""
        image.backup(self.medium)
        self.disk = disk.copy(next(self.environment.numbers))

    @staticmethod
    def copied(box: "Box", number: int) -> "Box":
        """Return a second box, not started, with this one's identity and a copy of its disk."""
        twin = Box(box.environment, box.client_id, number)
        twin.stop()
        twin.put_image(*box.images[-1])
        return twin

    def damage(self, change: str, kind: str, name: str) -> bool:
        """Change a record without the program's knowledge. Return whether it is there."""
        self.medium.execute("PRAGMA ignore_check_constraints = ON")
        changed = self.medium.execute(f"{change} WHERE kind = ? AND id = ?", (kind, name))
        self.disk.was_damaged |= changed.rowcount > 0
        return changed.rowcount > 0

    def file(self) -> SqliteFile[Any]:
        return self.db

    def will(self) -> tuple[str, bytes]:
        return last_will(TOWN, self.client_id)

    def _bits(self) -> str:
        return f"{next(self.environment.numbers):016x}"


class Central(Process):
    """The central's process and its file.

    The office uses a connection of its own, as its commands do.
    """

    client_id = CENTRAL

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment.folder / "central.db")
        self.environment = environment
        # The error of the machine's clock, which commands and server use.
        self.wall_offset = timedelta()
        self.books = BooksInMemory(self.path, create=True)
        town.initialise(self.books, Town(TOWN, ZONE.key), self._generation(), at=self.instant)
        self.office = self.opened()
        self._open()

    @property
    def instant(self) -> str:
        return format_instant(self.environment.now + self.wall_offset)

    def opened(self) -> BooksInMemory:
        """Return one more connection."""
        return BooksInMemory(self.path)

    def start(self) -> None:
        self.books = self.opened()
        self._open()

    def stop(self) -> None:
        self.disarm_kill()
        self.alive = False
        self.books.close()

    def command(self, action: Callable[[], object], kill_after: int) -> None:
        """Run a command of the office, and kill it after so many statements."""
        whole = self.office.sql
        self.office.sql = KillableSql(whole, KillSwitch(kill_after))  # type: ignore[assignment]
        try:
            action()
        except Killed:
            whole.close()
            self.office = self.opened()
        else:
            self.office.sql = whole

    def save(self) -> Image:
        """Return a backup, made while the central runs."""
        return image_of(self.medium)

    def restore(self, backup: Image) -> None:
        """Replace the file with a backup. The process must be dead."""
        assert isinstance(backup, sqlite3.Connection)
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
        return f"{next(self.environment.numbers):032x}"
