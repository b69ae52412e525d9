"""What the terminal reads of its records and entries. Nothing here writes.

Balance shown = the balance the central sent + own entries after the record's `h`, so each own entry
counts exactly once.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

import msgspec

from agent.domain.canteen import (
    AccountRecord,
    CardRecord,
    PolicyRecord,
    ServiceNow,
    ServiceRecord,
)
from agent.domain.clock import Instant
from agent.domain.degrade import KnownRecord, read_known
from agent.domain.digest import Tally, tally, tally_unread
from agent.domain.ledger import SEQ_BITS, Entry, Place
from agent.errors import DamagedError, RecordError
from agent.store.database import Database
from agent.store.rows import Holder, ListedEntry, RecordRow
from agent.store.standing import hash_at

DIGEST_STEP_RECORDS = 500  # some milliseconds on a Pi: a tap never waits longer for a digest

_Record = TypeVar("_Record", bound=KnownRecord)

_entry = msgspec.json.Decoder(Entry)
BODY = "CAST(body AS BLOB)"  # as bytes: a damaged body may not be valid text
_OWN_CENTS = (
    "coalesce((SELECT sum(cents) FROM entry WHERE eater = record.id AND n > h AND cents <> 0), 0)"
)
_ACCOUNT = f"SELECT {BODY}, {_OWN_CENTS}"
_MEALS = (
    "(SELECT count(*) FROM entry WHERE eater IN (record.id, ?) AND day = ? AND service = ?"
    " AND meal_number > 0)"
)
_OF_ACCOUNT = " FROM record WHERE kind = 'account' AND id = ?"


def account(db: Database, account_id: str) -> AccountRecord | None:
    row = db.row(f"SELECT {BODY} FROM record WHERE kind = 'account' AND id = ?", (account_id,))
    return decode_account(account_id, row[0]) if row else None


def holder(db: Database, token: str, service: ServiceNow | None) -> Holder:
    """Return the card with this token, its account, and what it ate at `service`.

    One query finds balance and meals, since most children tap once a day: the meal itself is read
    only for those who ate.
    """
    row = db.row(f"SELECT {BODY} FROM record WHERE kind = 'card' AND id = ?", (token,))
    card = _decoded(CardRecord, "card", token, row[0]) if row else None
    account, cents, meals = None, 0, 1
    if card is not None:
        service_id, day = (service.service, service.day) if service else (None, None)
        row = db.row(f"{_ACCOUNT}, {_MEALS}{_OF_ACCOUNT}", (token, day, service_id, card.account))
        if row is not None:
            account = decode_account(card.account, row[0])
            cents, meals = account.balance + row[1], row[2]
    if service is None or meals == 0:
        return Holder(card, account, cents, None, 0)
    account_id = account.id if account else None
    return Holder(
        card, account, cents, *own_meals(db, account_id, token, service.service, service.day)
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
    db: Database, account_id: str | None, token: str | None, service: str, day: str
) -> tuple[Entry | None, int]:
    """Return the standing meal of an account at a service and day, and how many there were.

    Meals that the card `token` got while its account was unknown here count as well.
    """
    rows = db.rows(
        "SELECT m.body, m.hash, s.n IS NULL FROM entry m LEFT JOIN entry s ON s.reverses = m.n"
        " WHERE m.eater IN (?, ?) AND m.day = ? AND m.service = ? AND m.meal_number > 0"
        " ORDER BY m.n",
        (account_id, token, day, service),
    )
    meals = [(body, digest) for body, digest, is_standing in rows if is_standing]
    return (decode_body(*meals[-1]) if meals else None, len(rows))


def meal_since(
    db: Database, eaters: tuple[str | None, str | None], service: str, boot: str, mono_ms: int
) -> Entry | None:
    """Return the newest standing meal that this boot made since `mono_ms`, of any day.

    `eaters` are an account and its card's token."""
    row = db.row(
        "SELECT m.body, m.hash FROM entry m"
        " WHERE m.eater IN (?, ?) AND m.service = ? AND m.meal_number > 0"
        " AND m.body ->> '$.boot' = ? AND m.body ->> '$.mono_ms' >= ?"
        " AND NOT EXISTS (SELECT 1 FROM entry s WHERE s.reverses = m.n) ORDER BY m.n DESC LIMIT 1",
        (*eaters, service, boot, mono_ms),
    )
    return decode_body(row[0], row[1]) if row else None


def entry(db: Database, epoch: str, seq: int) -> tuple[Entry, bool] | None:
    """Return an own entry and whether it was undone, None if this disk does not have it."""
    row = db.row(
        "SELECT e.body, e.hash, s.n IS NOT NULL FROM entry e LEFT JOIN entry s ON s.reverses = e.n"
        f" WHERE e.n = (SELECT n FROM epoch WHERE id = ?) << {SEQ_BITS} | ?",
        (epoch, seq),
    )
    return (decode_body(row[0], row[1]), bool(row[2])) if row else None


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


def latest_entry(db: Database) -> Entry | None:
    """Return the entry with the latest time.

    It is the last one of some epoch, not always of the newest: a salvaged epoch comes behind.
    """
    rows = db.rows(
        "SELECT body, hash FROM entry WHERE n IN"
        f" (SELECT (SELECT max(n) FROM entry WHERE n < (epoch.n + 1) << {SEQ_BITS}) FROM epoch)"
    )
    entries = (decode_body(body, digest) for body, digest in rows)
    return max(entries, key=lambda entry: entry.at, default=None)


def oldest_pending_at(db: Database) -> str | None:
    """Return the time of the oldest unacknowledged entry."""
    row = db.row(
        "SELECT body ->> '$.at' FROM entry WHERE n > (SELECT acked FROM terminal)"
        " ORDER BY n LIMIT 1"
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
        f" UNION ALL SELECT kind, id, {BODY}, 1, 0 FROM unread WHERE (kind, id) > (?1, ?2)"
        " ORDER BY 1, 2 LIMIT ?3",
        (*after, DIGEST_STEP_RECORDS),
    )
    read = [(kind, body) for kind, _, body, is_unread, _ in rows if not is_unread]
    try:
        so_far = tally(read, so_far)
    except ValueError:
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


def decode_account(account_id: str, body: bytes) -> AccountRecord:
    """Return a stored account. Raise `RecordError` when it is damaged."""
    return _decoded(AccountRecord, "account", account_id, body)


def decode_body(body: str, digest: bytes) -> Entry:
    """Return a stored entry. Raise `DamagedError` when it cannot be read."""
    try:
        return _entry.decode(_with_hash(body, digest))
    except msgspec.MsgspecError as error:
        raise DamagedError(f"an entry cannot be read: {error}") from None


def _records(db: Database, form: type[_Record], kind: str) -> list[_Record]:
    rows = db.rows(f"SELECT id, {BODY} FROM record WHERE kind = ?", (kind,))
    return [_decoded(form, kind, record_id, body) for record_id, body in rows]


def _decoded(form: type[_Record], kind: str, record_id: str, body: bytes) -> _Record:
    try:
        return read_known(form, body)[0]
    except ValueError as error:
        raise RecordError(kind, record_id, error) from None


def _with_hash(body: str, digest: bytes) -> bytes:
    """Return an entry as it is sent: the canonical JSON with its hash.

    The order of members is free there.
    """
    return f'{body[:-1]},"hash":"{digest.hex()}"}}'.encode()
