"""Reads a terminal's file after every turn, updates the model, and compares both.

Each check is a function of tests/invariants.py. This module decides when it is called, and on what.
"""

import msgspec

from agent.domain.clock import day_of, format_instant
from agent.domain.ledger import Entry, Place, RefusalReason
from agent.readers.events import Signal
from agent.store import reads
from agent.sync.events import Arrived
from agent.sync.messages import Changes
from agent.terminal.control import Request
from tests import counter_invariants, invariants
from tests.parts.wire import ZONE
from tests.simulation.model import Contact, DiskEntry, FeedPosition, View
from tests.simulation.observe_central import Proof, Record
from tests.simulation.observe_counter import UNREADABLE, BoxTurn, CounterObserver
from tests.simulation.parts import Box


class Observer(CounterObserver):
    """Observes the central and its terminals."""

    def box_turned(self, box: Box, turn: BoxTurn) -> None:
        """Take what a terminal has recorded and applied in this turn, and check it."""
        self._note_sources(box, turn.event)
        new = self._new_entries(box) if turn.wrote else []
        self._check_lights(box, turn, new)
        disk = box.disk
        disk.green_meals += [made for made in new if turn.is_green]
        touched = {made.entry.account for made in new if made.entry.account is not None}
        if isinstance(turn.event, Arrived):
            touched |= self._apply(box, turn.event)
        elif turn.wrote:
            self._update_feed(box)
        for account in sorted(touched - disk.damaged):
            self._check_shown(box, account)
        for made in new:
            self._check_counter(box, turn, made)
        if turn.is_tap and turn.finished and box.core.fault is None:
            self._check_page(box, new)

    def _check_lights(self, box: Box, turn: BoxTurn, new: list[DiskEntry]) -> None:
        """Check the entries of a turn against its lights, or against the staff's request."""
        of_event = [
            made.entry for made in new if made.entry.reason is not RefusalReason.OUT_OF_ORDER
        ]
        if turn.is_tap:
            lights = [show.signal for show in turn.shown if show.signal is not Signal.OUT_OF_ORDER]
            box.unrecorded += len(turn.shown) - len(lights)
            finished = turn.finished and len(lights) == len(turn.shown)
            earlier = box.earlier_entry(turn.event)
            invariants.every_light_has_one_entry(
                lights, of_event, finished=finished, earlier=earlier
            )
        elif isinstance(turn.event, Request):
            for entry in of_event:
                counter_invariants.a_meal_has_the_day_that_the_staff_entered(entry, turn.event.ask)
        for made in new:
            counter_invariants.what_the_staff_do_has_their_card(
                made.entry, box.staff_taps, is_needed=box.needs_staff_card
            )
        box.unrecorded -= len(new) - len(of_event)
        works = turn.finished and box.core.fault is None
        invariants.every_out_of_order_tap_is_recorded(box.unrecorded, works=works)

    def _check_shown(self, box: Box, account: str) -> None:
        """The balance shown is the central's when it was sent, plus own entries not in it."""
        view = box.disk.views.get(account)
        shown = reads.balance_cents(box.db, account)
        made = box.disk.by_eater[account]
        after = [entry for entry in made if not self._contains(view.booked, entry)] if view else []
        kept = [entry for entry in after if self._is_kept(box, entry)]
        if len(self.timelines) == 1:
            # A central restored from a backup may have lost entries that were pruned since.
            invariants.no_entry_is_pruned_outside_its_balance(kept, after)
        own_cents = sum(entry.entry.cents for entry in kept)
        expected = view.balance_cents + own_cents if view else None
        who = f"{box.path.stem}, account {account}"
        invariants.the_balance_shown_is_the_centrals_plus_own_entries(who, shown, expected)

    def _new_entries(self, box: Box) -> list[DiskEntry]:
        rows = box.db.sql.execute(
            "SELECT e.epoch, epoch.id, seq, lower(hex(hash)), body FROM entry e"
            " JOIN epoch ON epoch.n = e.epoch WHERE e.n > ? ORDER BY e.n",
            (box.disk.end.n,),
        ).fetchall()
        return [
            self._add_entry(box, Place(number, seq), epoch, _entry(body, digest))
            for number, epoch, seq, digest, body in rows
        ]

    def _add_entry(self, box: Box, place: Place, epoch: str, entry: Entry) -> DiskEntry:
        """Check the next entry of a disk and add it to the model."""
        disk = box.disk
        invariants.seqs_have_no_gaps(disk.end, place)
        self._check_time(box, entry)
        disk.end = place
        reverses = entry.reverses
        undoes = disk.entries.get((reverses.epoch, reverses.seq)) if reverses else None
        now = box.environment.now
        made = DiskEntry(disk.number, box.client_id, epoch, place.seq, entry, undoes, now)
        disk.entries[epoch, place.seq] = made
        eater = entry.account or entry.card
        if eater is not None:
            disk.by_eater[eater].append(made)
        self.entries.setdefault(made.hash, made)
        if entry.kind == "meal" and entry.account is not None:
            self.standing_meals.setdefault(entry.account, {})[made.hash] = made
        elif undoes is not None:
            counter_invariants.a_meal_is_undone_at_most_once(made, disk.undone)
            disk.undone.add(undoes.hash)
            self.standing_meals.get(undoes.entry.account or "", {}).pop(undoes.hash, None)
        return made

    def _check_time(self, box: Box, entry: Entry) -> None:
        now = format_instant(box.environment.now)
        # Such a tap is recorded later, with its own time, which the observer does not know.
        if box.is_right() and entry.reason is not RefusalReason.OUT_OF_ORDER:
            invariants.a_synchronised_clock_is_used(entry, now, day_of(now, ZONE))

    def _apply(self, box: Box, event: Arrived) -> set[str]:
        """Take a message's records if the terminal took them. Return the accounts they touched."""
        assert isinstance(event.receipt, tuple)
        proof = event.receipt[1].proof
        disk = box.disk
        # The message's order may have begun an epoch: look for entries of the epochs before.
        earlier = "SELECT 1 FROM entry WHERE n < ? LIMIT 1"
        first = Place(disk.epochs, 0).n
        before, acked_before = disk.feed, disk.acked
        acked = self._update_feed(box)
        keeps_earlier = box.db.sql.execute(earlier, (first,)).fetchone() is not None
        disk.epochs = self._check_incidents(box)
        if not isinstance(proof, Proof):
            return set()
        now = box.environment.now
        moved = disk.feed != before or acked > acked_before
        disk.contact = Contact(now if moved else disk.contact.sure_at, now)
        box.contacted |= moved
        if not _took_records(before, disk.feed, proof.message):
            return set()
        message = proof.message
        begins = disk.feed.resync == before.resync + 1 and disk.feed.position == message.to
        if (
            begins
            and not disk.was_wiped
            and message.reset
            and 0 < message.to < (message.until or 0)
        ):
            invariants.a_resynchronisation_knows_its_end(message.until, disk.resync_to)
        if before.generation != disk.feed.generation and keeps_earlier:
            return set()  # records follow when the earlier epochs are booked again
        touched = self._take_views(box, proof)
        self._check_acknowledged(box, proof, acked)
        return touched

    def _take_views(self, box: Box, proof: Proof) -> set[str]:
        """Take the accounts that the terminal now holds as the message has them."""
        disk = box.disk
        touched = set()
        for account in proof.accounts.values():
            held = self._held_account(box, account.id)
            if held is not None and (held.p, held.balance) == (account.p, account.balance):
                disk.views[account.id] = View(
                    account.balance, proof.booked, proof.credits[account.id]
                )
                disk.damaged.discard(account.id)
                touched.add(account.id)
        rows = box.db.sql.execute("SELECT id FROM record WHERE kind = 'account'")
        kept = {account for (account,) in rows}
        for removed in disk.views.keys() - kept - disk.damaged:
            del disk.views[removed]
        return touched

    def _held_account(self, box: Box, account: str) -> Record | None:
        query = "SELECT body FROM record WHERE kind = 'account' AND id = ?"
        row = box.db.sql.execute(query, (account,)).fetchone()
        if row is None or row[0] == UNREADABLE:
            return None
        return msgspec.json.decode(row[0], type=Record)

    def _update_feed(self, box: Box) -> Place:
        """Check how far a terminal has followed the central. Return what is acknowledged."""
        disk = box.disk
        generation, resync, position, acked, resync_to, wiped = box.db.sql.execute(
            "SELECT generation, resync, position, acked, CASE WHEN resyncing THEN resync_to END,"
            " wiped FROM terminal"
        ).fetchone()
        if wiped:
            disk.was_wiped = True
            disk.by_eater.clear()  # the disk knows no earlier meal
            disk.resync_to = None  # a wipe ends a resynchronisation
        now = FeedPosition(generation, resync, position)
        if resync == disk.feed.resync and resync_to is None:
            invariants.a_resynchronisation_reaches_its_end(disk.resync_to, position)
        disk.resync_to = resync_to
        invariants.a_position_never_decreases(disk.feed, now)
        disk.replaced_generations += disk.feed.generation not in (None, generation)
        if generation is not None and generation != disk.feed.generation:
            invariants.an_abandoned_generation_is_never_readopted(generation, disk.generations)
            disk.generations.add(generation)
        disk.feed = now
        return Place.of(acked)

    def _check_incidents(self, box: Box) -> int:
        """Check that epochs and generations left incidents. Return the newest epoch's number."""
        epochs, begun, generations = box.db.sql.execute(
            "SELECT (SELECT max(n) FROM epoch), count(*) FILTER (WHERE kind = 'new_epoch'),"
            " count(*) FILTER (WHERE kind = 'new_generation') FROM incident"
        ).fetchone()
        replaced = box.disk.replaced_generations
        invariants.each_incident_is_recorded_once("new_epoch", begun, epochs - 1)
        invariants.each_incident_is_recorded_once("new_generation", generations, replaced)
        return int(epochs)

    def _check_acknowledged(self, box: Box, proof: Proof, now: Place) -> None:
        """Check that every entry acknowledged by this message is booked."""
        before, box.disk.acked = box.disk.acked, now
        acked = proof.message.acked
        if now <= before or now.seq != acked.seq:
            return
        first = before.seq + 1 if before.epoch_number == now.epoch_number else 1
        for seq in range(first, acked.seq + 1):
            made = box.disk.entries.get((acked.epoch, seq))
            if made is None or self._contains(proof.booked, made):
                continue
            if self._is_kept(box, made):
                invariants.acknowledged_entries_are_booked(made)

    def _is_kept(self, box: Box, made: DiskEntry) -> bool:
        """Return whether an entry is on the disk. Check that it was booked if it is pruned."""
        number = "SELECT n FROM epoch WHERE id = ?"
        row = box.db.sql.execute(number, (made.epoch,)).fetchone()
        place = Place(row[0], made.seq).n if row is not None else -1
        query = "SELECT 1 FROM entry WHERE n = ? AND hash = ?"
        kept = box.db.sql.execute(query, (place, bytes.fromhex(made.hash))).fetchone() is not None
        if not kept:
            self._check_one_pruned(box, made)
        return kept

    def _check_one_pruned(self, box: Box, made: DiskEntry) -> None:
        invariants.only_booked_entries_are_pruned(made, self._was_booked(made))
        if not box.disk.was_wrong and not box.disk.was_wiped:
            invariants.only_old_entries_are_pruned(made, box.environment.now)

    def check_pruned(self, box: Box) -> None:
        """Check that every pruned entry was booked."""
        base = dict(box.db.sql.execute("SELECT id, base_seq FROM epoch").fetchall())
        for made in box.disk.entries.values():
            if made.seq <= base[made.epoch]:
                self._check_one_pruned(box, made)


def _entry(body: str, digest: str) -> Entry:
    return msgspec.structs.replace(msgspec.json.decode(body, type=Entry), hash=digest)


def _took_records(before: FeedPosition, now: FeedPosition, message: Changes) -> bool:
    """Return whether a terminal's move from `before` to `now` means that it took the records.

    It does not take those of another generation, of an old message, of one after a gap, or of one
    about an earlier epoch, even if they happen to equal what it holds.
    """
    if message.generation != now.generation:
        return False
    # An order of this message may have begun a resynchronisation, after the records were taken.
    began_resync = now.position == 0 and now.resync > before.resync
    return now.position == message.to or began_resync
