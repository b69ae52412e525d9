"""A terminal as a process: builds everything from `Config` and runs the main loop.

The loop alone writes the database, decides, and feeds the watchdog; readers, link and control socket have threads that put
events on one bounded queue, taps ahead of messages. The only broad `except` of the program is in `guarded`: log, exit 3,
and let systemd start again from what is on the disk; a card that lies on a reader gets *out of order* before.
"""

import contextlib
import fcntl
import itertools
import logging
import os
import random
import secrets
import signal
import sys
import threading
from collections import deque
from importlib.metadata import version
from pathlib import Path
from typing import IO

from agent.domain.clock import Reading, format_instant
from agent.errors import AgentError, ConfigError, DamagedError, StoreError
from agent.ops.clock import boot_id, read_clock
from agent.ops.notify import Notifier
from agent.readers.events import CardPresented, CardUnreadable, ReaderDown, ReaderUp, Show
from agent.readers.open import reader_thread
from agent.readers.presence import RecentTaps
from agent.store import reads
from agent.store.database import Database
from agent.store.salvage import close_without_checkpoint, open_ledger
from agent.sync.events import Acknowledge, DropLink, LinkDown, LinkUp, Publish
from agent.sync.ledger_file import end_of
from agent.sync.mqtt import MqttLink
from agent.sync.topics import Topics
from agent.terminal.config import Config
from agent.terminal.control import ControlSocket
from agent.terminal.core import Terminal, last_will
from agent.terminal.export import pieces, write_export
from agent.terminal.mirror import Mirror
from agent.terminal.storage_fault import Effect, Event, StorageFault, UnavailableTerminal

TAPS_MAX = 64  # far more than readers can hold up to a loop that answers in milliseconds
# The broker has at most 20 messages under way to us (RECEIVE_MAX), the rest is state and requests; with MQTT 3.1.1 it may have more:
# what is dropped here is not acknowledged and comes again with the next connection.
OTHERS_MAX = 256
IDLE_MS_MAX = 1_000
SWITCH_INTERVAL_S = 0.0001  # a busy thread must not hold the interpreter from a tap: every sqlite3 call gives it away and asks for it back

log = logging.getLogger("agent.terminal.process")


class Inbox:
    """The one queue: bounded, taps ahead of everything else. A full one drops, counts, and says so once.

    What a reader says of itself is told once and never dropped: its thread tells it as often as it goes and comes, a few times a minute.
    """

    def __init__(self) -> None:
        self._taps: deque[Event] = deque()
        self._others: deque[Event] = deque()
        self._filled = threading.Condition()
        self._closed = False
        self.dropped = 0

    def put(self, event: Event) -> bool:
        """Enqueue and return True, or drop and return False. Never waits."""
        is_tap = isinstance(event, CardPresented | CardUnreadable)
        line, limit = (self._taps, TAPS_MAX) if is_tap else (self._others, OTHERS_MAX)
        with self._filled:
            if len(line) >= limit and not isinstance(event, ReaderUp | ReaderDown):
                self.dropped += 1
                if self.dropped == 1:
                    log.error(
                        "the queue is full (%d): events are dropped and counted from now on", limit
                    )
                return False
            line.append(event)
            self._filled.notify()
        return True

    def get(self, timeout_ms: int) -> Event | None:
        """Return the next event, None when none came in time or the inbox is closed."""
        with self._filled:
            if not (self._taps or self._others or self._closed) and timeout_ms > 0:
                self._filled.wait(timeout_ms / 1000)
            return (
                self._taps.popleft()
                if self._taps
                else self._others.popleft()
                if self._others
                else None
            )

    def close(self) -> None:
        with self._filled:
            self._closed = True
            self._filled.notify()


class App:
    """A running terminal."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._inbox = Inbox()
        self._stopping = False
        self._bug: BaseException | None = None
        self._boot = boot_id()
        self._notifier = Notifier()
        self._lock: IO[str] | None = None
        self._db: Database | None = None
        self._damage: str | None = None
        self._heard: dict[str | None, Event | None] = dict.fromkeys(
            [*(reader.name for reader in config.readers), None]
        )
        self._terminal = self._opened(None)
        self._link = MqttLink(
            config.broker,
            client_id=config.terminal,
            subscriptions=Topics(config.town).read_by_terminal(config.terminal),
            will=last_will(config.town, config.terminal),
            on_event=self._inbox.put,
        )
        self._mirror = (
            Mirror(config.mirror, config.terminal, _mirror_end)
            if config.mirror is not None
            else None
        )
        self._control = ControlSocket(config.control_socket, self._inbox.put)
        recent = RecentTaps(threading.Lock())
        self._readers = {
            reader.name: reader_thread(reader, self._inbox.put, recent) for reader in config.readers
        }

    def _opened(self, before: UnavailableTerminal | None) -> Terminal | UnavailableTerminal:
        """Return the terminal; what stands for it while its file cannot be opened, `before` if that is so already."""
        try:
            self._lock = self._lock or lock_state_dir(self._config.state_dir)
            self._db = _open_database(self._config, self._damage)
            self._damage = None
            return Terminal(
                self._db,
                zone=self._config.zone,
                card_key=self._config.card_key,
                readers=[reader.name for reader in self._config.readers],
                software=version("canteen-agent"),
                spread=random.random,
                epoch_bits=new_epoch_bits,
                fault=before.fault if before else None,
            )
        except StoreError as error:
            reading = read_clock(self._boot)
            self._give_up(error)
            if before is None:
                return self._unopened(
                    StorageFault.begun(error, reading.mono_ms, self._config.card_key)
                )
            for effect in before.failed_again(error, reading):
                self._perform(effect)
            return before

    def _give_up(self, error: StoreError) -> None:
        """Close a file that is of no use; a damaged one is exchanged when it is looked at next."""
        self._damage = str(error) if isinstance(error, DamagedError) else self._damage
        if self._db is not None:
            close_without_checkpoint(self._db)
            self._db = None

    def _unopened(self, fault: StorageFault) -> UnavailableTerminal:
        return UnavailableTerminal(
            fault,
            self._config.town,
            self._config.terminal,
            software=version("canteen-agent"),
            heard=self._heard,
        )

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; return the exit code."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        threading.excepthook = self._thread_ended
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        clean = False
        try:
            self._control.start()
            for reader in self._readers.values():
                reader.start()
            self._link.start()
            if self._mirror is not None:
                self._mirror.start()
            self._loop()
            clean = True
        finally:
            if not clean:
                for reader in self._readers.values():
                    reader.show_out_of_order()
            self._stop()
        return 0

    def _loop(self) -> None:
        self._notifier.ready()
        log.info(
            "serving %s at %s with %d readers",
            self._config.terminal,
            self._config.town,
            len(self._readers),
        )
        for reader in self._config.readers:
            one = reader.profile
            log.info(
                "reader '%s': profile %s revision %d, sha256 %s, support %s",
                reader.name,
                one.id,
                one.revision,
                one.digest,
                one.support,
            )
        every_ms = self._notifier.watchdog_every_ms or IDLE_MS_MAX
        fed_ms = -every_ms
        while not self._stopping:
            reading = read_clock(self._boot)
            wake_ms = self._terminal.wake_ms(reading)
            event = self._inbox.get(
                min(IDLE_MS_MAX, every_ms, IDLE_MS_MAX if wake_ms is None else wake_ms)
            )
            if self._bug is not None:
                raise self._bug
            reading = read_clock(self._boot)
            self._turn(event, reading)
            if (
                isinstance(self._terminal, UnavailableTerminal)
                and self._terminal.wake_ms(reading) == 0
            ):
                self._look_again(self._terminal, reading)
            for thread in self._readers.values():
                thread.watch()
            if self._mirror is not None and not isinstance(event, CardPresented):
                self._copy_on(self._mirror)
            if reading.mono_ms - fed_ms >= every_ms:
                fed_ms = reading.mono_ms
                self._notifier.watchdog()
                self._notifier.status(self._terminal.summary())

    def _turn(self, event: Event | None, reading: Reading) -> None:
        if isinstance(event, ReaderUp | ReaderDown):
            self._heard[event.reader] = event
        elif isinstance(event, LinkUp | LinkDown):
            self._heard[None] = event
        try:
            for effect in self._terminal.turn(event, reading):
                self._perform(effect)
        except DamagedError as error:
            fault = self._terminal.fault
            assert fault is not None
            self._give_up(error)
            self._terminal = self._unopened(fault)

    def _look_again(self, unopened: UnavailableTerminal, reading: Reading) -> None:
        """Open the file again; when that works, the terminal hears what readers and link have said."""
        self._notifier.watchdog()  # a damaged file is read whole
        self._control.start()
        self._terminal = self._opened(unopened)
        if self._terminal is not unopened:
            for event in list(self._heard.values()):
                if event is not None:
                    self._turn(event, reading)

    def _copy_on(self, mirror: Mirror) -> None:
        """Hand the second copy what it lacks, while nobody waits."""
        if self._db is None or isinstance(self._terminal, UnavailableTerminal):
            return
        self._terminal.mirror = mirror.fault or "ready"
        if mirror.wants_more:
            with contextlib.suppress(StoreError):  # the next turn says so
                for lines, up_to in itertools.islice(pieces(self._db, mirror.at), 1):
                    mirror.put(lines, up_to)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Show(reader=name, tap=tap, signal=shown):
                self._readers[name].show(tap, shown)
            case Publish() | Acknowledge() | DropLink():
                self._link.perform(effect)

    def _stop(self) -> None:
        self._notifier.stopping()
        for reader in self._readers.values():
            reader.end()
        for reader in self._readers.values():
            reader.stop()
        self._link.publish(*last_will(self._config.town, self._config.terminal), retain=True)
        self._link.stop()
        self._control.close()
        if self._mirror is not None:
            self._mirror.stop()
        for held in (self._db, self._lock):
            if held is not None:
                held.close()
        log.info("stopped")

    def _thread_ended(self, ended: threading.ExceptHookArgs) -> None:
        """A thread of ours that ends by an exception is a bug and ends the process; the link's own sees to paho's."""
        if ended.thread is not None and ended.thread.name.startswith("paho"):
            log.error("the network thread ended: %s", ended.exc_value)
            return
        self._bug = ended.exc_value
        self._inbox.close()

    def _on_signal(self, number: int, frame: object) -> None:
        self._stopping = True
        self._inbox.close()


def run(config: Config) -> int:
    """Run a terminal until it is told to stop; return the exit code. Raise `AgentError` when it cannot start."""
    return App(config).run()


def _open_database(config: Config, damage: str | None) -> Database:
    db = open_ledger(
        config.database,
        town=config.town,
        terminal=config.terminal,
        epoch_bits=new_epoch_bits,
        at=format_instant(read_clock(boot_id()).wall),
        export=write_export,
        known_damage=damage,
    )
    try:
        here = reads.standing(db)
    except StoreError:
        db.close()
        raise
    if (here.town, here.terminal) != (config.town, config.terminal):
        db.close()
        raise ConfigError(
            f"{config.database}: is the ledger of {here.town}/{here.terminal}, agent.toml says"
            f" {config.town}/{config.terminal}; correct agent.toml, or give this terminal a state_dir of its own"
        )
    return db


def lock_state_dir(state_dir: Path) -> IO[str]:
    """Return the lock that whoever writes to a terminal's ledger holds. Raise `AgentError` if one runs, `StoreError` for the disk."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
        lock = open(state_dir / "lock", "w", encoding="ascii")  # held for the life of the process
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AgentError(f"{state_dir}: another agent is running here") from None
    except OSError as error:
        raise StoreError(f"{state_dir}: cannot be used as state_dir: {error}") from error
    os.set_inheritable(lock.fileno(), False)
    return lock


def _mirror_end(file: Path) -> tuple[str, int] | None:
    try:
        return end_of(file)
    except AgentError as error:
        raise OSError(0, str(error)) from error


def new_epoch_bits() -> str:
    """Return 16 hex digits of randomness."""
    return secrets.token_hex(8)
