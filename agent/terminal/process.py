"""A terminal as a process: builds everything from `Config` and runs the main loop.

The loop alone writes the database, decides, and feeds the watchdog. Readers, link and control
socket have threads that put events on one bounded queue. After a bug the process ends and systemd
starts it again from what is on the disk; a card on a reader gets *out of order* before.
"""

import fcntl
import itertools
import logging
import os
import random
import secrets
import signal
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import IO

import msgspec

from agent.domain.clock import Reading, format_instant
from agent.errors import AgentError, StoreError
from agent.ops.clock import boot_id, read_clock
from agent.ops.control_messages import Watch
from agent.ops.notify import Notifier
from agent.ops.temperature import temperature_c
from agent.readers.events import CardPresented, CardUnreadable, Show
from agent.readers.open import reader_thread
from agent.readers.presence import RecentTaps
from agent.store.database import Database
from agent.store.disk_space import free_bytes
from agent.store.recovery import LedgerFile
from agent.store.viewing import LOCK_NAME
from agent.sync.events import Acknowledge, DropLink, Publish
from agent.sync.ledger_file import end_of
from agent.sync.link import MqttLink
from agent.sync.topics import Topics
from agent.terminal.certificates import Certificates
from agent.terminal.config import Config
from agent.terminal.control import (
    LOOKING,
    STAFF_GROUP,
    ControlSocket,
    Request,
    Watchers,
    own_group,
)
from agent.terminal.core import Setup, Terminal
from agent.terminal.events import Effect, Event
from agent.terminal.export import pieces, write_export
from agent.terminal.inbox import Inbox
from agent.terminal.mirror import Mirror
from agent.terminal.status import Machine, last_will
from agent.terminal.watching import Watching

IDLE_MS_MAX = 1_000
IDLE_LATEST_MS = 5_000
"""Events may follow each other for ever, as `status` from a program. Housekeeping waits so long."""
NEWS_AFTER_MS = 3
"""How long the news of a tap wait: until the reader's thread has shown the light."""
# A busy thread must not block a tap: every sqlite3 call gives up the interpreter's lock.
SWITCH_INTERVAL_S = 0.0001

log = logging.getLogger("agent.process")


class App:
    """A running terminal."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._inbox = Inbox()
        self._stopping = False
        self._waits_for_light = False  # the news of the last tap are still to be sent
        self._bug: BaseException | None = None
        self._boot = boot_id()
        self._notifier = Notifier()
        self._lock: IO[str] | None = None
        self._terminal = Terminal(self._setup(), self._reading())
        topics = Topics(config.town)
        self._link = MqttLink(
            config.broker,
            client_id=topics.identity(config.terminal),
            subscriptions=topics.read_by_terminal(config.terminal),
            will=last_will(config.town, config.terminal),
            on_event=self._inbox.put,
        )
        self._mirror = None
        if config.mirror is not None:
            self._mirror = Mirror(config.mirror, config.terminal, end_of)
        self._watchers = Watchers()
        self._watching = Watching(self._terminal)
        self._sockets = [
            ControlSocket(config.control_socket, self._inbox.put, self._watchers),
            ControlSocket(
                config.staff_socket,
                self._inbox.put,
                self._watchers,
                group=own_group(STAFF_GROUP),
            ),
            ControlSocket(
                config.watch_socket,
                self._inbox.put,
                self._watchers,
                allowed=LOOKING,
                group=config.watch_group,
            ),
        ]
        late = RecentTaps(threading.Lock())
        self._readers = {
            reader.name: reader_thread(reader, self._inbox.put, late) for reader in config.readers
        }

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; return the exit code."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        threading.excepthook = self._thread_ended
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        clean = False
        try:
            self._open_sockets()
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

    def _open_sockets(self) -> None:
        for control in self._sockets:
            control.start()

    def _setup(self) -> Setup:
        config = self._config
        return Setup(
            town=config.town,
            terminal=config.terminal,
            zone=config.zone,
            card_key=config.card_key,
            readers=tuple(reader.name for reader in config.readers),
            software=version("canteen-agent"),
            needs_staff_card=config.needs_staff_card,
            spread=random.random,
            epoch_bits=new_epoch_bits,
            open_ledger=self._open_ledger,
            machine=self._machine,
            certificates=Certificates(
                config.broker, config.state_dir if config.is_enrolled else None
            ),
        )

    def _machine(self) -> Machine:
        try:
            free_mb = free_bytes(self._config.state_dir) // 1_000_000
        except OSError:
            free_mb = None  # the folder is not there yet, or its medium is not
        return Machine(temperature_c(), free_mb)

    def _open_ledger(self, known_damage: str | None) -> Database:
        """Open the terminal's file.

        Raise `StoreError` while it cannot be used, `AgentError` for another agent.
        """
        self._notifier.progress()  # the file is read whole
        config = self._config
        self._lock = self._lock or lock_state_dir(config.state_dir)
        ledger = LedgerFile(
            path=config.database,
            town=config.town,
            terminal=config.terminal,
            epoch_bits=new_epoch_bits,
            export=write_export,
            on_progress=self._notifier.progress,
        )
        return ledger.open(format_instant(self._reading().wall), known_damage)

    def _loop(self) -> None:
        self._notifier.ready()
        self._log_start()
        every_ms = self._notifier.watchdog_every_ms or IDLE_MS_MAX
        fed_ms, idle_ms = -every_ms, 0
        while not self._stopping:
            wake_ms = self._terminal.wake_ms(self._reading())
            wait_ms = IDLE_MS_MAX if wake_ms is None else wake_ms
            if self._waits_for_light:
                wait_ms = min(wait_ms, NEWS_AFTER_MS)
            event = self._inbox.get(min(IDLE_MS_MAX, every_ms, wait_ms))
            if self._bug is not None:
                raise self._bug
            reading = self._reading()
            self._turn(event, reading)
            is_late = reading.mono_ms - idle_ms >= IDLE_LATEST_MS and not self._waits_for_light
            if event is not None and is_late:
                self._turn(None, reading)
            if event is None or is_late:
                idle_ms = reading.mono_ms
            if reading.mono_ms - fed_ms >= every_ms:
                fed_ms = reading.mono_ms
                self._notifier.watchdog()
                self._notifier.status(self._terminal.summary())

    def _turn(self, event: Event | None, reading: Reading) -> None:
        if self._terminal.fault is not None:
            # The state directory was read-only or missing; this turn may find it usable again.
            self._open_sockets()
        if isinstance(event, Request) and isinstance(event.ask, Watch):
            self._answer_watcher(event, reading)
            event = None
        for effect in self._terminal.turn(event, reading):
            self._perform(effect)
        self._waits_for_light = isinstance(event, CardPresented | CardUnreadable)
        if not self._waits_for_light:
            self._send_news(reading)
        for thread in self._readers.values():
            thread.watch()
        if self._terminal.fault is not None or self._mirror is None:
            return
        if not isinstance(event, CardPresented | CardUnreadable):
            self._copy_on(self._mirror)

    def _answer_watcher(self, request: Request, reading: Reading) -> None:
        if not request.claim():
            return
        try:
            snapshot = self._watching.snapshot(self._terminal.moment(reading))
            request.answer(**msgspec.to_builtins(snapshot))
        except StoreError as error:
            request.answer(error=f"out of order: {error}")
            self._take_fault(error, reading)

    def _send_news(self, reading: Reading) -> None:
        """Send what is new to the watchers. Not in a tap's turn: it would slow the light."""
        moment = self._terminal.moment(reading)
        try:
            if not self._watchers:
                self._watching.look(moment)
                return
            for news in self._watching.news(moment):
                self._watchers.send(msgspec.json.encode(news) + b"\n")
        except StoreError as error:
            self._take_fault(error, reading)

    def _take_fault(self, error: StoreError, reading: Reading) -> None:
        try:
            effects = self._terminal.take_fault(error, reading)
        except StoreError as failed:  # the damaged record could not be deleted
            effects = self._terminal.take_fault(failed, reading)
        for effect in effects:
            self._perform(effect)

    def _log_start(self) -> None:
        config = self._config
        count = len(self._readers)
        log.info("Serving as %s/%s with %d readers.", config.town, config.terminal, count)
        for reader in config.readers:
            profile = reader.profile
            log.info(
                "Reader '%s': profile %s revision %d, sha256 %s, support %s",
                reader.name,
                profile.id,
                profile.revision,
                profile.digest,
                profile.support,
            )

    def _copy_on(self, mirror: Mirror) -> None:
        """Hand the second copy its next piece, while nobody waits."""
        db = self._terminal.db
        if db is None:
            return
        self._terminal.mirror = mirror.fault or "ready"
        if mirror.wants_more:
            try:
                for piece in itertools.islice(pieces(db, mirror.at), 1):
                    mirror.put(piece)
            except StoreError as error:
                self._take_fault(error, self._reading())

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
        topic, payload = last_will(self._config.town, self._config.terminal)
        self._link.publish(Publish(topic=topic, payload=payload, retain=True))
        self._link.stop()
        for control in self._sockets:
            control.close()
        if self._mirror is not None:
            self._mirror.stop()
        self._terminal.close()
        if self._lock is not None:
            self._lock.close()
        log.info("Stopped.")

    def _reading(self) -> Reading:
        return read_clock(self._boot)

    def _thread_ended(self, ended: threading.ExceptHookArgs) -> None:
        """End the process when a thread of ours raised: that is a bug.

        The link replaces paho's threads.
        """
        if ended.thread is not None and ended.thread.name.startswith("paho"):
            log.error("The network thread ended: %s; the link makes another.", ended.exc_value)
            return
        self._bug = ended.exc_value
        self._inbox.close()

    def _on_signal(self, number: int, frame: object) -> None:
        self._stopping = True
        self._inbox.close()


def run(config: Config) -> int:
    """Run a terminal until it is stopped; return the exit code.

    Raise `AgentError` when it cannot start.
    """
    return App(config).run()


def lock_state_dir(state_dir: Path) -> IO[str]:
    """Return the lock that the one writer of a terminal's ledger holds.

    Raise `AgentError` if an agent runs, `StoreError` when the disk cannot be used.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
        lock = open(state_dir / LOCK_NAME, "w", encoding="ascii")  # noqa: SIM115  # held to the end
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise AgentError(f"{state_dir}: another agent is running here") from None
    except OSError as error:
        raise StoreError(f"{state_dir}: cannot be used as state_dir: {error}") from error
    os.set_inheritable(lock.fileno(), False)
    return lock


def new_epoch_bits() -> str:
    """Return 16 hex digits of randomness."""
    return secrets.token_hex(8)
