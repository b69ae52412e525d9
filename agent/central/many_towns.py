"""One of the processes that serve the towns of a PostgreSQL server between them.

Each town is led by one process, by a lease (books/leases.py), over an MQTT connection of its own.
One loop owns the books of all the towns that this process leads. When the lease's session is lost,
the process leads nothing until it has a new one: another process takes over, and the books refuse
what this one may still try to write.
"""

import contextlib
import logging
import queue
import secrets
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import NamedTuple

from agent.central.books.leases import Leases
from agent.central.books.listening import Listener
from agent.central.books.postgres import LEADER_IDLE_MS, LEADER_LOCK_MS, Server, TownBooks
from agent.central.server import EVENTS_MAX, Exchange
from agent.domain.clock import Instant
from agent.errors import AgentError, CentralError
from agent.sync.broker import Broker
from agent.sync.events import LinkEvent
from agent.sync.link import MqttLink

LOOK_MS = 1_000
"""How often a process looks for towns that nobody leads."""

log = logging.getLogger("agent.central")


class _Led(NamedTuple):
    """A town that is served. `number` is of this time: earlier ones had another link."""

    number: int
    exchange: Exchange
    link: MqttLink


class _Happened(NamedTuple):
    """An event of a town's link."""

    town: str
    number: int
    event: LinkEvent


class _Wake(NamedTuple):
    """Another process committed for a town, or, without one, maybe for all."""

    town: str | None


class Host:
    """A process's towns. `broker_of` returns how the central of a town reaches its broker."""

    def __init__(
        self,
        url: str,
        broker_of: Callable[[str], Broker],
        now: Callable[[], Instant],
        *,
        towns: frozenset[str] | None,
    ) -> None:
        self._broker_of, self._now = broker_of, now
        self._events: queue.Queue[_Wake | _Happened] = queue.Queue(maxsize=EVENTS_MAX)
        self._numbers = count(1)
        self._books = Server(url, idle_ms=LEADER_IDLE_MS, lock_ms=LEADER_LOCK_MS)
        self._leases = Leases(Server(url), self._books, towns)
        self._led: dict[str, _Led] = {}
        self._looked_ms = -LOOK_MS
        self._has_lost = False  # the session of the leases
        self._reported: dict[str, str] = {}  # town, empty for all -> the fault that was logged
        self._listener = Listener(url, self._books.versions, self._wake)

    @property
    def served(self) -> set[str]:
        """Return the towns that this process serves."""
        return set(self._led)

    @property
    def versions(self) -> Counter[str]:
        """Return how often others have committed, by town."""
        return self._books.versions

    def turn(self) -> None:
        """Handle an event, or wait for one until it is time to look at the leases."""
        wait_ms = self._looked_ms + LOOK_MS - _now_ms()
        if wait_ms <= 0:
            self._look()
            self._looked_ms = _now_ms()  # at its end: however long it took, events are next
            return
        try:
            event = self._events.get(timeout=wait_ms / 1_000)
        except queue.Empty:
            return
        match event:
            case _Wake(town=None):
                for name in list(self._led):
                    self._perform(name, None)
            case _Wake(town=str() as name):
                self._perform(name, None)
            case _Happened(town=name, number=number, event=happened):
                if self._is_served(name, number):
                    self._perform(name, happened)

    def stop(self) -> None:
        """Give all towns back, and end the threads."""
        with contextlib.suppress(CentralError):  # the session has ended: all are given back
            for town in list(self._led):
                self._hand_over(town)
        self._listener.stop()
        self._leases.close()
        self._books.close()

    def _look(self) -> None:
        """Lead what this process should lead. Without a lease nothing is led."""
        try:
            if self._has_lost:
                self._leases.renew()
                self._has_lost = False
            self._books.revive()
            for town in self._leases.surplus():
                self._hand_over(town)
            for town, fault in self._leases.take().items():
                self._report(town, f"Town {town} is not served: {fault}")
            for town in self._leases.held.keys() - self._led.keys():
                self._begin(town)
        except CentralError as error:
            self._lose(str(error))
            return
        self._reported.pop("", None)
        for town in list(self._led):
            self._perform(town, None)

    def _begin(self, town: str) -> None:
        number = next(self._numbers)
        try:
            books = TownBooks(self._books, town, lease=self._leases.held[town].token)
            exchange = Exchange(books, new_generation=lambda: secrets.token_hex(16))
            will = exchange.state(self._now(), online=False)
            link = MqttLink(
                self._broker_of(town),
                client_id=exchange.topics.central_identity,
                subscriptions=exchange.topics.read_by_central(),
                will=(will.topic, will.payload),
                on_event=partial(self._put, town, number),
            )
        except AgentError as error:
            self._report(town, f"Town {town} is not served: {error}")
            self._leases.give_back(town)
            return
        self._reported.pop(town, None)
        self._led[town] = _Led(number, exchange, link)
        link.start()
        log.info("Town %s is served by this process.", town)

    def _hand_over(self, town: str) -> None:
        """Stop serving a town, and let another process serve it."""
        led = self._led.pop(town, None)
        if led is not None:
            led.link.perform(led.exchange.state(self._now(), online=False))
            led.link.stop()
            log.info("Town %s is given back.", town)
        self._leases.give_back(town)

    def _lose(self, fault: str) -> None:
        """Stop serving every town: another process may serve it already.

        That a town is offline reaches the broker only from a link that is up. Then no other process
        has connected as this town's central.
        """
        self._report("", f"No town is served: {fault}. Trying again.")
        self._has_lost = True
        led, self._led = self._led, {}
        self._leases.close()
        for each in led.values():
            each.link.perform(each.exchange.state(self._now(), online=False))
        with ThreadPoolExecutor() as pool:  # another process waits for the links' identities
            for each in led.values():
                pool.submit(each.link.stop)

    def _perform(self, town: str, event: LinkEvent | None) -> None:
        led = self._led.get(town)
        if led is not None:
            for effect in led.exchange.turn(event, self._now()):
                led.link.perform(effect)

    def _report(self, of: str, fault: str) -> None:
        """Log a fault once, however often it is met."""
        if self._reported.get(of) != fault:
            self._reported[of] = fault
            log.error("%s", fault)

    def _put(self, town: str, number: int, event: LinkEvent) -> None:
        """Enqueue what happened, in a link's thread. What comes after the town was served goes."""
        happened = _Happened(town, number, event)
        while self._is_served(town, number):
            with contextlib.suppress(queue.Full):
                self._events.put(happened, timeout=LOOK_MS / 1_000)
                return

    def _is_served(self, town: str, number: int) -> bool:
        """Return whether an event is of the present link: receipts of another are not known."""
        led = self._led.get(town)
        return led is not None and led.number == number

    def _wake(self, town: str | None) -> None:
        self._events.put(_Wake(town))


def serve_towns(
    url: str,
    broker_of: Callable[[str], Broker],
    now: Callable[[], Instant],
    towns: frozenset[str] | None,
) -> None:
    """Serve towns of a server, all or some, until SIGTERM or SIGINT. Raise `AgentError`."""
    host = Host(url, broker_of, now, towns=towns)
    stopping = False

    def stop(number: int, frame: object) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    log.info("Central started.")
    while not stopping:
        host.turn()
    host.stop()
    log.info("Central stopped.")


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
