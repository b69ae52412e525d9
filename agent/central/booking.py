"""Booking: a batch of entries becomes rows and postings.

A terminal's entries are a path in a tree. An entry is booked when the entry it chains from is
booked, once for its key and hash. None is rejected: the verdict applies it, flags it, or sets it
aside. The account it names gets a new position in the same transaction, so that the terminal's `h`
passes the entry (PROTOCOL.md, "What the central must do").
"""

from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Raw, Struct

from agent.central.books import (
    accounts,
    boots,
    chains,
    entries,
    incidents,
    meals,
    postings,
    terminals,
    tombstones,
)
from agent.central.books.boots import Boot, BootTime
from agent.central.books.entries import BookedEntry, Span
from agent.central.books.file import Books
from agent.central.books.incidents import Incident
from agent.central.books.meals import Serving
from agent.central.books.postings import Posting
from agent.central.corrections import book_storno
from agent.central.dating import REDATE, Now, confirm_time, date, is_time_unknown
from agent.central.double_meals import settle
from agent.central.orders import give_order
from agent.central.verdict import SECOND_REASON, Batch, Verdict, judge
from agent.domain.canteen import Id
from agent.domain.clock import ClockTrust, Instant
from agent.domain.ledger import (
    ChainEnd,
    Entry,
    EntryKey,
    Hash,
    Seq,
    entry_fault,
    genesis,
    received_hash,
)
from agent.errors import SyncError
from agent.sync.messages import Entries, decode_entry

HASH_REASON = "hash_does_not_match"
FORK_REASON = "another_entry_has_this_number"


class Sender(NamedTuple):
    """The terminal that sent a batch. `site` is None for a retired one."""

    town: str
    terminal: str
    site: str | None


class _Named(Struct):
    """The least that an entry must have to be kept: its number and its hash."""

    seq: Seq
    hash: Hash


class _Received(NamedTuple):
    """An entry as it came. `previous` is the hash that it should chain from."""

    raw: Raw
    seq: int
    hash: str
    previous: str
    is_forked: bool


def book_batch(
    books: Books, sender: Sender, message: Entries, *, at: Instant, zone: ZoneInfo
) -> bool:
    """Book what is new in a batch, within the caller's transaction.

    Return False, and book nothing, if the entry before the batch is not booked: a gap. Raise
    `SyncError` if the entries of the batch are not numbered consecutively.
    """
    named = [_named(raw) for raw in message.entries]
    span = Span(sender.terminal, message.epoch, named[0].seq, named[-1].seq)
    if [entry.seq for entry in named] != list(range(span.first, span.first + len(named))):
        raise SyncError("the entries of a batch are not numbered consecutively")
    if not _joins(books, sender, message, span.first, at=at):
        return False
    batch = Batch(
        terminal=sender.terminal,
        site=sender.site,
        epoch=message.epoch,
        at=at,
        zone=zone,
        hashes_by_seq=entries.hashes(books, span),
        undone_seqs=entries.undone_seqs(books, span),
    )
    previous, is_fresh = message.prev, False
    for raw, entry in zip(message.entries, named, strict=True):
        known = batch.hashes_by_seq.get(entry.seq, set())
        if entry.hash not in known:
            _book(books, batch, _Received(raw, entry.seq, entry.hash, previous, bool(known)))
            is_fresh = True
        previous = entry.hash
    for boot, time in batch.times.items():
        if time is not None:
            boots.keep(books, Boot(sender.terminal, boot), time)
    for serving in sorted(batch.servings):
        settle(books, serving, at=at)
    for account, cents in sorted(batch.moved_cents.items()):
        _renew(books, batch, account, cents)
    end = ChainEnd(epoch=message.epoch, seq=span.last, hash=previous)
    chains.advance(books, sender.terminal, end, or_back=is_fresh)
    return True


def _named(raw: Raw) -> _Named:
    try:
        return msgspec.json.decode(raw, type=_Named)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SyncError(f"an entry has no usable seq and hash: {error}") from error


def _joins(books: Books, sender: Sender, message: Entries, first: int, *, at: Instant) -> bool:
    """Return whether a batch continues what is booked.

    It does also when the entries before it are on no disk any more, which is an incident.
    """
    chain = chains.find(books, sender.terminal, message.epoch)
    if chain is None:
        return False  # the epoch's hello has not come yet
    if first == 1:
        return message.prev == genesis(sender.town, sender.terminal, message.epoch)
    parent = EntryKey(sender.terminal, message.epoch, first - 1, message.prev)
    if entries.is_booked(books, parent):
        return True
    if first != chain.oldest or first <= chain.seq + 1:
        return False
    detail = (
        f"epoch {message.epoch}: entries {chain.seq + 1} to {first - 1} are lost; the terminal"
        " does not keep them any more. Look for another copy of its disk"
    )
    incidents.add(books, Incident(at, "hole", detail, sender.terminal, message.epoch))
    return True


def _book(books: Books, batch: Batch, received: _Received) -> None:
    verdict, entry = Verdict(), None
    account: str | None = None
    members: dict[str, object] = {}
    try:
        members = msgspec.json.decode(received.raw)
        named = members.get("account")
        account = named if isinstance(named, str) else None
        entry = decode_entry(received.raw)
        fault = entry_fault(entry)
    except (SyncError, msgspec.ValidationError) as error:
        fault = str(error)
    if fault is not None:
        verdict.set_aside(fault)
    elif entry is not None:
        judge(books, batch, entry, verdict)
        if received_hash(received.previous, members) != received.hash:
            verdict.flag(HASH_REASON)
    if received.is_forked:
        verdict.flag(FORK_REASON)
        _note_fork(books, batch, received.seq)
    row = _add(books, batch, received, entry, verdict)
    if account is not None and account not in batch.moved_cents and _is_id(account):
        batch.moved_cents[account] = 0
    if entry is not None:
        _date(books, batch, entry, row)


def _note_fork(books: Books, batch: Batch, seq: int) -> None:
    """Record that two disks have one identity, and order a new epoch to part them."""
    terminals.set_forked(books, batch.terminal)
    detail = (
        f"epoch {batch.epoch}: there are two entries {seq}; the terminal's disk was restored or"
        " copied. Both are booked"
    )
    incidents.add(books, Incident(batch.at, "fork", detail, batch.terminal, batch.epoch))
    give_order(books, batch.terminal, "new_epoch")


def _is_id(name: str) -> bool:
    """Return whether an entry, usable or not, names an account that could exist."""
    try:
        msgspec.convert(name, Id)
    except msgspec.ValidationError:
        return False
    return True


def _add(
    books: Books, batch: Batch, received: _Received, entry: Entry | None, verdict: Verdict
) -> BookedEntry:
    """Add an entry and its posting."""
    has_true_time = entry is not None and not is_time_unknown(entry, batch.at)
    undoes = verdict.undoes
    row = BookedEntry(
        terminal=batch.terminal,
        epoch=batch.epoch,
        seq=received.seq,
        hash=received.hash,
        prev=received.previous,
        kind=entry.kind.value if entry else "unreadable",
        at=entry.at if entry else None,
        boot=entry.boot if entry else None,
        mono_ms=entry.mono_ms if entry else None,
        clock=entry.clock.value if entry else None,
        service=entry.service if entry else None,
        card=entry.card if entry else None,
        true_at=entry.at if entry and has_true_time else None,
        true_day=entry.day if entry and has_true_time else None,
        account=verdict.account,
        cents=verdict.cents,
        undoes_epoch=undoes.epoch if undoes else None,
        undoes_seq=undoes.seq if undoes else None,
        undoes_hash=undoes.hash if undoes else None,
        status=verdict.status,
        reason="; ".join(verdict.reasons),
        body=bytes(received.raw).decode(),
        dated=int(has_true_time and entry is not None and entry.clock is ClockTrust.SYNCED),
    )
    entries.add(books, row)
    if undoes is not None and undoes.epoch == batch.epoch:
        batch.undone_seqs.add(undoes.seq)
    if verdict.account is not None and verdict.cents is not None:
        posting = Posting(verdict.account, verdict.cents, verdict.posting, batch.at, entry=row.key)
        _post(books, batch, row, posting)
    return row


def _date(books: Books, batch: Batch, entry: Entry, row: BookedEntry) -> None:
    """Date the boot's entries by this one, or this one by the boot's newest confirmed time."""
    boot, now = Boot(batch.terminal, entry.boot), Now(batch.at, batch.zone)
    if entry.boot not in batch.times:
        batch.times[entry.boot] = boots.find(books, boot)
    known = batch.times[entry.boot]
    own = BootTime(entry.at, entry.mono_ms)
    if known is not None and entry.mono_ms < known.mono_ms:
        batch.servings |= date(books, row, known, now)
    elif row.dated:
        is_new = known is None or abs(known.zero - own.zero) > REDATE
        if is_new or batch.has_undated:
            batch.servings |= confirm_time(books, boot, own, now)
            batch.has_undated = False
        batch.times[entry.boot] = own
    elif known is not None and entry.clock is ClockTrust.UNSET:
        # a held one, made after the confirmed time, contradicts it
        batch.servings |= date(books, row, known, now)
    else:
        batch.has_undated = True


def _post(books: Books, batch: Batch, row: BookedEntry, posting: Posting) -> None:
    """Add a new entry's posting; its account's balance moves at the end of the batch."""
    postings.add(books, posting)
    moved = batch.moved_cents.get(posting.account, 0)
    batch.moved_cents[posting.account] = moved + posting.cents
    if posting.kind not in ("meal", "unknown_meal"):
        return
    if row.seq in batch.undone_seqs and (storno := meals.storno_of(books, row.key)) is not None:
        book_storno(books, storno, posting)
    if SECOND_REASON in row.reason.split("; ") and row.service and row.true_day:
        batch.servings.add(Serving(posting.account, row.service, row.true_day))


def _renew(books: Books, batch: Batch, account: str, cents: int) -> None:
    """Move a balance by what the batch posted, and send the account's record again.

    A site that does not have the account gets a tombstone, so that the terminal's `h` passes.
    """
    known = batch.account(books, account)
    if known is not None:
        accounts.move_balance(books, account, cents)
    if batch.site is not None and (known is None or known.site != batch.site):
        tombstones.add(books, batch.site, "account", account)
