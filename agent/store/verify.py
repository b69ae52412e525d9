"""Recomputes what the ledger promises from its rows: chain, columns, indexes, checksums, balances.

Reads only. Whatever is wrong with a file, it is a sentence and no exception.
"""

import contextlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import msgspec

from agent.domain.ledger import Place, chain_hash
from agent.errors import DamagedError, RecordError, StoreError
from agent.store import reads
from agent.store.damage import page_faults, sum_faults
from agent.store.database import Database
from agent.store.raw_bytes import read_raw_beside_writer
from agent.store.salvage import Owner, prove_raw
from agent.store.standing import epochs, standing
from agent.store.viewing import view
from agent.store.wal import look_in

# What a value of another type or size than the schema's raises.
_WRONG_VALUES = (
    StoreError,
    msgspec.MsgspecError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    KeyError,
)


def verify(db: Database) -> Iterator[str]:
    """Yield a sentence for each difference; nothing when all is correct."""
    parts: dict[str, Callable[[Database], Iterator[str]]] = {
        "pages": page_faults,
        "checksums": sum_faults,
        "entries": _verify_chains,
        "balances": _verify_balances,
    }
    for name, part in parts.items():
        try:
            yield from part(db)
        except _WRONG_VALUES as error:
            yield f"the {name} cannot be read to the end: {error}"


def verify_deep(path: Path) -> Iterator[str]:
    """Yield what a search in the raw bytes of the file and its log finds beyond the ledger.

    No connection of this process may have the ledger open. The bytes come first: what they hold was
    committed before, so the ledger has it, also beside an agent that goes on.
    """
    try:
        raw = read_raw_beside_writer(path)
        log = path.with_name(f"{path.name}-wal")
        yield from filter(None, [look_in(BytesIO(raw.log), log.name, raw.committed).reason])
        with view(path) as db:
            own = standing(db)
            kept = {span.base.epoch: span for span in epochs(db)}
        damaged = prove_raw(raw, Owner(own.town, own.terminal))
    except _WRONG_VALUES as error:
        yield f"the raw bytes cannot be compared: {error}"
        return
    for epoch in damaged.epochs:
        span = kept.get(epoch.epoch)
        if epoch.end_seq > (span.end.seq if span else 0):
            yield (
                f"epoch {epoch.epoch}: the raw bytes prove entries up to {epoch.end_seq},"
                f" the ledger ends at {span.end.seq if span else 0}"
            )


def _verify_chains(db: Database) -> Iterator[str]:
    rows = db.rows("SELECT n, id, base_seq, base_hash FROM epoch ORDER BY n")
    for number, epoch, base_seq, base_hash in rows:
        yield from _verify_epoch(db, number, epoch, base_seq, base_hash)
    for (seq,) in db.rows("SELECT seq FROM entry WHERE epoch NOT IN (SELECT n FROM epoch)"):
        yield f"entry {seq} belongs to an epoch that is not in this file"


def _verify_epoch(
    db: Database, number: int, epoch: str, previous_seq: int, base_hash: bytes
) -> Iterator[str]:
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
            inside = reads.decode_body(body, digest)
        except DamagedError as error:
            yield f"epoch {epoch}: entry {seq}: {error}"
        else:
            columns = (inside.seq, inside.account or inside.card, inside.cents, inside.kind)
            if columns != (seq, eater, cents, kind):
                yield f"epoch {epoch}: the columns of entry {seq} differ from the hashed text"
        previous_seq, previous = seq, digest.hex()


def _verify_balances(db: Database) -> Iterator[str]:
    """Sum the entries' own texts, not the columns that the tap's query uses, account by account."""
    own: dict[str, list[tuple[int, int]]] = {}
    for n, body, digest in db.rows("SELECT n, body, hash FROM entry ORDER BY n"):
        with contextlib.suppress(DamagedError):  # reported by `_verify_epoch`
            entry = reads.decode_body(body, digest)
            if entry.account is not None:
                own.setdefault(entry.account, []).append((n, entry.cents))
    accounts = db.rows(f"SELECT id, {reads.BODY}, h FROM record WHERE kind = 'account'")
    for account_id, body, h in accounts:
        after = sum(cents for n, cents in own.get(account_id, []) if n > h)
        try:
            expected = reads.decode_account(account_id, body).balance + after
        except RecordError as error:
            yield str(error)
            continue
        if (shown := reads.balance_cents(db, account_id)) != expected:
            yield f"account {account_id}: shows {shown} cents, its entries give {expected}"
