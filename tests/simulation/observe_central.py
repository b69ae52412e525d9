"""Reads the central's file after every turn, updates the model, and compares both."""

from dataclasses import dataclass

import msgspec

from agent.errors import SyncError
from agent.sync.events import Arrived, Publish
from agent.sync.messages import Changes, Hello, decode
from agent.sync.topics import Leaf
from tests import invariants
from tests.simulation.model import BookedUpTo, DiskEntry, ExpectedBooks, is_ahead
from tests.simulation.paper import last_meals
from tests.simulation.parts import TOPICS, Central


class Record(msgspec.Struct):
    """Any record. A policy has no id, and only an account has a balance."""

    k: str
    p: int
    id: str = ""
    balance: int = 0
    last_meal: dict[str, object] | None = None


class _SentEntry(msgspec.Struct):
    seq: int
    hash: str


class _Batch(msgspec.Struct):
    epoch: str
    entries: list[_SentEntry]


@dataclass(frozen=True, slots=True)
class Proof:
    """A `changes` message, its account records, and what was booked when it was made.

    `credits` are the accepted payments of those accounts.
    """

    message: Changes
    accounts: dict[str, Record]
    booked: BookedUpTo
    credits: dict[str, int]


class CentralObserver:
    """What a run has shown so far.

    `timelines` are the expected books of each timeline of the central's file; the last one is the
    present one. `entries` has every entry that any disk ever made, by hash.
    """

    def __init__(self, books: ExpectedBooks) -> None:
        self.timelines: list[ExpectedBooks] = [books]
        self.entries: dict[str, DiskEntry] = {}
        self.position = 0

    @property
    def books(self) -> ExpectedBooks:
        return self.timelines[-1]

    def restored(self, books: ExpectedBooks, position: int) -> None:
        """Begin a new timeline: the central's file is now a backup."""
        self.timelines.append(books)
        self.position = position

    def central_turned(self, central: Central, event: object) -> None:
        """Take what the central has booked in this turn, and check its balances."""
        if isinstance(event, Arrived):
            self._confirm(central, event)
            self._book(central, event)
        self.accounts_moved(central)

    def accounts_moved(self, central: Central) -> None:
        """Check the balance of every account with a new position."""
        sql = central.office.sql
        (position,) = sql.execute("SELECT position FROM central").fetchone()
        invariants.a_number_never_decreases("the central's position", self.position, position)
        if position > self.position:
            query = "SELECT id, balance FROM account WHERE p > ?"
            for account, balance in sql.execute(query, (self.position,)):
                self._check_balance(account, balance)
            self.position = position

    def proof_of(self, publish: Publish) -> Proof | None:
        """Check a message of the central when it is made. Return what is booked now."""
        invariants.a_message_is_within_its_limits(publish.payload)
        parsed = TOPICS.parse(publish.topic)
        if parsed is None or parsed[1] is not Leaf.CHANGES:
            return None
        message = decode(publish.payload, Changes)
        accounts = {}
        for raw in message.records:
            record = msgspec.json.decode(raw, type=Record)
            if record.k == "account":
                accounts[record.id] = record
                self._check_balance(record.id, record.balance)
                invariants.the_last_meal_is_one_that_stands(
                    record.id, record.last_meal, last_meals(self.books, record.id)
                )
        booked = BookedUpTo(len(self.timelines) - 1, self.books.count)
        credits = {account: self.books.credit(account) for account in accounts}
        return Proof(message, accounts, booked, credits)

    def _check_balance(self, account: str, balance: int) -> None:
        expected = self.books.balance(account)
        invariants.a_balance_is_payments_less_meals(account, balance, expected)

    def _book(self, central: Central, event: Arrived) -> None:
        parsed = TOPICS.parse(event.topic)
        if parsed is None or parsed[1] is not Leaf.ENTRIES:
            return
        try:
            batch = msgspec.json.decode(event.payload, type=_Batch)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        key = (parsed[0], batch.epoch)
        rows = central.office.sql.execute(
            "SELECT hash FROM entry WHERE terminal = ? AND epoch = ? AND seq BETWEEN ? AND ?"
            " ORDER BY seq",
            (*key, batch.entries[0].seq, batch.entries[-1].seq),
        )
        sent = {entry.hash: entry.seq for entry in batch.entries}
        newest = 0
        for (digest,) in rows.fetchall():
            if digest in sent and digest not in self.books.booked:
                invariants.only_entries_of_a_disk_are_booked(digest, self.entries)
                self.books.book(self.entries[digest], central.instant)
                newest = sent[digest]
        if newest:
            query = "SELECT seq FROM chain WHERE terminal = ? AND epoch = ?"
            (marked,) = central.office.sql.execute(query, key).fetchone()
            invariants.the_chain_mark_covers_booked_entries(marked, newest)

    def _confirm(self, central: Central, event: Arrived) -> None:
        """Take the time of a hello, if the central took it."""
        parsed = TOPICS.parse(event.topic)
        if parsed is None or parsed[1] is not Leaf.HELLO:
            return
        try:
            hello = decode(event.payload, Hello)
        except SyncError:
            return
        query = "SELECT at, mono_ms FROM boot WHERE terminal = ? AND boot = ?"
        row = central.office.sql.execute(query, (parsed[0], hello.boot)).fetchone()
        # a hello that was taken before comes again after the central's clock went back: not taken
        is_early = hello.at is not None and is_ahead(hello.at, central.instant)
        if row == (hello.at, hello.mono_ms) and hello.clock == "synced" and not is_early:
            assert hello.boot is not None and hello.mono_ms is not None
            boot = (parsed[0], hello.boot)
            self.books.confirm(boot, hello.at, hello.mono_ms, central.instant)

    def _was_booked(self, made: DiskEntry) -> bool:
        """Return whether any timeline of the central has booked an entry."""
        return any(made.hash in books.booked for books in self.timelines)

    def _contains(self, booked: BookedUpTo, made: DiskEntry) -> bool:
        number = self.timelines[booked.timeline].booked.get(made.hash)
        return number is not None and number <= booked.entries
