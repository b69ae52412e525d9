"""Looks at the real files after every turn, tells the model what it sees, and holds both against each other.

Each check is a function of tests/invariants.py; here is only when it is asked and of whom.
"""

import json
from dataclasses import dataclass

import msgspec

from agent.domain.canteen import policy_on
from agent.domain.clock import day_of, format_instant
from agent.domain.ledger import Entry, Place, RefusalReason
from agent.readers.events import CardPresented, CardUnreadable, Show, Signal
from agent.store import reads
from agent.sync.events import Arrived, Publish
from agent.sync.messages import Changes, decode
from agent.sync.topics import Leaf
from agent.terminal.control import Request
from tests import invariants
from tests.parts.wire import ZONE
from tests.simulation.model import Books, Disk, Made, Seen, View
from tests.simulation.parts import TOPICS, Box, Central


class _Record(msgspec.Struct):
    k: str
    p: int
    id: str = ""  # a rule has a day instead
    balance: int = 0  # an account's


class _Place(msgspec.Struct):
    seq: int
    hash: str


class _Batch(msgspec.Struct):
    epoch: str
    entries: list[_Place]


@dataclass(frozen=True, slots=True)
class Proof:
    """What a `changes` message says and what the central had booked when it was made."""

    message: Changes
    accounts: dict[str, _Record]
    seen: Seen


ROTTEN = "{"  # a record that cannot be read any more


class Observer:
    """`lives` are the books of each life of the central's file; the last one is the present."""

    def __init__(self, books: Books) -> None:
        self.lives: list[Books] = [books]
        self.everything: dict[str, Made] = {}
        self.meals_of: dict[str, dict[str, Made]] = {}  # standing, wherever they were made
        self.position = 0

    @property
    def books(self) -> Books:
        return self.lives[-1]

    def restored(self, books: Books, position: int) -> None:
        """The central's file is an older one: a new life of it begins."""
        self.lives.append(books)
        self.position = position

    # -- the central ---------------------------------------------------------------------------------------------------

    def central_turned(self, central: Central, event: object) -> None:
        """Take in what the central has booked in this turn, and what its balances are now."""
        if isinstance(event, Arrived):
            self._book(central, event)
        self.accounts_moved(central)

    def accounts_moved(self, central: Central) -> None:
        """Compare every account that has a new position with what it must hold."""
        sql = central.office.sql
        (position,) = sql.execute("SELECT position FROM central").fetchone()
        invariants.never_goes_back("the central's position", self.position, position)
        if position > self.position:
            for account, balance in sql.execute(
                "SELECT id, balance FROM account WHERE p > ?", (self.position,)
            ):
                invariants.a_balance_is_payments_less_meals(
                    account, balance, self.books.balance(account)
                )
            self.position = position

    def proof_of(self, publish: Publish) -> Proof | None:
        """Check a message of the central as it is made, and keep what is known now."""
        invariants.a_message_is_within_its_limits(publish.payload)
        place = TOPICS.parse(publish.topic)
        if place is None or place[1] is not Leaf.CHANGES:
            return None
        message = decode(publish.payload, Changes)
        accounts = {}
        for raw in message.records:
            account = msgspec.json.decode(raw, type=_Record)
            if account.k == "account":
                accounts[account.id] = account
                invariants.a_balance_is_payments_less_meals(
                    account.id, account.balance, self.books.balance(account.id)
                )
        return Proof(message, accounts, Seen(len(self.lives) - 1, self.books.serial))

    def _book(self, central: Central, event: Arrived) -> None:
        place = TOPICS.parse(event.topic)
        if place is None or place[1] is not Leaf.ENTRIES:
            return
        try:
            batch = msgspec.json.decode(event.payload, type=_Batch)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        rows = central.office.sql.execute(
            "SELECT hash FROM entry WHERE terminal = ? AND epoch = ? AND seq BETWEEN ? AND ? ORDER BY seq",
            (place[0], batch.epoch, batch.entries[0].seq, batch.entries[-1].seq),
        )
        sent = {entry.hash: entry.seq for entry in batch.entries}
        newest = 0
        for (digest,) in rows.fetchall():
            if digest in sent and digest not in self.books.booked:
                invariants.only_what_was_made_is_booked(digest, self.everything)
                self.books.book(self.everything[digest])
                newest = sent[digest]
        if newest:
            key = (place[0], batch.epoch)
            (marked,) = central.office.sql.execute(
                "SELECT seq FROM chain WHERE terminal = ? AND epoch = ?", key
            ).fetchone()
            invariants.the_mark_moves_with_what_is_booked(marked, newest)

    # -- a terminal ----------------------------------------------------------------------------------------------------

    def box_turned(
        self, box: Box, event: object, shown: list[Show], *, wrote: bool, finished: bool
    ) -> None:
        """Take in what a terminal has recorded and applied in this turn. `wrote` says whether it began a transaction."""
        new = self._new_entries(box) if wrote else []
        of_event = [
            made.entry for made in new if made.entry.reason is not RefusalReason.OUT_OF_ORDER
        ]
        if isinstance(event, CardPresented | CardUnreadable):
            lights = [show.signal for show in shown if show.signal is not Signal.OUT_OF_ORDER]
            box.unrecorded += len(shown) - len(lights)
            invariants.every_light_has_one_entry(
                lights, of_event, finished=finished and len(lights) == len(shown)
            )
        elif isinstance(event, Request) and event.arguments.get("day"):
            for entry in of_event:
                invariants.a_late_meal_is_of_the_day_the_staff_gave(
                    entry, str(event.arguments["day"])
                )
        box.unrecorded -= len(new) - len(of_event)
        invariants.what_was_told_out_of_order_is_recorded(
            box.unrecorded, works=finished and box.core.fault is None
        )
        disk = box.disk
        disk.greens += [made for made in new if shown and shown[0].signal is Signal.SERVED]
        touched = {made.entry.account for made in new if made.entry.account is not None}
        if isinstance(event, Arrived):
            touched |= self._apply(box, event)
        elif wrote:
            self._moved(box)
        for account in sorted(touched - disk.tainted):
            self.balance_is_right(box, account)
        for made in new:
            if made.entry.kind in ("meal", "unknown_meal"):
                invariants.nobody_is_charged_twice_at_one_terminal(made, self._of_eater(disk, made))
                self._debt(box, made)
            if made.entry.kind == "meal" and made.entry.account not in disk.tainted:
                self._price(box, made.entry)

    def balance_is_right(self, box: Box, account: str) -> None:
        """Shown = what the central held when it told us + own entries that were not in it."""
        view = box.disk.views.get(account)
        shown = reads.balance_cents(box.db, account)
        after = (
            [made for made in box.disk.of_account[account] if not self._contained(made, view.seen)]
            if view
            else []
        )
        own = [made for made in after if self._is_kept(box, made)]
        if len(self.lives) == 1:
            invariants.nothing_is_forgotten_outside_its_balance(own, after)
        expected = view.balance_cents + sum(made.entry.cents for made in own) if view else None
        invariants.a_balance_shown_is_the_centrals_plus_own(
            f"{box.path.stem}, account {account}", shown, expected
        )

    def _new_entries(self, box: Box) -> list[Made]:
        disk, new = box.disk, []
        for number, epoch, seq, digest, body in box.db.sql.execute(
            "SELECT e.epoch, epoch.id, seq, lower(hex(hash)), body FROM entry e JOIN epoch ON epoch.n = e.epoch WHERE e.n > ? ORDER BY e.n",
            (Place(*disk.tail).n,),
        ).fetchall():
            entry = msgspec.structs.replace(msgspec.json.decode(body, type=Entry), hash=digest)
            invariants.seq_counts_on(disk.tail, (number, seq))
            reverses = entry.reverses
            undoes = disk.line.get((reverses.epoch, reverses.seq)) if reverses else None
            invariants.time_never_goes_back(disk.newest_at, entry.at)
            now = format_instant(box.world.now)
            is_late = (
                entry.reason is RefusalReason.OUT_OF_ORDER
            )  # by what its clock said when it was tapped, nobody knows here
            if box.is_right() and not disk.is_ahead and not is_late:
                invariants.a_kept_clock_is_believed(entry, now, day_of(now, ZONE))
            disk.is_ahead = is_late or entry.at > now
            disk.newest_at = entry.at
            made = Made(disk.number, box.client_id, epoch, seq, entry, undoes)
            disk.tail = (number, seq)
            disk.line[epoch, seq] = made
            eater = entry.account or entry.card
            if eater is not None:
                disk.of_account[eater].append(made)
            self.everything.setdefault(digest, made)
            if entry.kind == "meal" and entry.account is not None:
                self.meals_of.setdefault(entry.account, {})[digest] = made
            elif undoes is not None:
                invariants.a_meal_is_undone_at_most_once(made, disk.undone)
                disk.undone.add(undoes.hash)
                self.meals_of.get(undoes.entry.account or "", {}).pop(undoes.hash, None)
            new.append(made)
        return new

    def _apply(self, box: Box, event: Arrived) -> set[str]:
        """Return the accounts whose record came anew or went."""
        assert isinstance(event.receipt, tuple)
        proof = event.receipt[1].proof
        disk = box.disk
        before, mark = disk.place, self._moved(box)
        # as it was before this message: its order may have begun an epoch
        kept_earlier = box.db.sql.execute(
            "SELECT 1 FROM entry WHERE n < ? LIMIT 1", (Place(disk.epochs, 0).n,)
        ).fetchone()
        disk.epochs = self._incidents(box)
        generation, resync, position = disk.place
        adopted = (
            before[0] != generation and kept_earlier is not None
        )  # a new generation: its records come later
        if not isinstance(proof, Proof) or proof.message.generation != generation or adopted:
            return set()  # its records were not taken, whatever they happen to say alike
        began_anew = (
            position == 0 and resync > before[1]
        )  # just now, by an order of this message: its records were taken before
        if position != proof.message.to and not began_anew:
            return (
                set()
            )  # nor those of a message that is old or a gap, or of one about an earlier epoch
        touched = set()
        for account in proof.accounts.values():
            row = box.db.sql.execute(
                "SELECT p, body FROM record WHERE kind = 'account' AND id = ?", (account.id,)
            ).fetchone()
            held = msgspec.json.decode(row[1], type=_Record) if row and row[1] != ROTTEN else None
            if held is not None and (held.p, held.balance) == (account.p, account.balance):
                disk.views[account.id] = View(account.balance, proof.seen)
                disk.tainted.discard(account.id)
                touched.add(account.id)
        kept = {
            row[0] for row in box.db.sql.execute("SELECT id FROM record WHERE kind = 'account'")
        }
        for gone in disk.views.keys() - kept - disk.tainted:
            del disk.views[gone]
        self._marks(box, proof, Place.of(mark))
        return touched

    def _moved(self, box: Box) -> int:
        """Note where a terminal stands after any turn; return what it was told is booked."""
        generation, resync, position, mark, resync_to = box.db.sql.execute(
            "SELECT generation, resync, position, acked, CASE WHEN resyncing THEN resync_to END FROM terminal"
        ).fetchone()
        if resync == box.disk.place[1] and resync_to is None:
            invariants.everything_was_told(box.disk.resync_to, position)
        box.disk.resync_to = resync_to
        invariants.a_position_goes_on(box.disk.place, (generation, resync, position))
        box.disk.generations += box.disk.place[0] not in (None, generation)
        if generation is not None and generation != box.disk.place[0]:
            invariants.a_life_that_is_over_is_over(generation, box.disk.lives)
            box.disk.lives.add(generation)
        box.disk.place = (generation, resync, position)
        return int(mark)

    def _incidents(self, box: Box) -> int:
        """What a message brings about and a person should know of is kept. Return how many epochs the file has begun."""
        epochs, begun, generations = box.db.sql.execute(
            "SELECT (SELECT max(n) FROM epoch), count(*) FILTER (WHERE kind = 'new_epoch'), count(*) FILTER (WHERE kind = 'new_generation')"
            " FROM incident"
        ).fetchone()
        invariants.what_happened_left_an_incident("new_epoch", begun, epochs - 1)
        invariants.what_happened_left_an_incident(
            "new_generation", generations, box.disk.generations
        )
        return int(epochs)

    def _marks(self, box: Box, proof: Proof, mark: tuple[int, int]) -> None:
        """What has just been acknowledged is booked."""
        before, box.disk.mark = box.disk.mark, mark
        acked = proof.message.acked
        if mark > before and mark[1] == acked.seq:
            first = before[1] + 1 if before[0] == mark[0] else 1
            for seq in range(first, acked.seq + 1):
                made = box.disk.line.get((acked.epoch, seq))
                if (
                    made is not None
                    and not self._contained(made, proof.seen)
                    and self._is_kept(box, made)
                ):
                    invariants.nothing_acknowledged_is_missing(made)

    def _is_kept(self, box: Box, made: Made) -> bool:
        """Return whether an entry is still on the disk. Only one that was booked in some life of the central may be pruned."""
        row = box.db.sql.execute(
            "SELECT 1 FROM entry WHERE n = (SELECT n FROM epoch WHERE id = ?) << 33 | ? AND hash = ?",
            (made.epoch, made.seq, bytes.fromhex(made.hash)),
        ).fetchone()
        if row is None:
            invariants.only_what_was_booked_is_pruned(
                made, any(made.hash in life.booked for life in self.lives)
            )
        return row is not None

    def what_is_pruned_was_booked(self, box: Box) -> None:
        base = dict(box.db.sql.execute("SELECT id, base_seq FROM epoch").fetchall())
        for made in box.disk.line.values():
            if made.seq <= base[made.epoch]:
                invariants.only_what_was_booked_is_pruned(
                    made, any(made.hash in life.booked for life in self.lives)
                )

    def _contained(self, made: Made, seen: Seen) -> bool:
        serial = self.lives[seen.life].booked.get(made.hash)
        return serial is not None and serial <= seen.serial

    def _of_eater(self, disk: Disk, made: Made) -> list[Made]:
        """Return the standing meals of whoever has eaten just now, on this disk, whether known by account or by card."""
        entry = made.entry
        own = [*disk.of_account[entry.account or ""], *disk.of_account[entry.card or ""]]
        undone = {id(one.undoes) for one in own if one.undoes is not None}
        return [
            one
            for one in own
            if one.entry.kind in ("meal", "unknown_meal") and id(one) not in undone
        ]

    def _price(self, box: Box, entry: Entry) -> None:
        """A meal by card or name costs by what the terminal holds at that moment."""
        held = "SELECT body FROM record WHERE kind = ? AND id = ?"
        account = box.db.sql.execute(held, ("account", entry.account)).fetchone()
        card = (
            box.db.sql.execute(held, ("card", entry.card)).fetchone()
            if entry.card is not None
            else None
        )
        invariants.a_meal_costs_what_its_account_pays(
            entry, json.loads(account[0]), json.loads(card[0]) if card else None
        )

    def _debt(self, box: Box, made: Made) -> None:
        """Where a town refuses: a meal served for money that was there goes below the floor only by meals not yet known here."""
        entry, account = made.entry, made.entry.account
        if (
            entry.how != "card"
            or account is None
            or entry.cents == 0
            or account in box.disk.tainted
        ):
            return
        policy = policy_on(reads.policies(box.db), entry.day or "")
        if policy.shortage != "refuse" or {"stale", "serve_all"} & set(entry.flags):
            return
        view = box.disk.views[account]
        shown = reads.balance_cents(box.db, account)
        assert shown is not None
        elsewhere = [
            meal
            for meal in self.meals_of.get(account, {}).values()
            if meal.entry.clock != "unset"
            and (meal.epoch, meal.seq) not in box.disk.line
            and not self._contained(meal, view.seen)
        ]
        invariants.debt_is_bounded(
            shown,
            policy.floor,
            [(meal.disk, meal.entry.service, meal.entry.day) for meal in elsewhere],
        )
