"""Everything the terminal asks of its database. Nothing here writes.

Balance shown = the balance the central sent + own entries after the record's `h`: each own entry counts exactly once.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from agent.domain.canteen import AccountRecord, CardRecord, PolicyRecord, ServiceRecord
from agent.domain.clock import Instant
from agent.domain.digest import Tally, tally
from agent.domain.ledger import SEQ_BITS, SEQ_MAX, Entry, Place, chain_hash
from agent.errors import RecordError, StoreError
from agent.store.database import Database

DIGEST_STEP_RECORDS = 500  # some milliseconds on a Pi: a tap waits no longer for a digest


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where this terminal stands with the central.

    `epoch` is the one that is being sent: the newest, unless entries of an earlier one wait (after the central lost them).
    `oldest`, `last` and `acked` are seqs of it; `mark` is (epoch number, seq) booked, as last heard; `pending` counts all that waits.
    """

    town: str
    terminal: str
    epoch: str
    epoch_number: int
    is_newest: bool
    oldest: int
    last: int
    head: str
    acked: int
    acked_head: str
    mark: tuple[int, int]
    pending: int
    generation: str | None
    position: int
    resyncing: bool
    last_contact_at: str | None
    order_done: str | None


def standing(db: Database) -> Standing:
    """Return where this terminal stands."""
    here = _kept(db, "standing", _standing)
    appended = db.kept.pop("appended", 0)
    if appended:  # `record` told `keep_after`
        here = msgspec.structs.replace(here, pending=here.pending + appended)
        if here.is_newest:
            _, last, head = tail(db)
            here = msgspec.structs.replace(here, last=last, head=head)
        db.kept["standing"] = here
    return here


def _standing(db: Database) -> Standing:
    with db.reading() as sql:
        row = sql.execute(
            "SELECT town, id, acked, generation, position, resyncing, last_contact_at, order_done, (SELECT max(n) FROM epoch) FROM terminal"
        ).fetchone()
        if row is None:
            raise StoreError(f"{db.path}: holds no terminal yet")
        (
            town,
            terminal,
            mark,
            generation,
            position,
            resyncing,
            last_contact_at,
            order_done,
            newest,
        ) = row
        waiting = sql.execute("SELECT epoch FROM entry WHERE n > ? ORDER BY n LIMIT 1", (mark,))
        number = (waiting.fetchone() or (newest,))[0]
        epoch, base_seq, base_hash = sql.execute(
            "SELECT id, base_seq, base_hash FROM epoch WHERE n = ?", (number,)
        ).fetchone()
        last, head = _end(sql, number, base_seq, base_hash)
        acked = max(mark - Place(number, 0).n, base_seq)
        acked_head = base_hash.hex() if acked == base_seq else _hash_at(sql, Place(number, acked).n)
        later = (
            sql.execute(
                "SELECT count(*) FROM entry WHERE n >= ?", (Place(number + 1, 0).n,)
            ).fetchone()[0]
            if number != newest
            else 0
        )
    return Standing(
        town=town,
        terminal=terminal,
        epoch=epoch,
        epoch_number=number,
        is_newest=number == newest,
        oldest=base_seq + 1,
        last=last,
        head=head,
        acked=acked,
        acked_head=acked_head,
        mark=Place.of(mark),
        pending=last - acked + later,
        generation=generation,
        position=position,
        resyncing=bool(resyncing),
        last_contact_at=last_contact_at,
        order_done=order_done,
    )


def place_of(db: Database, epoch: str, seq: int) -> tuple[int, int, str] | None:
    """Return an own entry as (epoch number, seq, hash), None for one this disk never had.

    One that was pruned, or the start of the epoch, is where the kept entries begin: nothing before it can be sent again.
    Its hash is "" unless it is that very place.
    """
    with db.reading() as sql:
        row = sql.execute(
            "SELECT n, base_seq, base_hash FROM epoch WHERE id = ?", (epoch,)
        ).fetchone()
        if row is None:
            return None
        number, base_seq, base_hash = row
        if seq <= base_seq:
            return number, base_seq, base_hash.hex() if seq == base_seq else ""
        found = sql.execute(
            "SELECT hash FROM entry WHERE n = ?", (Place(number, seq).n,)
        ).fetchone()
        return (number, seq, found[0].hex()) if found else None


def last_of_epoch_before(db: Database, number: int) -> tuple[str, int, str] | None:
    """Return (epoch, seq, hash) of the newest entry of the epochs before life `number`, None if none is kept."""
    row = db.row(
        "SELECT epoch.id, seq, hash FROM entry JOIN epoch ON epoch.n = entry.epoch WHERE entry.n < ? ORDER BY entry.n DESC LIMIT 1",
        (Place(number, 0).n,),
    )
    return (str(row[0]), int(row[1]), row[2].hex()) if row else None


def epochs(db: Database) -> list[tuple[str, int, str, int, str]]:
    """Return every epoch, oldest first, as (id, seq and hash that its kept entries follow, seq and hash of its newest entry)."""
    with db.reading() as sql:
        rows = sql.execute("SELECT n, id, base_seq, base_hash FROM epoch ORDER BY n").fetchall()
        return [
            (epoch, seq, digest.hex(), *_end(sql, number, seq, digest))
            for number, epoch, seq, digest in rows
        ]


def keeps_earlier_epochs(db: Database) -> bool:
    """Return whether entries of an epoch before the newest are still here."""
    row = db.row(f"SELECT 1 FROM entry WHERE n < (SELECT max(n) FROM epoch) << {SEQ_BITS} LIMIT 1")
    return row is not None


def newest_epoch(db: Database) -> str:
    """Return the epoch that entries are made in."""
    return str(db.only_row("SELECT id FROM epoch ORDER BY n DESC LIMIT 1")[0])


def tail(db: Database) -> tuple[int, int, str]:
    """Return (epoch number, seq, hash) that the next entry follows."""
    return _kept(db, "tail", _tail)


def keep_after(db: Database, seq: int, digest: str) -> None:
    """Keep what `tail` and `standing` have become by an entry that was just appended."""
    if "tail" not in db.kept:
        return  # the file was opened again since: they are read anew
    db.kept["tail"] = (tail(db)[0], seq, digest)
    if "standing" in db.kept:
        db.kept["appended"] = db.kept.get("appended", 0) + 1


def account(db: Database, account_id: str) -> AccountRecord | None:
    row = db.row(f"SELECT {_BODY} FROM record WHERE kind = 'account' AND id = ?", (account_id,))
    return _decoded(_account, "account", account_id, row[0]) if row else None


def of_card(db: Database, token: str) -> tuple[CardRecord | None, AccountRecord | None, int]:
    """Return a card, its account, and that account's balance in cents (0 without one)."""
    row = db.row(f"SELECT {_BODY} FROM record WHERE kind = 'card' AND id = ?", (token,))
    if row is None:
        return None, None, 0
    card = _decoded(_card, "card", token, row[0])
    return card, *_of_account(db, card.account)


def balance_cents(db: Database, account_id: str) -> int | None:
    """Return what an account holds as far as this terminal knows: the central's balance and own entries after its `h`."""
    account, cents = _of_account(db, account_id)
    return cents if account else None


def _of_account(db: Database, account_id: str) -> tuple[AccountRecord | None, int]:
    row = db.row(
        f"SELECT {_BODY}, coalesce((SELECT sum(cents) FROM entry WHERE eater = record.id AND n > h AND cents <> 0), 0)"
        " FROM record WHERE kind = 'account' AND id = ?",
        (account_id,),
    )
    if row is None:
        return None, 0
    account = _decoded(_account, "account", account_id, row[0])
    return account, account.balance + row[1]


def policies(db: Database) -> list[PolicyRecord]:
    return _kept(db, "policy", lambda db: _records(db, _policy, "policy"))


def services(db: Database) -> list[ServiceRecord]:
    return _kept(db, "service", lambda db: _records(db, _service, "service"))


def own_meals(
    db: Database, account_id: str | None, token: str | None, service: str, day: str
) -> tuple[Entry | None, int]:
    """Return the standing meal of an account at a service and day, and how many there were.

    What a card has eaten before anybody here knew whose it is counts as well: `token` is that card's.
    """
    rows = db.rows(
        "SELECT m.body, m.hash, s.n IS NULL FROM entry m"
        " LEFT JOIN entry s ON s.reverses = m.n WHERE m.eater IN (?, ?) AND m.day = ? AND m.service = ? AND m.meal_number > 0 ORDER BY m.n",
        (account_id, token, day, service),
    )
    standing_meals = [(body, digest) for body, digest, stands in rows if stands]
    return (_entry(*standing_meals[-1]) if standing_meals else None, len(rows))


def meal_since(
    db: Database, account_id: str | None, token: str | None, service: str, boot: str, mono_ms: int
) -> Entry | None:
    """Return the newest standing meal of an account, or its card, at a service, made in a boot since a time of it, of whatever day."""
    row = db.row(
        "SELECT m.body, m.hash FROM entry m"
        " WHERE m.eater IN (?, ?) AND m.service = ? AND m.meal_number > 0 AND m.body ->> '$.boot' = ? AND m.body ->> '$.mono_ms' >= ?"
        " AND NOT EXISTS (SELECT 1 FROM entry s WHERE s.reverses = m.n) ORDER BY m.n DESC LIMIT 1",
        (account_id, token, service, boot, mono_ms),
    )
    return _entry(row[0], row[1]) if row else None


def entry(db: Database, epoch: str, seq: int) -> tuple[Entry, bool] | None:
    """Return an own entry and whether it has been undone, None if it is not here."""
    row = db.row(
        "SELECT e.body, e.hash, s.n IS NOT NULL FROM entry e LEFT JOIN entry s ON s.reverses = e.n"
        f" WHERE e.n = (SELECT n FROM epoch WHERE id = ?) << {SEQ_BITS} | ?",
        (epoch, seq),
    )
    return (_entry(row[0], row[1]), bool(row[2])) if row else None


def batch(db: Database, epoch: str, first: int, count_max: int) -> tuple[str, list[bytes]]:
    """Return the hash before entry `first` of an epoch, and up to `count_max` entries from it on as the JSON to send."""
    with db.reading() as sql:
        number, base_seq, base_hash = sql.execute(
            "SELECT n, base_seq, base_hash FROM epoch WHERE id = ?", (epoch,)
        ).fetchone()
        previous = (
            base_hash.hex() if first - 1 <= base_seq else _hash_at(sql, Place(number, first - 1).n)
        )
        span = (Place(number, first).n, Place(number + 1, 0).n, count_max)
        rows = sql.execute(
            "SELECT body, hash FROM entry WHERE n >= ? AND n < ? ORDER BY n LIMIT ?", span
        ).fetchall()
    return previous, [_with_hash(body, digest) for body, digest in rows]


def remembers_from(db: Database) -> Instant | None:
    """Return when the oldest entry was made that is still here, None if none was ever forgotten."""
    row = db.row(
        "SELECT body ->> '$.at' FROM entry WHERE EXISTS (SELECT 1 FROM epoch WHERE base_seq > 0) ORDER BY n LIMIT 1"
    )
    return str(row[0]) if row else None


def holds(db: Database, n: int, digest: bytes) -> bool:
    """Return whether the entry at a place is the one with that hash."""
    row = db.row("SELECT hash FROM entry WHERE n = ?", (n,))
    return row is not None and row[0] == digest


def latest_entry(db: Database) -> Entry | None:
    """Return the entry with the latest time: the last one of an epoch, not always of the newest (one found later comes behind)."""
    rows = db.rows(
        "SELECT body, hash FROM entry WHERE n IN (SELECT (SELECT max(n) FROM entry WHERE n < (epoch.n + 1) << ?) FROM epoch)",
        (SEQ_BITS,),
    )
    return max(
        (_entry(body, digest) for body, digest in rows), key=lambda entry: entry.at, default=None
    )


def oldest_pending_at(db: Database) -> str | None:
    """Return when the oldest entry that the central has not booked was made."""
    row = db.row(
        "SELECT body ->> '$.at' FROM entry WHERE n > (SELECT acked FROM terminal) ORDER BY n LIMIT 1"
    )
    return str(row[0]) if row else None


def served(db: Database, service: str, day: str) -> int:
    """Return the standing meals of a service and day at this terminal."""
    (count,) = db.only_row(
        "SELECT count(*) FROM entry m WHERE m.service = ? AND m.day = ? AND m.meal_number > 0"
        " AND NOT EXISTS (SELECT 1 FROM entry s WHERE s.reverses = m.n)",
        (service, day),
    )
    return int(count)


def entries(db: Database, *, newest: int) -> list[tuple[str, Entry, bool, bool]]:
    """Return the newest entries, oldest first, each as (epoch, entry, booked by the central, undone)."""
    rows = db.rows(
        "SELECT epoch.id, e.body, e.hash, e.n <= acked, s.n IS NOT NULL FROM terminal, entry e JOIN epoch ON epoch.n = e.epoch"
        " LEFT JOIN entry s ON s.reverses = e.n ORDER BY e.n DESC LIMIT ?",
        (newest,),
    )
    return [
        (epoch, _entry(body, digest), bool(booked), bool(undone))
        for epoch, body, digest, booked, undone in reversed(rows)
    ]


def balances(db: Database) -> Iterator[tuple[str, int]]:
    """Yield every account with its balance in cents."""
    for (account_id,) in db.rows("SELECT id FROM record WHERE kind = 'account' ORDER BY id"):
        cents = balance_cents(db, account_id)
        if cents is not None:
            yield account_id, cents


def counts(db: Database) -> dict[str, int]:
    """Return how many records of each kind, set-aside messages, notes and incidents are held."""
    held = dict(db.rows("SELECT kind, count(*) FROM record GROUP BY kind"))
    for table in ("set_aside", "note", "incident"):
        (held[table],) = db.only_row(f"SELECT count(*) FROM {table}")
    return held


def incidents(db: Database) -> list[tuple[str, str, str]]:
    """Return what someone should look at as (at, kind, detail), oldest first: incidents, messages set aside, the central's notes."""
    return db.rows(
        "SELECT at, kind, detail FROM incident UNION ALL SELECT at, 'set aside', topic || ': ' || reason FROM set_aside"
        f" UNION ALL SELECT coalesce(e.body ->> '$.at', ''), status, 'entry ' || (note.n & {SEQ_MAX}) || ': ' || reason"
        " FROM note LEFT JOIN entry e ON e.n = note.n ORDER BY 1"
    )


def verify(db: Database) -> Iterator[str]:
    """Recompute the hash chain and every balance from the rows; yield a sentence for each difference."""
    for number, epoch, previous_seq, base_hash in db.rows(
        "SELECT n, id, base_seq, base_hash FROM epoch ORDER BY n"
    ):
        previous = base_hash.hex()
        for seq, body, digest, eater, cents, kind in db.rows(
            "SELECT seq, body, hash, eater, cents, kind FROM entry WHERE n >= ? AND n < ? ORDER BY n",
            (Place(number, 0).n, Place(number + 1, 0).n),
        ):
            if seq != previous_seq + 1:
                yield f"epoch {epoch}: entry {seq} follows entry {previous_seq}"
            elif chain_hash(previous, body.encode()) != digest.hex():
                yield f"epoch {epoch}: entry {seq} does not match its hash"
            try:
                inside = _entry(body, digest)
            except msgspec.MsgspecError as error:
                yield f"epoch {epoch}: entry {seq} is not readable: {error}"
            else:
                if (inside.seq, inside.account or inside.card, inside.cents, inside.kind) != (
                    seq,
                    eater,
                    cents,
                    kind,
                ):
                    yield f"epoch {epoch}: the columns of entry {seq} differ from what was hashed"
            previous_seq, previous = seq, digest.hex()
    for (seq,) in db.rows("SELECT seq FROM entry WHERE epoch NOT IN (SELECT n FROM epoch)"):
        yield f"entry {seq} is of an epoch that is not known here"
    yield from _verify_balances(db)


def _verify_balances(db: Database) -> Iterator[str]:
    """Sum the entries' own bodies in another way than the tap's query does, account by account."""
    own: dict[str, list[tuple[int, int]]] = {}
    for n, body, digest in db.rows("SELECT n, body, hash FROM entry ORDER BY n"):
        with contextlib.suppress(msgspec.MsgspecError):  # one that is not readable has been told
            one = _entry(body, digest)
            if one.account is not None:
                own.setdefault(one.account, []).append((n, one.cents))
    for account_id, body, h in db.rows(f"SELECT id, {_BODY}, h FROM record WHERE kind = 'account'"):
        after = sum(cents for n, cents in own.get(account_id, []) if n > h)
        try:
            expected = _decoded(_account, "account", account_id, body).balance + after
        except RecordError as error:
            yield str(error)
            continue
        if (shown := balance_cents(db, account_id)) != expected:
            yield f"account {account_id}: shows {shown} cents, its entries give {expected}"


def digest_step(
    db: Database, so_far: Tally, after: tuple[str, str]
) -> tuple[Tally, tuple[str, str] | None]:
    """Return the digest with the next `DIGEST_STEP_RECORDS` records behind `after` (kind, id; "" at first), and the last
    one seen or None when that was all. The caller sees to it that the position has not moved between steps."""
    rows = db.rows(
        f"SELECT kind, id, {_BODY} FROM record WHERE (kind, id) > (?, ?) ORDER BY kind, id LIMIT ?",
        (*after, DIGEST_STEP_RECORDS),
    )
    try:
        so_far = tally(((kind, body) for kind, _, body in rows), so_far)
    except ValueError:
        for kind, record_id, body in rows:
            if kind == "account":
                _decoded(_account, kind, record_id, body)
        raise
    return so_far, ((rows[-1][0], rows[-1][1]) if len(rows) == DIGEST_STEP_RECORDS else None)


_Kept = TypeVar("_Kept")
_Record = TypeVar("_Record")

_account = msgspec.json.Decoder(AccountRecord)
_card = msgspec.json.Decoder(CardRecord)
_policy = msgspec.json.Decoder(PolicyRecord)
_service = msgspec.json.Decoder(ServiceRecord)
_BODY = "CAST(body AS BLOB)"  # as bytes: what is damaged may be no text any more


def _kept(db: Database, name: str, read: Callable[[Database], _Kept]) -> _Kept:
    """Return what was read before, or read it. Another process may write to the file of a reader: it keeps nothing."""
    if db.read_only:
        return read(db)
    if name not in db.kept:
        db.kept[name] = read(db)
    found: _Kept = db.kept[name]
    return found


def _records(db: Database, decoder: msgspec.json.Decoder[_Record], kind: str) -> list[_Record]:
    rows = db.rows(f"SELECT id, {_BODY} FROM record WHERE kind = ?", (kind,))
    return [_decoded(decoder, kind, record_id, body) for record_id, body in rows]


def _decoded(
    decoder: msgspec.json.Decoder[_Record], kind: str, record_id: str, body: bytes
) -> _Record:
    try:
        return decoder.decode(body)
    except ValueError as error:  # msgspec's own, and bytes that are no text
        raise RecordError(kind, record_id, error) from None


def _tail(db: Database) -> tuple[int, int, str]:
    with db.reading() as sql:
        number, base_seq, base_hash = sql.execute(
            "SELECT n, base_seq, base_hash FROM epoch ORDER BY n DESC LIMIT 1"
        ).fetchone()
        return (number, *_end(sql, number, base_seq, base_hash))


def _end(sql: sqlite3.Connection, number: int, base_seq: int, base_hash: bytes) -> tuple[int, str]:
    """Return (seq, hash) of an epoch's newest entry, or where its kept entries begin."""
    span = (Place(number, 0).n, Place(number + 1, 0).n)
    end = sql.execute(
        "SELECT seq, hash FROM entry WHERE n > ? AND n < ? ORDER BY n DESC LIMIT 1", span
    ).fetchone()
    return (end[0], end[1].hex()) if end else (base_seq, base_hash.hex())


def _hash_at(sql: sqlite3.Connection, n: int) -> str:
    (digest,) = sql.execute("SELECT hash FROM entry WHERE n = ?", (n,)).fetchone()
    return str(digest.hex())


def _entry(body: str, digest: bytes) -> Entry:
    return msgspec.json.decode(_with_hash(body, digest), type=Entry)


def _with_hash(body: str, digest: bytes) -> bytes:
    """Put the hash into an entry's canonical JSON as it is sent. Order of members does not matter there."""
    return f'{body[:-1]},"hash":"{digest.hex()}"}}'.encode()
