"""The central at work: messages in, bookings, answers out; and credits pushed to the terminals of their site.

One loop owns the database. A message takes effect in one transaction, is acknowledged to the broker, and then answered.
What an office command commits in another process is seen by the file's version within `WATCH_MS` and pushed.
"""

import logging
import queue
import secrets
import signal
from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

from agent.central.booking import book_batch
from agent.central.books.file import Books, set_aside, settle_labels
from agent.central.feed import FeedCursor, changes, greet
from agent.domain.clock import Instant, day_of
from agent.errors import CentralError, SyncError
from agent.sync.events import (
    Acknowledge,
    Arrived,
    DropLink,
    LinkDown,
    LinkEffect,
    LinkEvent,
    LinkUp,
    Publish,
)
from agent.sync.messages import (
    CentralState,
    Changes,
    Digest,
    Entries,
    Hello,
    TerminalState,
    decode,
    encode,
)
from agent.sync.mqtt import Broker, MqttLink
from agent.sync.topics import Leaf, Topics

WATCH_MS = 10  # how long an office command's commit may go unnoticed
CLIENT_ID = "central"

log = logging.getLogger("agent.central")


class Exchange:
    """The central's conversations, without threads and without a broker: messages in, messages out."""

    def __init__(self, ledger: Books, *, new_generation: Callable[[], str]) -> None:
        self._ledger = ledger
        self._new_generation = new_generation
        row = ledger.only_row("SELECT town, zone FROM central")
        self.topics = Topics(row["town"])
        self._zone = ZoneInfo(row["zone"])
        self._told: dict[str, FeedCursor] = {}
        self._digests: dict[str, Digest] = {}
        self._pushed: tuple[int, str | None] | None = None
        self._seen: int | None = ledger.version()
        self._today = ""

    def turn(self, event: LinkEvent | None, at: Instant) -> Iterator[LinkEffect]:
        """Do one turn of the loop: an event of the link, or none. Yield what is to be done, in that order.

        A message is booked, then acknowledged, then answered; one that could not be written is not acknowledged and comes again.
        """
        match event:
            case LinkUp():
                log.info("link up")
                yield self.state(at, online=True)
            case LinkDown(reason=reason):
                log.warning("link down: %s", reason)
            case Arrived(topic=topic, payload=payload, receipt=receipt):
                try:
                    answers = self.receive(topic, payload, at)
                except CentralError as error:
                    log.error("message on %s not booked, it will come again: %s", topic, error)
                    yield DropLink()
                    return
                yield Acknowledge(receipt)
                yield from answers
                yield from self._push(at)
            case None:
                yield from self._look(at)

    def receive(self, topic: str, payload: bytes, at: Instant) -> list[Publish]:
        """Take in one message in one transaction; return what to publish."""
        self.begin_day(at)
        place = self.topics.parse(topic)
        try:
            if place is None:
                raise SyncError("not a topic of this town's terminals")
            terminal, leaf = place
            match leaf:
                case Leaf.HELLO:
                    return self._hello(terminal, decode(payload, Hello), at)
                case Leaf.ENTRIES:
                    return self._entries(terminal, decode(payload, Entries), at)
                case Leaf.STATE:
                    self._state(terminal, payload, at)
                    return []
                case Leaf.CHANGES:
                    raise SyncError("only the central writes changes")
        except SyncError as error:
            set_aside(self._ledger, topic=topic, payload=payload, reason=str(error), at=at)
            log.warning("message on %s set aside: %s", topic, error)
            return []

    def begin_day(self, at: Instant) -> None:
        """Do what a new day brings: rules about names take effect."""
        today = day_of(at, self._zone)
        if today != self._today:
            with self._ledger.transaction() as sql:
                settle_labels(sql, today)
            self._today = today

    def forget_day(self) -> None:
        """Look at the rules again: an office command may have changed them."""
        self._today = ""

    def push(self, at: Instant) -> list[Publish]:
        """Return what is new for terminals that are being talked to; nothing while no record has changed since."""
        self.begin_day(at)
        (position,) = self._ledger.only_row("SELECT position FROM central")
        (orders,) = self._ledger.only_row("SELECT group_concat(order_id) FROM terminal")
        if (position, orders) == self._pushed:
            return []
        messages = []
        for terminal, told in list(self._told.items()):
            with self._ledger.reading() as sql:
                news = changes(sql, terminal, told, at=at, digests=None)
            if news is not None and (news.records or (news.order and news.order.id != told.order)):
                messages.append(self._tell(terminal, told, news))
        self._pushed = (position, orders)
        return messages

    def state(self, at: Instant, *, online: bool) -> Publish:
        """Return the retained message that says the central is there, or not."""
        (generation,) = self._ledger.only_row("SELECT generation FROM central")
        return Publish(
            topic=self.topics.central_state,
            payload=encode(CentralState(online=online, generation=generation, at=at)),
            retain=True,
        )

    def _look(self, at: Instant) -> list[Publish]:
        """Return what another process has brought; nothing while it holds the file: the next look finds it."""
        try:
            version = self._ledger.version()
            if version == self._seen:
                return []
            self.forget_day()
            messages = self.push(at)
        except CentralError as error:
            log.error("what is new cannot be read now: %s", error)
            return []
        self._seen = version
        return messages

    def _push(self, at: Instant) -> list[Publish]:
        """Return what is new; nothing while another process holds the file: then the next look finds it."""
        try:
            return self.push(at)
        except CentralError as error:
            log.error("what is new cannot be read now: %s", error)
            self._seen = None
            return []

    def _hello(self, terminal: str, hello: Hello, at: Instant) -> list[Publish]:
        (before,) = self._ledger.only_row("SELECT generation FROM central")
        with self._ledger.transaction() as sql:
            self._require_known(terminal)
            told = greet(
                sql,
                terminal,
                hello,
                town=self.topics.town,
                at=at,
                new_generation=self._new_generation,
            )
            news = changes(sql, terminal, told, at=at, digests=self._digests)
            (generation,) = sql.execute("SELECT generation FROM central").fetchone()
        if generation != before:
            log.error(
                "restored from a backup: generation %s follows %s; terminals compare everything again",
                generation[:8],
                before[:8],
            )
            self._told.clear()
        assert news is not None
        messages = [self._tell(terminal, told, news)]
        return messages if generation == before else [*messages, self.state(at, online=True)]

    def _entries(self, terminal: str, message: Entries, at: Instant) -> list[Publish]:
        told = self._told.get(terminal)
        with self._ledger.transaction() as sql:
            site = self._require_known(terminal)
            booked = book_batch(
                sql,
                terminal=terminal,
                site=site,
                message=message,
                at=at,
                zone=self._zone,
                town=self.topics.town,
            )
            news = (
                changes(sql, terminal, told, at=at, digests=None)
                if told and told.epoch == message.epoch
                else None
            )
        if not booked:
            log.info(
                "terminal %s: a batch that does not join on; it learns where from the answer",
                terminal,
            )
        return [self._tell(terminal, told, news)] if told and news else []

    def _state(self, terminal: str, payload: bytes, at: Instant) -> None:
        state = decode(payload, TerminalState)
        with self._ledger.transaction() as sql:
            self._require_known(terminal)
            sql.execute("UPDATE terminal SET state = ? WHERE id = ?", (payload.decode(), terminal))
        if not state.online:
            self._told.pop(terminal, None)  # it says hello when it is back
            log.info("terminal %s is offline", terminal)

    def _require_known(self, terminal: str) -> str | None:
        row = self._ledger.row("SELECT site FROM terminal WHERE id = ?", (terminal,))
        if row is None:
            raise SyncError(
                f"there is no terminal {terminal!r}; add it with: canteen-agent central terminals add"
            )
        site: str | None = row["site"]
        return site

    def _tell(self, terminal: str, told: FeedCursor, news: Changes) -> Publish:
        self._told[terminal] = FeedCursor(
            news.generation,
            news.to,
            news.acked.epoch,
            max(news.acked.seq, told.seq),
            news.order.id if news.order else None,
            told.before,
        )
        return Publish(
            topic=self.topics.of(terminal, Leaf.CHANGES), payload=encode(news), retain=False
        )


def serve(ledger: Books, broker: Broker, *, now: Callable[[], Instant]) -> None:
    """Serve until SIGTERM or SIGINT. Raise `AgentError`."""
    exchange = Exchange(ledger, new_generation=lambda: secrets.token_hex(16))
    events: queue.Queue[LinkEvent] = queue.Queue(maxsize=1_000)
    stopping = False

    def stop(number: int, frame: object) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    absent = exchange.state(now(), online=False)
    link = MqttLink(
        broker,
        client_id=CLIENT_ID,
        subscriptions=exchange.topics.read_by_central(),
        will=(absent.topic, absent.payload),
        on_event=events.put,
    )
    link.start()
    log.info("central of %s serving", exchange.topics.town)
    while not stopping:
        try:
            event: LinkEvent | None = events.get(timeout=WATCH_MS / 1000)
        except queue.Empty:
            event = None
        for effect in exchange.turn(event, now()):
            link.perform(effect)
    link.perform(exchange.state(now(), online=False))
    link.stop()
    log.info("stopped")
