"""What must always be true, each as one named function: the simulator, the state machine, stories and real parts use the same.

docs/CONSISTENCY.md says why they hold. Those that take values are asked after every step; those that take files, at rest.
"""

from collections.abc import Container, Iterable, Sequence
from typing import Any

from agent.central.books.file import Books
from agent.central.books.records import Interval, find
from agent.central.office.check import check
from agent.domain.ledger import ChainEnd, Entry, Place
from agent.readers.events import Signal
from agent.store import reads
from agent.store.database import Database
from agent.store.standing import find_place, standing
from agent.store.verify import verify
from agent.sync.messages import BATCH_ENTRIES_MAX, MESSAGE_BYTES_MAX
from agent.sync.session import RETRY_MAX_MS
from tests.parts.wire import Box, Wire
from tests.simulation.model import Disk, Made

# 1. Every green light has exactly one entry, and it is still there after any crash.


def every_light_has_one_entry(
    lights: Sequence[Signal], entries: Sequence[Entry], *, finished: bool
) -> None:
    """`lights` and `entries` of one tap. An entry without its light is what a pulled plug leaves; never the other way round."""
    assert len(lights) <= len(entries) <= 1, f"{len(lights)} lights, {len(entries)} entries"
    assert len(lights) == len(entries) or not finished, (
        f"{len(lights)} lights, {len(entries)} entries, and nothing had gone wrong"
    )
    for light, entry in zip(lights, entries, strict=False):
        assert (light is Signal.SERVED) == (entry.kind in ("meal", "unknown_meal")), (
            f"{light} for {entry.kind}"
        )


def what_was_told_out_of_order_is_recorded(unrecorded: int, *, works: bool) -> None:
    """`unrecorded` are the taps that one life of the process told *out of order*, less those recorded since; `works`: its file does."""
    assert unrecorded == 0 or (unrecorded > 0 and not works), (
        f"{unrecorded} taps were told out of order and are recorded nowhere"
    )


def greens_are_still_there(disk: Disk, db: Database) -> None:
    for made in disk.greens:
        kept = find_place(db, ChainEnd(epoch=made.epoch, seq=made.seq, hash=made.hash))
        assert kept is not None and kept.hash in (made.hash, None), (
            f"the meal of a green light is gone: {made.terminal} {made.epoch} {made.seq}"
        )


def every_green_light_has_one_entry(box: Box) -> None:
    greens = sum(1 for light in box.lights if light is Signal.SERVED)
    meals = sum(
        1
        for entry in box.entries()
        if entry.kind in ("meal", "unknown_meal") and entry.how == "card"
    )
    assert greens == meals, f"{box.name}: {greens} green lights, {meals} meals"


# 2. No account is charged twice for one service and day at one terminal.


def nobody_is_charged_twice_at_one_terminal(made: Made, standing: Iterable[Made]) -> None:
    """`standing` are all meals on that disk that stand and are of the same account or card, `made` among them."""
    entry = made.entry
    if entry.clock == "unset":
        return  # its day is a guess: the central gives back what turns out to be a second meal
    same = [
        one
        for one in standing
        if (one.entry.service, one.entry.day) == (entry.service, entry.day)
        and one.entry.clock != "unset"
    ]
    assert len(same) <= 1, (
        f"{made.terminal}: {entry.account or entry.card} has eaten {entry.service} of {entry.day} {len(same)} times"
    )


def a_meal_is_undone_at_most_once(storno: Made, undone: Container[str]) -> None:
    assert storno.undoes is None or storno.undoes.hash not in undone, (
        f"{storno.terminal}: {storno.undoes} is undone twice"
    )


def a_late_meal_is_of_the_day_the_staff_gave(entry: Entry, day: str) -> None:
    assert entry.day == day, f"a meal of {day} was recorded for {entry.day}"


# 3. Balance shown = the central's balance at h + own entries after h.


def a_balance_shown_is_the_centrals_plus_own(
    who: str, shown: int | None, expected: int | None
) -> None:
    assert shown == expected, f"{who}: shows {shown} cents, must show {expected}"


# 4. The central's balance is the sum of payments and applied entries; entries are a gap-free prefix; the hash chain holds.


def a_balance_is_payments_less_meals(account: str, held: int, expected: int) -> None:
    assert held == expected, (
        f"account {account}: the central holds {held} cents, payments less meals give {expected}"
    )


def only_what_was_made_is_booked(digest: str, everything: Container[str]) -> None:
    assert digest in everything, f"the central has an entry {digest[:8]} that nobody made"


def the_books_are_right(books: Books) -> None:
    assert list(check(books)) == []


def the_chain_holds(db: Database) -> None:
    assert list(verify(db)) == []


def the_mark_moves_with_what_is_booked(marked: int, booked: int) -> None:
    """Up to where an epoch is booked by the chain, and the newest entry of it booked just now."""
    assert marked >= booked, f"entry {booked} is booked, the mark stands at {marked}"


# 5. Nothing acknowledged is missing at the central; nothing is set aside without being listed on both sides.


def nothing_acknowledged_is_missing(missing: Made | None) -> None:
    """`missing` is an entry that its terminal keeps, was told is booked, and is not."""
    assert missing is None, f"acknowledged and not booked: {missing}"


def everything_recorded_is_booked(db: Database, books: Books, terminal: str) -> None:
    booked = {
        row[0]
        for row in books.sql.execute("SELECT hash FROM entry WHERE terminal = ?", (terminal,))
    }
    missing = [
        (listed.epoch, listed.entry.seq)
        for listed in reads.entries(db, newest=1_000_000)
        if listed.entry.hash not in booked
    ]
    assert not missing, f"{terminal}: recorded and not booked: {missing[:5]}"


def what_is_set_aside_is_listed_on_both_sides(db: Database, books: Books, terminal: str) -> None:
    """What the central put aside when it came is noted at the terminal that made it, while that keeps the entry."""
    ids = dict(db.sql.execute("SELECT n, id FROM epoch"))
    places = [
        Place.of(n) for (n,) in db.sql.execute("SELECT n FROM note WHERE status = 'set_aside'")
    ]
    noted = {(ids[place.epoch_number], place.seq) for place in places}
    aside = dict(
        books.sql.execute(
            "SELECT hash, reason FROM entry WHERE terminal = ? AND status = 'set_aside'",
            (terminal,),
        )
    )
    unheard = [
        (listed.epoch, listed.entry.seq, aside[listed.entry.hash])
        for listed in reads.entries(db, newest=1_000_000)
        if listed.entry.hash in aside and (listed.epoch, listed.entry.seq) not in noted
    ]
    assert not unheard, f"{terminal}: set aside and not noted here: {unheard[:5]}"


def what_cannot_be_used_is_set_aside(kept: int, *, is_garbage: bool) -> None:
    """`kept` are the messages set aside for one that is acknowledged now."""
    what = "a message that nobody can use" if is_garbage else "a message that can be used"
    assert kept == int(is_garbage), f"{kept} messages were set aside for {what}"


def nothing_is_forgotten_outside_its_balance(kept: list[Made], after: list[Made]) -> None:
    """Both are own entries that an account's balance does not contain; a central that was restored may have forgotten some."""
    assert kept == after, (
        f"{len(after) - len(kept)} entries were forgotten that the balance does not contain"
    )


def a_meal_costs_what_its_account_pays(
    entry: Entry, account: dict[str, Any], card: dict[str, Any] | None
) -> None:
    """By the records the terminal held: the newest price of the service that is in effect on the day. `card` may not be blocked."""
    valid = [
        (row["from"], row["cents"])
        for row in account.get("prices", [])
        if row["service"] == entry.service and row["from"] <= entry.day
    ]
    price = max(valid)[1] if valid else 0
    assert entry.cents == -price, (
        f"a meal of {entry.account} on {entry.day} cost {-entry.cents} cents, its price is {price}"
    )
    assert card is None or card.get("status", "active") == "active", (
        f"a meal was served to a card that is {card}"
    )


def only_what_was_booked_is_pruned(made: Made, was_booked: bool) -> None:
    assert was_booked, f"forgotten before it was booked: {made}"


# 6. At rest every terminal's view equals the central's, record by record, and nothing is pending.


def a_terminal_equals_the_central(db: Database, books: Books, terminal: str) -> None:
    here = standing(db)
    assert here.pending == 0, f"{terminal}: {here.pending} entries wait"
    (site,) = books.sql.execute("SELECT site FROM terminal WHERE id = ?", (terminal,)).fetchone()
    held = {body.encode() for (body,) in db.sql.execute("SELECT body FROM record")}
    there = {record.body for record in find(books, Interval(site, 0))} if site else set()
    assert held == there, (
        f"{terminal}: only here {sorted(held - there)[:3]}, only at the central {sorted(there - held)[:3]}"
    )
    balances = dict(
        books.sql.execute("SELECT id, balance FROM account WHERE site = ?", (site,)).fetchall()
    )
    shown = dict(reads.balances(db))
    assert shown == balances, (
        f"{terminal}: {[(a, shown.get(a), b) for a, b in balances.items() if shown.get(a) != b][:5]}"
    )


def both_sides_are_equal(wire: Wire) -> None:
    for box in wire.boxes.values():
        a_terminal_equals_the_central(box.db, wire.central.books, box.name)


# 7. A difference is found by the digest and healed.


def differences_found(db: Database) -> int:
    """Return how often a terminal held what the central does not: by the digest, or because a record could not even be read."""
    return sum(row.kind in ("digest", "record") for row in reads.incidents(db))


def a_difference_was_found_and_healed(
    db: Database, books: Books, terminal: str, before: int
) -> None:
    """`before` is how many were found before."""
    assert differences_found(db) == before + 1, (
        f"{terminal}: {differences_found(db) - before} incidents tell of one difference"
    )
    a_terminal_equals_the_central(db, books, terminal)


def no_difference_came_of_itself(db: Database) -> None:
    """Where nobody damaged a disk the digest never has anything to find: whatever it heals is a fault of ours."""
    found = [row.detail for row in reads.incidents(db) if row.kind == "digest"]
    assert not found, f"the digest found a difference that nobody made: {found[0]}"


# 8. In a town that refuses, debt never passes the floor plus what terminals out of contact may have added.


def debt_is_bounded(
    shown_cents: int, floor_cents: int, elsewhere: Sequence[tuple[int, str | None, str | None]]
) -> None:
    """After a meal served for money that was there. `elsewhere` are the (disk, service, day) of meals not known here.

    The account then holds at least `shown_cents` less those meals: the floor less one meal a terminal, service and day.
    """
    assert shown_cents >= floor_cents, (
        f"served down to {shown_cents} cents, the floor is {floor_cents}"
    )
    assert len(elsewhere) == len(set(elsewhere)), (
        f"one terminal added two meals of one service: {elsewhere}"
    )


# 9. Positions and seqs never go back; messages and memory stay within their limits.


def nothing_is_written_after_its_acknowledgement(written_before: int, written: int) -> None:
    """Rows changed by the process when it acknowledged a message to the broker, and when its turn was over."""
    assert written == written_before, (
        f"{written - written_before} rows were changed after the broker was told that all is done"
    )


def it_ended_for_a_reason(reason: object, *, full: bool) -> None:
    """A process ends by itself only when its disk takes nothing more."""
    assert full, f"the process ended: {reason}"


def time_never_goes_back(before: str, now: str) -> None:
    """Both the time of an entry on one disk, one after the other."""
    assert now >= before, f"an entry of {now} follows one of {before}"


def records_and_position_moved_together(db: Database) -> None:
    """After a kill: no record is newer than the position, unless everything is being asked for again."""
    (newest, position, resyncing) = db.sql.execute(
        "SELECT coalesce((SELECT max(p) FROM record), 0), position, resyncing FROM terminal"
    ).fetchone()
    assert newest <= position or resyncing, (
        f"holds a record of position {newest}, stands at {position}"
    )


def silence_is_noticed(resting_since_ms: int | None, now_ms: int) -> None:
    """Where nothing is lost any more, one retry is answered; a link is dropped only for a silence that began before."""
    assert resting_since_ms is None or now_ms - resting_since_ms < 2 * RETRY_MAX_MS, (
        "the link was dropped though every hello was answered"
    )


def never_goes_back(what: str, before: int, now: int) -> None:
    assert now >= before, f"{what} went back from {before} to {now}"


def seq_counts_on(before: tuple[int, int], now: tuple[int, int]) -> None:
    """Both (epoch number, seq)."""
    goes_on = now == (before[0], before[1] + 1)
    assert goes_on or (now[0] > before[0] and now[1] == 1), f"entry {now} follows {before}"


def everything_was_told(resync_to: int | None, position: int) -> None:
    """A resynchronisation has ended: not before where the central stood when it began."""
    assert resync_to is None or position >= resync_to, (
        f"all was to be told up to {resync_to}, and it ended at {position}"
    )


def a_life_that_is_over_is_over(generation: str, before: Container[str]) -> None:
    assert generation not in before, (
        f"a terminal goes back to generation {generation[-8:]}, which it has left"
    )


def a_position_goes_on(
    before: tuple[str | None, int, int], now: tuple[str | None, int, int]
) -> None:
    """Both (generation, number of the resynchronisation, position)."""
    if before[:2] == now[:2]:
        never_goes_back("a terminal's position", before[2], now[2])


def a_message_is_within_its_limits(payload: bytes, entries: int = 0) -> None:
    assert len(payload) <= MESSAGE_BYTES_MAX, f"a message of {len(payload)} bytes"
    assert entries <= BATCH_ENTRIES_MAX, f"a batch of {entries} entries"


def a_kept_clock_is_believed(entry: Entry, now: str, day: str) -> None:
    """What is recorded by a clock that is kept and right has its time, whatever the central's says. Not asked behind an entry that was made
    ahead of time: its time is a floor."""
    assert (entry.at, entry.clock) == (now, "synced"), (
        f"at {now} an entry was made of {entry.at}, {entry.clock}"
    )
    assert entry.day in (None, day) or entry.how != "card", (
        f"on {day} a meal was recorded for {entry.day}"
    )


def no_order_waits(books: Books, terminal: str) -> None:
    query = "SELECT order_id, order_do FROM terminal WHERE id = ?"
    order_id, do = books.only_row(query, (terminal,))
    assert order_id is None, f"{terminal}: {do} {order_id} waits"


# What happened is recorded.


def what_happened_left_an_incident(kind: str, kept: int, happened: int) -> None:
    """Once for each time, in the same transaction: a plug pulled between would leave one without the other."""
    assert kept == happened, f"{kept} incidents {kind!r} are kept, it happened {happened} times"


def all_is_well(wire: Wire) -> None:
    for box in wire.boxes.values():
        every_green_light_has_one_entry(box)
        the_chain_holds(box.db)
    the_books_are_right(wire.central.books)
    both_sides_are_equal(wire)
