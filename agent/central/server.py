"""The running central: messages come in, are booked and answered; changes are pushed to terminals.

One loop owns the books. A message takes effect in one transaction, is acknowledged to the broker,
and then answered. What an office command commits in another process is noticed by the file's
version within `WATCH_MS`, and pushed.
"""

import contextlib
import logging
import queue
import secrets
import signal
from collections.abc import Callable, Iterator
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from agent.central.booking import Sender, book_batch
from agent.central.books import incidents, terminals, town
from agent.central.books.database import Books
from agent.central.books.incidents import Incident, UnusableMessage
from agent.central.feed import Dispatch, FeedCursor, changes
from agent.central.fleet_health import FleetHealth
from agent.central.hello import Greeting, greet
from agent.central.identities import Identities
from agent.central.labels import apply_label_rule
from agent.central.link_health import LinkHealth
from agent.central.site_digest import SiteDigests
from agent.domain.clock import Day, Instant, day_of
from agent.errors import CentralError, SyncError, cut_reason
from agent.sync.broker import Broker
from agent.sync.events import (
    Acknowledge,
    Arrived,
    Denied,
    DropLink,
    LinkDown,
    LinkEffect,
    LinkEvent,
    LinkUp,
    Publish,
    Taken,
)
from agent.sync.limits import Limits
from agent.sync.link import MqttLink
from agent.sync.messages import (
    CentralState,
    Changes,
    Entries,
    Hello,
    TerminalState,
    decode,
    encode,
)
from agent.sync.topics import Leaf, Topics

WATCH_MS = 10
"""How long the commit of an office command may go unnoticed."""
EVENTS_MAX = 1_000
"""Events of the link that wait for the loop. The link's thread waits when they are more."""

log = logging.getLogger("agent.central")


class _Pushed(NamedTuple):
    """What decides whether a push finds anything new."""

    position: int
    orders: list[str]


class Exchange:
    """The central's side of the contract, without threads and without a broker."""

    def __init__(self, books: Books, *, new_generation: Callable[[], str]) -> None:
        self._books = books
        self._new_generation = new_generation
        name, zone = town.find(books)
        self.topics = Topics(name)
        self._zone = ZoneInfo(zone)
        self._cursors: dict[str, FeedCursor] = {}  # of terminals whose hello was answered
        self._digests = SiteDigests()
        self._pushed: _Pushed | None = None
        self._version: int | None = books.version()
        self._today: Day | None = None
        self._generation = town.standing(books).generation
        self._limits = Limits()
        self._health = LinkHealth(books)
        self._fleet = FleetHealth(books, self._zone, self._health.add_incident)
        self._identities = Identities()
        self._fault = ""  # the last that was logged; empty while the file works

    def turn(self, event: LinkEvent | None, at: Instant) -> Iterator[LinkEffect]:
        """Handle one event of the link, or none; yield the effects in order.

        A message is booked, then acknowledged, then answered. One that could not be written is not
        acknowledged: the link is dropped, and the broker delivers it again.
        """
        with contextlib.suppress(CentralError):  # what the turn itself does reports it
            self._fleet.look(at)
        match event:
            case LinkUp(limits=limits):
                self._health.note(event, at)
                self._fleet.link_up(at)
                self._limits = limits
                yield self.state(at, online=True)
            case LinkDown() | Denied() | Taken():
                self._health.note(event, at)
                if isinstance(event, LinkDown):
                    self._fleet.link_down()
            case Arrived(topic=topic, payload=payload, receipt=receipt):
                try:
                    answers = self.receive(topic, payload, at)
                except CentralError as error:
                    self._fail(
                        error,
                        f"Message on {topic} not booked: {error}."
                        " The broker will deliver it again.",
                    )
                    yield DropLink()
                    return
                self._fault = ""
                self._note_contact(topic, at)
                yield Acknowledge(receipt)
                yield from answers
                yield from self._push_after_booking(at)
            case None:
                yield from self._look(at)

    def receive(self, topic: str, payload: bytes, at: Instant) -> list[Publish]:
        """Take in one message in one transaction; return what to publish.

        A message that cannot be used is set aside. Raise `CentralError` for one that could not be
        written.
        """
        self.begin_day(at)
        try:
            return self._receive(topic, payload, at)
        except SyncError as error:
            reason = cut_reason(str(error))
            with self._books.transaction():
                incidents.set_aside(self._books, UnusableMessage(at, topic, payload, reason))
            self._health.note_set_aside(topic, reason, at)
            return []

    def begin_day(self, at: Instant) -> None:
        """Apply the rules that take effect with a new day."""
        today = day_of(at, self._zone)
        if today != self._today:
            with self._books.transaction():
                apply_label_rule(self._books, today)
            self._today = today

    def forget_day(self) -> None:
        """Apply the day's rules again: an office command may have changed them."""
        self._today = None

    def push(self, at: Instant) -> list[Publish]:
        """Return what is new for terminals that were answered; nothing if no record changed."""
        self.begin_day(at)
        standing = town.standing(self._books)
        self._generation = standing.generation
        state = _Pushed(standing.position, terminals.waiting_orders(self._books))
        if state == self._pushed:
            return []
        answers = []
        for terminal, cursor in self._cursors.items():
            with self._books.reading():
                dispatch = self._dispatch(terminal, at)
                news = changes(self._books, terminal, cursor, dispatch=dispatch, digests=None)
            if news is not None and (
                news.records or (news.order and news.order.id != cursor.order)
            ):
                answers.append((terminal, cursor, news))
        # cursors move only when nothing can fail any more: what is returned is published
        messages = [self._answer(terminal, cursor, news) for terminal, cursor, news in answers]
        self._pushed = state
        return messages

    def state(self, at: Instant, *, online: bool) -> Publish:
        """Return the retained message that says whether the central is online."""
        return Publish(
            topic=self.topics.central_state,
            payload=encode(CentralState(online=online, generation=self._generation, at=at)),
            retain=True,
        )

    def _look(self, at: Instant) -> list[Publish]:
        """Return what another process has committed since the last look.

        Nothing while that process locks the file: the next look finds it.
        """
        try:
            version = self._books.version()
            if version == self._version:
                return []
            self.forget_day()
            messages = self.push(at)
        except CentralError as error:
            self._fail(error, f"Changes not pushed: {error}. Trying again.")
            return []
        self._fault, self._version = "", version
        return messages

    def _push_after_booking(self, at: Instant) -> list[Publish]:
        """Return what is new; nothing while another process locks the file."""
        try:
            return self.push(at)
        except CentralError as error:
            self._fail(error, f"Changes not pushed: {error}. Trying again.")
            self._version = None
            return []

    def _fail(self, error: CentralError, fault: str) -> None:
        """Log a fault once, whatever message meets it, and open the books again.

        SQLite's connection is closed where it could not roll back.
        """
        if str(error) != self._fault:
            self._fault = str(error)
            log.error("%s", fault)
        with contextlib.suppress(CentralError):  # the next try reports it
            self._books.reopen()

    def _receive(self, topic: str, payload: bytes, at: Instant) -> list[Publish]:
        address = self.topics.parse(topic)
        if address is None:
            raise SyncError("not a topic of a terminal of this town")
        terminal, leaf = address
        match leaf:
            case Leaf.HELLO:
                return self._hello(terminal, decode(payload, Hello), at)
            case Leaf.ENTRIES:
                return self._entries(terminal, decode(payload, Entries), at)
            case Leaf.STATE:
                self._state(terminal, payload)
                return []
            case Leaf.CHANGES:
                raise SyncError("only the central publishes on this topic")

    def _hello(self, terminal: str, hello: Hello, at: Instant) -> list[Publish]:
        before = town.standing(self._books).generation
        greeting = Greeting(self.topics.town, terminal, hello, at, self._zone)
        try:
            with self._books.transaction():
                self._require_known(terminal)
                cursor = greet(self._books, greeting, new_generation=self._new_generation)
                dispatch = self._dispatch(terminal, at)
                news = changes(
                    self._books, terminal, cursor, dispatch=dispatch, digests=self._digests
                )
        except BaseException:
            self._digests = SiteDigests()  # what was read may be undone
            raise
        assert news is not None
        self._generation = news.generation
        news = msgspec.structs.replace(news, nonce=hello.nonce)
        messages = [self._answer(terminal, cursor, news)]
        if self._identities.is_shared(terminal, hello):
            detail = (
                f"two machines say hello as {terminal}: look for a second one with its agent.toml,"
                " or a copy of its card"
            )
            self._health.add_incident(Incident(at, "identity_in_use", detail, terminal))
        if news.generation == before:
            return messages
        log.error(
            "The central's database was restored from a backup: generation %s follows %s."
            " Terminals send lost entries again. See: canteen-central incidents.",
            news.generation[:8],
            before[:8],
        )
        self._cursors = {terminal: self._cursors[terminal]}
        return [*messages, self.state(at, online=True)]

    def _entries(self, terminal: str, message: Entries, at: Instant) -> list[Publish]:
        cursor = self._cursors.get(terminal)
        news = None
        with self._books.transaction():
            sender = Sender(self.topics.town, terminal, self._require_known(terminal))
            booked = book_batch(self._books, sender, message, at=at, zone=self._zone)
            if cursor is not None and cursor.epoch == message.epoch:
                dispatch = self._dispatch(terminal, at)
                news = changes(self._books, terminal, cursor, dispatch=dispatch, digests=None)
        if not booked:
            log.info(
                "Batch of terminal %s ignored: the entries before it are not booked.", terminal
            )
        return [self._answer(terminal, cursor, news)] if cursor and news else []

    def _state(self, terminal: str, payload: bytes) -> None:
        state = decode(payload, TerminalState)
        with self._books.transaction():
            self._require_known(terminal)
            if state.online:
                terminals.set_state(self._books, terminal, payload)
            else:
                terminals.set_offline(self._books, terminal)
        if not state.online:
            self._cursors.pop(terminal, None)  # it sends a hello when it is online again

    def _note_contact(self, topic: str, at: Instant) -> None:
        address = self.topics.parse(topic)
        if address is not None:
            with contextlib.suppress(CentralError):  # the next look finds it
                self._fleet.note(address[0], at)

    def _require_known(self, terminal: str) -> str | None:
        """Return the site of a terminal, None for a retired one. Raise `SyncError`."""
        known = terminals.find(self._books, terminal)
        if known is None:
            raise SyncError(
                f"terminal {terminal!r} does not exist; add it with: canteen-central terminals add"
            )
        return known.site

    def _dispatch(self, terminal: str, at: Instant) -> Dispatch:
        return Dispatch(at, self._limits.payload_bytes(self.topics.of(terminal, Leaf.CHANGES)))

    def _answer(self, terminal: str, cursor: FeedCursor, news: Changes) -> Publish:
        """Return a message to publish, and move the terminal's cursor behind it.

        A record that fits into no message of this broker stays behind, with those after it, and
        is an incident: meals are booked and acknowledged nevertheless.
        """
        topic = self.topics.of(terminal, Leaf.CHANGES)
        payload = encode(news)
        too_large = self._limits.too_large(topic, len(payload))
        if too_large is not None and news.records:
            detail = f"records after position {news.from_position}: {too_large}"
            self._health.add_incident(Incident(news.at, "packet_size", detail, terminal))
            news = msgspec.structs.replace(
                news, to=news.from_position, more=False, records=[], digest=None
            )
            payload = encode(news)
        self._cursors[terminal] = cursor.after(news)
        return Publish(topic=topic, payload=payload, retain=False)


def event_queue() -> "queue.Queue[LinkEvent]":
    """Return the queue between the link's thread and the loop."""
    return queue.Queue(maxsize=EVENTS_MAX)


def serve(books: Books, broker: Broker, *, now: Callable[[], Instant]) -> None:
    """Serve until SIGTERM or SIGINT. Raise `AgentError`."""
    exchange = Exchange(books, new_generation=lambda: secrets.token_hex(16))
    events = event_queue()
    stopping = False

    def stop(number: int, frame: object) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    will = exchange.state(now(), online=False)
    link = MqttLink(
        broker,
        client_id=exchange.topics.central_identity,
        subscriptions=exchange.topics.read_by_central(),
        will=(will.topic, will.payload),
        on_event=events.put,
    )
    link.start()
    log.info("Central of %s started.", exchange.topics.town)
    while not stopping:
        try:
            event: LinkEvent | None = events.get(timeout=WATCH_MS / 1000)
        except queue.Empty:
            event = None
        for effect in exchange.turn(event, now()):
            link.perform(effect)
    link.perform(exchange.state(now(), online=False))
    link.stop()
    log.info("Central stopped.")
