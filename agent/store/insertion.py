"""The statement that appends an entry, with its values. Writes nothing; `writes.py` runs it."""

import msgspec

from agent.domain.clock import ClockTrust
from agent.domain.ledger import SEQ_BITS, Entry, Kind, Place
from agent.errors import RefusedEntryError
from agent.store.rows import SealedBody

_MEAL_NUMBER = (
    "(SELECT 1 + CASE WHEN ? THEN count(*) ELSE count(s.n) END FROM entry m"
    " LEFT JOIN entry s ON s.reverses = m.n"
    " WHERE m.eater = ? AND m.day = ? AND m.service = ? AND m.meal_number > 0)"
)
_COLUMNS = "(n, kind, eater, service, day, meal_number, cents, reverses, hash, body)"
_INSERT_MEAL = f"INSERT INTO entry {_COLUMNS} VALUES (?, ?, ?, ?, ?, {_MEAL_NUMBER}, ?, NULL, ?, ?)"
# The meal of a storno may be in an epoch that this disk no longer has.
_REVERSES = f"coalesce((SELECT n FROM epoch WHERE id = ?) << {SEQ_BITS} | ?, ?)"
_INSERT_OTHER = f"INSERT INTO entry {_COLUMNS} VALUES (?, ?, ?, ?, ?, 0, ?, {_REVERSES}, ?, ?)"

decode_unhashed = msgspec.json.Decoder(Entry).decode


def sealed_body(entry: Entry, body: bytes) -> SealedBody:
    """Return an entry as it is written. What is written can be read here and at the central.

    Raise `RefusedEntryError` for an entry outside the contract's limits.
    """
    try:
        decode_unhashed(body)
    except msgspec.ValidationError as error:
        raise RefusedEntryError(f"not recorded: outside the limits of an entry: {error}") from None
    return SealedBody(bytes.fromhex(entry.hash), body.decode())


def insertion(
    epoch_number: int, entry: Entry, sealed: SealedBody, *, is_copy: bool = False
) -> tuple[str, tuple[object, ...]]:
    """Return the statement that appends an entry to an epoch, and its values.

    `is_copy`: the entry was made on another disk, which may have served the same child.
    """
    eater = entry.account or entry.card
    place = Place(epoch_number, entry.seq)
    columns = (place.n, entry.kind.value, eater, entry.service, entry.day)
    if entry.kind in (Kind.MEAL, Kind.UNKNOWN_MEAL):
        # Under a wrong clock the day is a guess, and a guess must not join the meals of two days.
        counts_all = is_copy or entry.clock is ClockTrust.UNSET
        meal_number = (counts_all, eater, entry.day, entry.service)
        return _INSERT_MEAL, (*columns, *meal_number, entry.cents, sealed.hash, sealed.body)
    reverses: tuple[object, ...] = (None, None, None)
    if entry.reverses is not None:
        # An epoch that is not in this file has no number: the negated own place is unique.
        reverses = (entry.reverses.epoch, entry.reverses.seq, -place.n)
    return _INSERT_OTHER, (*columns, entry.cents, *reverses, sealed.hash, sealed.body)
