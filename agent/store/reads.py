"""What the terminal reads of its records and entries. Nothing here writes.

Balance shown = the balance the central sent + own entries after the record's `h`, so each own entry
counts exactly once.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

import msgspec

from agent.domain.canteen import AccountRecord, CardRecord, PolicyRecord, ServiceRecord
from agent.domain.clock import ClockTrust, Instant, TimeSource, parse_instant
from agent.domain.degrade import KnownRecord, read_known
from agent.domain.digest import Tally, tally, tally_unread
from agent.domain.ledger import SEQ_BITS, Entry, Place
from agent.domain.tap import OwnMeal
from agent.domain.timekeeper import Belief
from agent.errors import DamagedError, RecordError
from agent.store.database import Database
from agent.store.insertion import IS_WRONG_TIME
from agent.store.rows import EntryTime, Holder, ListedEntry, MealsWanted, RecordRow, WrongTime
from agent.store.schema import body_of
from agent.store.standing import hash_at

DIGEST_STEP_RECORDS = 500  # some milliseconds on a Pi: a tap never waits longer for a digest

RECENT_ENTRIES = 10_000  # a wrong time is looked for among these: some weeks of a large school
_RECENT = f"(SELECT * FROM entry ORDER BY n DESC LIMIT {RECENT_ENTRIES})"
_TIMES = f"SELECT n, body ->> '$.at', body ->> '$.mono_ms', body ->> '$.boot' FROM {_RECENT}"

_Record = TypeVar("_Record", bound=KnownRecord)

_entry = msgspec.json.Decoder(Entry)
BODY = body_of("record")
_OWN_CENTS = (
    "coalesce((SELECT sum(cents) FROM entry WHERE eater = record.id AND n > h AND cents <> 0), 0)"
)
_ACCOUNT = f"SELECT {BODY}, {_OWN_CENTS}"
_MAY_BE_SAME = "service = ? AND meal_number > 0 AND (day = ? OR n >= ?)"
_MEALS = f"(SELECT count(*) FROM entry WHERE eater IN (record.id, ?) AND {_MAY_BE_SAME})"
_OF_ACCOUNT = " FROM record WHERE kind = 'account' AND id = ?"


def account(db: Database, account_id: str) -> AccountRecord | None:
    row = db.row(f"SELECT {BODY} FROM record WHERE kind = 'account' AND id = ?", (account_id,))
    return decode_account(account_id, row[0]) if row else None


def holder(db: Database, token: str, wanted: MealsWanted | None) -> Holder:
    """Return the card with this token, its account, and what it ate.

    One query finds balance and meals, since most children tap once a day: the meal itself is read
    only for those who ate.
    """
    row = db.row(f"SELECT {BODY} FROM record WHERE kind = 'card' AND id = ?", (token,))
    card = _decoded(CardRecord, "card", token, row[0]) if row else None
    account, cents, meals = None, 0, 1
    if card is not None:
        same = (wanted.service, wanted.day, wanted.since) if wanted else (None, None, None)
        row = db.row(f"{_ACCOUNT}, {_MEALS}{_OF_ACCOUNT}", (token, *same, card.account))
        if row is not None:
            account = decode_account(card.account, row[0])
            cents, meals = account.balance + row[1], row[2]
    if wanted is None or meals == 0:
        return Holder(card, account, cents, [])
    return Holder(
        card, account, cents, own_meals(db, (account.id if account else None, token), wanted)
    )


def balance_cents(db: Database, account_id: str) -> int | None:
    """Return what an account holds as far as this terminal knows, None for an unknown account."""
    row = db.row(f"{_ACCOUNT}{_OF_ACCOUNT}", (account_id,))
    return decode_account(account_id, row[0]).balance + int(row[1]) if row else None


def policies(db: Database) -> list[PolicyRecord]:
    """Return the town's rules, one record per day of effect."""
    return db.cache.policies(lambda: _records(db, PolicyRecord, "policy"))


def services(db: Database) -> list[ServiceRecord]:
    """Return the services of this terminal's site."""
    return db.cache.services(lambda: _records(db, ServiceRecord, "service"))


def own_meals(
    db: Database, eaters: tuple[str | None, str | None], wanted: MealsWanted
) -> list[OwnMeal]:
    """Return the meals of an account and its card that may be the same meal, the oldest first.

    Meals that the card got while its account was unknown here count as well.
    """
    rows = db.rows(
        f"SELECT m.body, m.hash, s.n IS NOT NULL, {IS_WRONG_TIME}"
        " FROM entry m LEFT JOIN entry s ON s.reverses = m.n"
        " WHERE m.eater IN (?, ?) AND m.service = ? AND m.meal_number > 0"
        " AND (m.day = ? OR m.n >= ?) ORDER BY m.n",
        (*eaters, wanted.service, wanted.day, wanted.since),
    )
    return [_own_meal(*row) for row in rows]


def entry(db: Database, epoch: str, seq: int) -> OwnMeal | None:
    """Return an own entry as a meal to undo, None if this disk does not have it."""
    row = db.row(
        f"SELECT m.body, m.hash, s.n IS NOT NULL, {IS_WRONG_TIME}"
        " FROM entry m LEFT JOIN entry s ON s.reverses = m.n"
        f" WHERE m.n = (SELECT n FROM epoch WHERE id = ?) << {SEQ_BITS} | ?",
        (epoch, seq),
    )
    return _own_meal(*row) if row else None


def storno_of(db: Database, epoch: str, seq: int) -> Entry | None:
    """Return the entry that undid an own meal, None if none did."""
    row = db.row(
        "SELECT body, hash FROM entry"
        f" WHERE reverses = (SELECT n FROM epoch WHERE id = ?) << {SEQ_BITS} | ?",
        (epoch, seq),
    )
    return decode_body(*row) if row else None


def newest_closing(db: Database, service: str, day: str) -> Entry | None:
    """Return the newest closing of a service and day, None if it was not closed."""
    row = db.row(
        "SELECT body, hash FROM entry WHERE kind = 'closing' AND service = ? AND day = ?"
        " ORDER BY n DESC LIMIT 1",
        (service, day),
    )
    return decode_body(*row) if row else None


def start_of_window(db: Database, boot: str, mono_ms: int) -> int:
    """Return the place in the file from which on all entries are of a boot, since `mono_ms`."""
    with db.reading() as sql:
        for n, its_boot, its_ms in sql.execute(
            "SELECT n, body ->> '$.boot', body ->> '$.mono_ms' FROM entry ORDER BY n DESC"
        ):
            if its_boot != boot or its_ms < mono_ms:
                return int(n) + 1
    return 0


def batch(db: Database, epoch: str, first: int, count_max: int) -> tuple[str, list[bytes]]:
    """Return the hash before entry `first`, and the entries from it on as JSON to send.

    At most `count_max` entries of the epoch."""
    with db.reading() as sql:
        number, base_seq, base_hash = sql.execute(
            "SELECT n, base_seq, base_hash FROM epoch WHERE id = ?", (epoch,)
        ).fetchone()
        before = Place(number, first - 1)
        previous = base_hash.hex() if before.seq <= base_seq else hash_at(sql, before)
        rows = sql.execute(
            "SELECT body, hash FROM entry WHERE n > ? AND n < ? ORDER BY n LIMIT ?",
            (before.n, Place(number + 1, 0).n, count_max),
        ).fetchall()
    return previous, [_with_hash(body, digest) for body, digest in rows]


def remembers_from(db: Database) -> Instant | None:
    """Return the time of the oldest kept entry, None if nothing was ever pruned."""
    row = db.row(
        "SELECT body ->> '$.at' FROM entry"
        " WHERE EXISTS (SELECT 1 FROM epoch WHERE base_seq > 0) ORDER BY n LIMIT 1"
    )
    return str(row[0]) if row else None


def newest_confirmed_at(db: Database, boot: str) -> Instant | None:
    """Return the newest confirmed time of earlier boots: of an entry, or of the last contact.

    Newest by time: an epoch that was salvaged comes behind, and is older.
    """
    row = db.only_row(
        "SELECT max(coalesce(max(m.body ->> '$.at'), ''),"
        " (SELECT coalesce(last_contact_at, '') FROM terminal))"
        f" FROM {_RECENT} m WHERE m.body ->> '$.clock' = 'synced' AND m.body ->> '$.boot' <> ?"
        f" AND NOT {IS_WRONG_TIME}",
        (boot,),
    )
    return str(row[0]) or None


def belief(db: Database, boot: str) -> Belief | None:
    """Return the confirmed time of a boot as it was kept, None if it has none."""
    row = db.row(
        "SELECT source, zero_at, doubt, doubted_ms, witnessed FROM belief WHERE boot = ?", (boot,)
    )
    if row is None:
        return None
    source, zero_at, doubt, doubted_ms, is_witnessed = row
    return Belief(TimeSource(source), parse_instant(zero_at), doubt, doubted_ms, bool(is_witnessed))


def wrong_times(db: Database) -> list[WrongTime]:
    """Return which entries carry a wrong time, in order."""
    rows = db.rows("SELECT first, last, boot, judged_in FROM wrong_time ORDER BY first")
    return [WrongTime(Place.of(first), Place.of(last), *boots) for first, last, *boots in rows]


def entry_times(db: Database, boot: str) -> list[EntryTime]:
    """Return the times of a boot's entries, among the file's recent ones, in order."""
    rows = db.rows(f"{_TIMES} WHERE body ->> '$.boot' = ? ORDER BY n", (boot,))
    return [EntryTime(Place.of(n), *times) for n, *times in rows]


def times_after(db: Database, at: Instant, boot: str) -> list[EntryTime]:
    """Return the confirmed times of other boots after an instant, among the recent, in order."""
    rows = db.rows(
        f"{_TIMES} WHERE body ->> '$.at' > ? AND body ->> '$.boot' <> ?"
        " AND body ->> '$.clock' = 'synced' ORDER BY n",
        (at, boot),
    )
    return [EntryTime(Place.of(n), *times) for n, *times in rows]


def oldest_pending_at(db: Database) -> str | None:
    """Return the time of the oldest unacknowledged entry."""
    row = db.row(
        "SELECT body ->> '$.at' FROM entry WHERE n > (SELECT acked FROM terminal)"
        " ORDER BY n LIMIT 1"
    )
    return str(row[0]) if row else None


def last_tap_at(db: Database) -> str | None:
    """Return when a card was presented last, None where no recent entry is of a card."""
    row = db.row(
        f"SELECT body ->> '$.at' FROM {_RECENT} WHERE body ->> '$.how' = 'card'"
        " ORDER BY n DESC LIMIT 1"
    )
    return str(row[0]) if row else None


def served(db: Database, service: str, day: str) -> int:
    """Return the number of standing meals of a service and day at this terminal."""
    (count,) = db.only_row(
        "SELECT count(*) FROM entry m WHERE m.service = ? AND m.day = ? AND m.meal_number > 0"
        " AND NOT EXISTS (SELECT 1 FROM entry s WHERE s.reverses = m.n)",
        (service, day),
    )
    return int(count)


def entries(db: Database, *, newest: int) -> list[ListedEntry]:
    """Return the newest entries, oldest first."""
    rows = db.rows(
        "SELECT epoch.id, e.body, e.hash, e.n <= acked, s.n IS NOT NULL FROM terminal, entry e"
        " JOIN epoch ON epoch.n = e.epoch LEFT JOIN entry s ON s.reverses = e.n"
        " ORDER BY e.n DESC LIMIT ?",
        (newest,),
    )
    return [
        ListedEntry(
            epoch=epoch,
            entry=decode_body(body, digest),
            is_acked=bool(is_acked),
            is_undone=bool(is_undone),
        )
        for epoch, body, digest, is_acked, is_undone in reversed(rows)
    ]


def balances(db: Database) -> Iterator[tuple[str, int]]:
    """Yield every account with its balance in cents."""
    for (account_id,) in db.rows("SELECT id FROM record WHERE kind = 'account' ORDER BY id"):
        cents = balance_cents(db, account_id)
        if cents is not None:
            yield account_id, cents


def counts(db: Database) -> dict[str, int]:
    """Return how many records of each kind, set-aside messages, notes and incidents are kept."""
    kept = dict(db.rows("SELECT kind, count(*) FROM record GROUP BY kind"))
    for table in ("set_aside", "note", "incident"):
        (kept[table],) = db.only_row(f"SELECT count(*) FROM {table}")
    (kept["wrong_time"],) = db.only_row(
        "SELECT count(*) FROM wrong_time w JOIN entry e ON e.n BETWEEN w.first AND w.last"
    )
    return kept


def digest_step(
    db: Database, so_far: Tally, after: tuple[str, str]
) -> tuple[Tally, tuple[str, str] | None]:
    """Return the digest with the next `DIGEST_STEP_RECORDS` records after `after`.

    `after` is (kind, id) of a record, empty texts at first. A record that this version cannot read
    counts in the place of the last one that it could.

    The second value is the last record of the step, None when that was all. The caller makes sure
    that the position has not moved between two steps.
    """
    rows = db.rows(
        f"SELECT kind, id, {BODY}, 0, {_OWN_CENTS} FROM record WHERE (kind, id) > (?1, ?2)"
        " AND NOT EXISTS (SELECT 1 FROM unread u WHERE u.kind = record.kind AND u.id = record.id)"
        f" UNION ALL SELECT kind, id, {body_of('unread')}, 1, 0 FROM unread"
        " WHERE (kind, id) > (?1, ?2)"
        " ORDER BY 1, 2 LIMIT ?3",
        (*after, DIGEST_STEP_RECORDS),
    )
    for kind, record_id, body, *_ in rows:
        if body is None:
            raise _damaged(kind, record_id)
    read = [(kind, body) for kind, _, body, is_unread, _ in rows if not is_unread]
    try:
        so_far = tally(read, so_far)
    except (msgspec.MsgspecError, ValueError):
        for kind, record_id, body, is_unread, _ in rows:
            if kind == "account" and not is_unread:
                decode_account(record_id, body)
        raise
    unread = [(kind, body) for kind, _, body, is_unread, _ in rows if is_unread]
    so_far = tally_unread(unread, so_far)
    so_far = replace(so_far, own_cents=so_far.own_cents + sum(row[4] for row in rows))
    return so_far, ((rows[-1][0], rows[-1][1]) if len(rows) == DIGEST_STEP_RECORDS else None)


def unread(db: Database) -> list[RecordRow]:
    """Return the records that could not be read when they came."""
    return [
        RecordRow(kind=kind, id=record_id, p=p, body=body, is_readable=False)
        for kind, record_id, p, body in db.rows("SELECT kind, id, p, body FROM unread")
    ]


def decode_account(account_id: str, body: bytes | None) -> AccountRecord:
    """Return a stored account. Raise `RecordError` when it is damaged."""
    return _decoded(AccountRecord, "account", account_id, body)


def _own_meal(body: str, digest: bytes, is_undone: int, is_wrong_time: int) -> OwnMeal:
    entry = decode_body(body, digest)
    is_dated = entry.clock is ClockTrust.SYNCED and not is_wrong_time
    return OwnMeal(entry=entry, is_undone=bool(is_undone), is_dated=is_dated)


def decode_body(body: str, digest: bytes) -> Entry:
    """Return a stored entry. Raise `DamagedError` when it cannot be read."""
    try:
        return _entry.decode(_with_hash(body, digest))
    except msgspec.MsgspecError as error:
        raise DamagedError(f"an entry cannot be read: {error}") from None


def _records(db: Database, form: type[_Record], kind: str) -> list[_Record]:
    rows = db.rows(f"SELECT id, {BODY} FROM record WHERE kind = ?", (kind,))
    return [_decoded(form, kind, record_id, body) for record_id, body in rows]


def _decoded(form: type[_Record], kind: str, record_id: str, body: bytes | None) -> _Record:
    if body is None:
        raise _damaged(kind, record_id)
    try:
        return read_known(form, body)[0]
    except (msgspec.MsgspecError, ValueError) as error:
        raise RecordError(kind, record_id, error) from None


def _damaged(kind: str, record_id: str) -> RecordError:
    return RecordError(kind, record_id, ValueError("its checksum is wrong"))


def _with_hash(body: str, digest: bytes) -> bytes:
    """Return an entry as it is sent: the canonical JSON with its hash.

    The order of members is free there.
    """
    return f'{body[:-1]},"hash":"{digest.hex()}"}}'.encode()
