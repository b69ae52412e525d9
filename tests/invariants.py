"""What must always be true: one named function per invariant.

The simulator, the state machine, the stories and the tests of real processes all use them.
docs/CONSISTENCY.md proves them. Functions that take values are called after every step, functions
that take files when nothing is pending. Each raises `AssertionError`.
"""

from collections.abc import Container, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from agent.central.books.file import FileBooks
from agent.central.books.records import Interval, find
from agent.central.office.check import check
from agent.domain.ledger import ChainEnd, Entry, Place
from agent.readers.events import Signal
from agent.store import lists, reads
from agent.store.database import Database
from agent.store.standing import find_place, standing
from agent.store.verify import verify
from agent.sync.messages import BATCH_ENTRIES_MAX, MESSAGE_BYTES_MAX
from agent.sync.session import RETRY_MAX_MS
from tests.counter_model import HeldPrice, gets
from tests.parts.wire import Box, Wire
from tests.simulation.model import Disk, DiskEntry, FeedPosition
from tests.simulation.paper import Members, RecordKey

MEALS = ("meal", "unknown_meal")
ALL_ENTRIES = 1_000_000
KEPT_AT_LEAST = timedelta(days=1)

# 1. Every green light has exactly one entry, which survives every crash.


def every_light_has_one_entry(
    lights: Sequence[Signal],
    entries: Sequence[Entry],
    *,
    finished: bool,
    earlier: Entry | None = None,
) -> None:
    """A tap makes one entry and shows one light.

    A power cut may leave an entry without its light, never a light without its entry. `earlier` is
    the entry of the card that was there when the process began: it may get its light again.
    """
    if lights and not entries and earlier is not None:
        entries = [earlier]
    counts = f"{len(lights)} lights, {len(entries)} entries"
    assert len(lights) <= len(entries) <= 1, f"one tap made {counts}"
    assert len(lights) == len(entries) or not finished, f"a finished turn made {counts}"
    for light, entry in zip(lights, entries, strict=False):
        assert light is gets(entry).light, f"the light {light} was shown for {gets(entry)}"


def every_out_of_order_tap_is_recorded(unrecorded: int, *, works: bool) -> None:
    """As soon as the file works, taps that were answered with *out of order* are recorded.

    `unrecorded` is how many the process has not recorded yet. Those of a killed process are lost.
    """
    assert unrecorded == 0 or (unrecorded > 0 and not works), (
        f"{unrecorded} taps got 'out of order' and were not recorded though the file works"
    )


def meals_of_green_lights_are_kept(disk: Disk, db: Database) -> None:
    for made in disk.green_meals:
        place = find_place(db, ChainEnd(epoch=made.epoch, seq=made.seq, hash=made.hash))
        assert place is not None and place.hash in (made.hash, None), (
            f"the meal of a green light is lost: {made.terminal} {made.epoch} {made.seq}"
        )


def every_green_light_has_one_meal(box: Box) -> None:
    greens = sum(1 for light in box.lights if light is Signal.SERVED)
    meals = sum(1 for entry in box.entries() if entry.kind in MEALS and entry.how == "card")
    assert greens == meals, f"{box.name}: {greens} green lights, {meals} meals"


# 3. Balance shown = the central's balance at h + own entries after h.


def the_balance_shown_is_the_centrals_plus_own_entries(
    who: str, shown: int | None, expected: int | None
) -> None:
    assert shown == expected, f"{who}: shows {shown} cents, must show {expected}"


# 4. The central's balance is payments plus booked entries. These are a prefix without gaps.


def a_balance_is_payments_less_meals(account: str, held: int, expected: int) -> None:
    assert held == expected, (
        f"account {account}: the central holds {held} cents, payments less meals give {expected}"
    )


def the_last_meal_is_one_that_stands(
    account: str, sent: Members | None, possible: Sequence[Members | None]
) -> None:
    """A meal that was undone keeps no child from eating at the next terminal."""
    assert sent in possible, f"account {account}: {sent} is sent as its last meal, not {possible}"


def only_entries_of_a_disk_are_booked(digest: str, everything: Container[str]) -> None:
    assert digest in everything, f"the central booked entry {digest[:8]}, which no disk made"


def the_books_are_consistent(books: FileBooks) -> None:
    assert not (wrong := [*check(books)]), wrong


def the_hash_chain_is_intact(db: Database) -> None:
    assert list(verify(db)) == []


def the_chain_mark_covers_booked_entries(marked: int, booked: int) -> None:
    """`marked` is the seq up to which an epoch's chain is complete, `booked` its newest entry."""
    assert marked >= booked, f"entry {booked} is booked, the chain mark is at {marked}"


# 5. Every acknowledged entry is booked. Every set-aside entry is listed on both sides.


def acknowledged_entries_are_booked(missing: DiskEntry | None) -> None:
    """`missing` is an entry that was acknowledged and is not booked."""
    assert missing is None, f"acknowledged and not booked: {missing}"


def every_entry_is_booked(db: Database, books: FileBooks, terminal: str) -> None:
    query = "SELECT hash FROM entry WHERE terminal = ?"
    booked = {row[0] for row in books.sql.execute(query, (terminal,))}
    missing = [
        (listed.epoch, listed.entry.seq)
        for listed in reads.entries(db, newest=ALL_ENTRIES)
        if listed.entry.hash not in booked
    ]
    assert not missing, f"{terminal}: recorded and not booked: {missing[:5]}"


def notes_are_those_of_the_central(db: Database, books: FileBooks, terminal: str) -> None:
    """A note has no hash, so a number that two disks used is left out."""
    query = (
        "SELECT epoch, seq, max(CASE WHEN status <> 'applied' THEN status || ': ' || reason END)"
        " FROM entry WHERE terminal = ? GROUP BY epoch, seq HAVING count(*) = 1"
    )
    remarks = {tuple(key): remark for *key, remark in books.sql.execute(query, (terminal,))}
    notes = db.sql.execute(
        "SELECT epoch.id, e.seq, status || ': ' || reason FROM entry e"
        " JOIN epoch ON epoch.n = e.epoch LEFT JOIN note ON note.n = e.n"
    )
    different = [row for row in notes if remarks.get(row[:2], row[2]) != row[2]]
    assert not different, f"{terminal}: notes differ from the central's remarks: {different[:5]}"


def only_unusable_messages_are_set_aside(set_aside: int, *, is_garbage: bool) -> None:
    """A message is set aside before it is acknowledged if, and only if, it is garbage."""
    what = "an unusable message" if is_garbage else "a usable message"
    assert set_aside == int(is_garbage), f"{set_aside} messages were set aside for {what}"


def no_entry_is_pruned_outside_its_balance(kept: list[DiskEntry], after: list[DiskEntry]) -> None:
    """Of the entries that an account's balance does not contain, all are kept."""
    assert kept == after, (
        f"{len(after) - len(kept)} entries were pruned that the balance does not contain"
    )


def a_meal_costs_its_accounts_price(
    entry: Entry, prices: Sequence[HeldPrice], card_status: str | None
) -> None:
    """A meal costs the newest price of its service that is in effect on its day.

    `prices` and `card_status` are from the records that the terminal held. A blocked card gets no
    meal.
    """
    valid = [
        (price.from_day, price.cents)
        for price in prices
        if price.service == entry.service and price.from_day <= (entry.day or "")
    ]
    assert ("no_price" in entry.flags) is not bool(valid), (
        f"a meal of {entry.account} on {entry.day} has the flags {entry.flags}, its prices: {valid}"
    )
    price = max(valid)[1] if valid else 0
    assert entry.cents == -price, (
        f"a meal of {entry.account} on {entry.day} cost {-entry.cents} cents, its price is {price}"
    )
    assert card_status in (None, "active"), f"a meal was served to a card that is {card_status}"


def only_booked_entries_are_pruned(made: DiskEntry, was_booked: bool) -> None:
    assert was_booked, f"pruned before it was booked: {made}"


def only_old_entries_are_pruned(made: DiskEntry, now: datetime) -> None:
    """A terminal whose clock was never wrong keeps every entry for a day at least."""
    age = now - made.true_at
    assert age >= KEPT_AT_LEAST, f"pruned after {age}: {made}"


# 6. When nothing is pending, each terminal's records equal the central's.


def a_terminal_equals_the_central(db: Database, books: FileBooks, terminal: str) -> None:
    pending = standing(db).pending
    assert pending == 0, f"{terminal}: {pending} entries are pending"
    (site,) = books.sql.execute("SELECT site FROM terminal WHERE id = ?", (terminal,)).fetchone()
    held = {body.encode() for (body,) in db.sql.execute("SELECT body FROM record")}
    sent = {record.body for record in find(books, Interval(site, 0))} if site else set()
    assert held == sent, (
        f"{terminal}: only at the terminal {sorted(held - sent)[:3]},"
        f" only at the central {sorted(sent - held)[:3]}"
    )
    query = "SELECT id, balance FROM account WHERE site = ?"
    balances = dict(books.sql.execute(query, (site,)).fetchall())
    shown = dict(reads.balances(db))
    different = [
        (account, shown.get(account), balance)
        for account, balance in balances.items()
        if shown.get(account) != balance
    ]
    assert shown == balances, f"{terminal}: balances (shown, central) differ: {different[:5]}"


def a_terminal_holds_what_the_office_wrote(
    terminal: str, held: Mapping[RecordKey, Members], written: Mapping[RecordKey, Members]
) -> None:
    """`written` is what the office wrote, not what the central sent."""
    wrong = [
        (key, held.get(key), written.get(key))
        for key in sorted({*held, *written})
        if held.get(key) != written.get(key)
    ]
    assert not wrong, f"{terminal}: records (held, written) differ: {wrong[:3]}"


def both_sides_are_equal(wire: Wire) -> None:
    for box in wire.boxes.values():
        a_terminal_equals_the_central(box.db, wire.central.books, box.name)


# 7. The digest finds every difference, and a resynchronisation repairs it.


def count_differences(db: Database) -> int:
    """Return how often the digest found a difference or a record was unreadable."""
    return sum(row.kind in ("digest", "record") for row in lists.incidents(db))


def a_difference_is_found_once_and_repaired(
    db: Database, books: FileBooks, terminal: str, before: int
) -> None:
    """`before` is what `count_differences` returned before the damage."""
    incidents = count_differences(db) - before
    # one that follows another within an hour is counted in its row
    assert incidents == 1 or (incidents == 0 and before > 0), (
        f"{terminal}: {incidents} incidents for one difference"
    )
    a_terminal_equals_the_central(db, books, terminal)


def the_digest_finds_no_difference_without_damage(db: Database) -> None:
    """If nobody damaged a disk, a difference that the digest repairs is a bug of the program."""
    details = [row.detail for row in lists.incidents(db) if row.kind == "digest"]
    assert not details, f"the digest found a difference on an undamaged disk: {details[0]}"


# 8. In a town that refuses, debt is at most the floor plus what unconnected terminals may add.


class MealElsewhere(NamedTuple):
    """A meal at another disk that a terminal does not know yet."""

    disk: int
    service: str | None
    day: str | None


def debt_is_bounded(shown_cents: int, floor_cents: int, elsewhere: Sequence[MealElsewhere]) -> None:
    """After a meal for money, what the terminal shows is not below the floor.

    The true balance is lower by the meals `elsewhere`: at most one per disk, service and day.
    """
    assert shown_cents >= floor_cents, (
        f"served down to {shown_cents} cents, the floor is {floor_cents}"
    )
    assert len(elsewhere) == len(set(elsewhere)), (
        f"one terminal added two meals of one service: {elsewhere}"
    )


# 9. Positions and seqs never decrease. Messages stay within their limits.


def nothing_is_written_after_an_acknowledgement(written_before: int, written: int) -> None:
    """Both count the rows changed by a process: at the acknowledgement, and when its turn ended."""
    assert written == written_before, (
        f"{written - written_before} rows were changed after the acknowledgement to the broker"
    )


def a_process_ends_only_on_a_full_disk(reason: object, *, full: bool) -> None:
    assert full, f"the process ended: {reason}"


def records_and_position_change_together(db: Database) -> None:
    """After a kill no record is newer than the position, except during a resynchronisation."""
    (newest, position, resyncing) = db.sql.execute(
        "SELECT coalesce((SELECT max(p) FROM record), 0), position, resyncing FROM terminal"
    ).fetchone()
    assert newest <= position or resyncing, (
        f"a record has position {newest}, the terminal is at {position}"
    )


def an_answered_link_is_not_dropped(resting_since_ms: int | None, now_ms: int) -> None:
    """While no message is lost, each hello is answered within one retry.

    So a link is dropped only for a silence that began before.
    """
    assert resting_since_ms is None or now_ms - resting_since_ms < 2 * RETRY_MAX_MS, (
        "the link was dropped though every hello was answered"
    )


def a_number_never_decreases(what: str, before: int, now: int) -> None:
    assert now >= before, f"{what} decreased from {before} to {now}"


def seqs_have_no_gaps(before: Place, now: Place) -> None:
    """`now` is the entry after `before` on one disk."""
    is_next = now == Place(before.epoch_number, before.seq + 1)
    begins_epoch = now.epoch_number > before.epoch_number and now.seq == 1
    assert is_next or begins_epoch, f"entry {now} follows {before}"


def a_resynchronisation_reaches_its_end(resync_to: int | None, position: int) -> None:
    """A resynchronisation ends at, or after, the central's position when it began."""
    assert resync_to is None or position >= resync_to, (
        f"a resynchronisation up to {resync_to} ended at {position}"
    )


def a_resynchronisation_knows_its_end(until: int | None, resync_to: int | None) -> None:
    """`until` is in the message that begins a snapshot. A terminal stores it with its records."""
    assert until == resync_to, f"a snapshot up to {until} is stored as one up to {resync_to}"


def an_abandoned_generation_is_never_readopted(generation: str, before: Container[str]) -> None:
    assert generation not in before, (
        f"a terminal returned to generation {generation[-8:]}, which it had abandoned"
    )


def a_position_never_decreases(before: FeedPosition, now: FeedPosition) -> None:
    """Within one generation and one resynchronisation."""
    if before[:2] == now[:2]:
        a_number_never_decreases("a terminal's position", before.position, now.position)


def a_message_is_within_its_limits(payload: bytes, entries: int = 0) -> None:
    assert len(payload) <= MESSAGE_BYTES_MAX, f"a message of {len(payload)} bytes"
    assert entries <= BATCH_ENTRIES_MAX, f"a batch of {entries} entries"


def a_synchronised_clock_is_used(entry: Entry, now: str, day: str) -> None:
    """An entry under a right time server has its time, whatever any clock showed before."""
    assert entry.at == now and entry.clock != "unset", (
        f"an entry made at {now} has time {entry.at}, clock {entry.clock}"
    )
    assert entry.day in (None, day) or entry.how != "card", (
        f"a meal of {day} was recorded for {entry.day}"
    )


def no_order_is_pending(books: FileBooks, terminal: str) -> None:
    query = "SELECT order_id, order_do FROM terminal WHERE id = ?"
    order_id, do = books.only_row(query, (terminal,))
    assert order_id is None, f"{terminal}: the order {do} {order_id} is pending"


# 10. Incidents are recorded.


def each_incident_is_recorded_once(kind: str, recorded: int, happened: int) -> None:
    """The incident is written in the transaction of its cause.

    In a transaction of its own, a power cut between the two would lose it.
    """
    assert recorded == happened, f"{recorded} incidents {kind!r} for {happened} causes"


def everything_is_consistent(wire: Wire) -> None:
    """Check what holds when nothing is pending."""
    for box in wire.boxes.values():
        every_green_light_has_one_meal(box)
        the_hash_chain_is_intact(box.db)
    the_books_are_consistent(wire.central.books)
    both_sides_are_equal(wire)
