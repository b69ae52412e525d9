"""Statements about entries that several modules use. Writes nothing; `writes.py` runs them."""

import msgspec

from agent.domain.ledger import SEQ_BITS, Entry, Kind, Place
from agent.errors import RefusedEntryError
from agent.store.rows import SealedBody

# of an entry m: its time was found to be wrong
IS_WRONG_TIME = "EXISTS (SELECT 1 FROM wrong_time w WHERE m.n BETWEEN w.first AND w.last)"
_MEAL_NUMBER = (
    "(SELECT 1 + CASE WHEN ? THEN coalesce(max(m.meal_number), 0) ELSE count(s.n) END FROM entry m"
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
    epoch_number: int, entry: Entry, sealed: SealedBody, *, is_another: bool = False
) -> tuple[str, tuple[object, ...]]:
    """Return the statement that appends an entry to an epoch, and its values.

    `is_another`: the ledger may have a meal of that eater, service and day that is another meal, of
    a wrong or guessed day, or of another disk that served the same child.
    """
    eater = entry.account or entry.card
    place = Place(epoch_number, entry.seq)
    columns = (place.n, entry.kind.value, eater, entry.service, entry.day)
    if entry.kind in (Kind.MEAL, Kind.UNKNOWN_MEAL):
        meal_number = (is_another, eater, entry.day, entry.service)
        return _INSERT_MEAL, (*columns, *meal_number, entry.cents, sealed.hash, sealed.body)
    reverses: tuple[object, ...] = (None, None, None)
    if entry.reverses is not None:
        # An epoch that is not in this file has no number: the negated own place is unique.
        reverses = (entry.reverses.epoch, entry.reverses.seq, -place.n)
    return _INSERT_OTHER, (*columns, entry.cents, *reverses, sealed.hash, sealed.body)
