"""Booking: a batch of entries becomes rows and postings.

A terminal's entries are a path in a tree. An entry is booked when the entry it chains from is
booked, once for its key and hash. None is rejected: the verdict applies it, flags it, or sets it
aside. The account it names gets a new position in the same transaction, so that the terminal's `h`
passes the entry (PROTOCOL.md, "What the central must do").
"""

from collections.abc import Iterable
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Raw, Struct

from agent.central.books import chains, entries, incidents, terminals
from agent.central.books.boots import Boot, BootTime
from agent.central.books.database import Books
from agent.central.books.entries import BookedEntry, Span
from agent.central.books.facts import Wanted
from agent.central.books.incidents import Incident
from agent.central.books.meals import MEAL_KINDS, Serving
from agent.central.books.postings import Posting
from agent.central.books.tombstones import Gone
from agent.central.corrections import book_storno
from agent.central.dating import REDATE, confirm_time, date, is_time_unknown
from agent.central.double_meals import settle
from agent.central.orders import give_order
from agent.central.page import Page
from agent.central.paging import compute
from agent.central.verdict import SECOND_REASON, Verdict, judge
from agent.domain.canteen import Id
from agent.domain.clock import ClockTrust, Instant
from agent.domain.ledger import (
    ChainEnd,
    Entry,
    EntryKey,
    Hash,
    Kind,
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


class Received(NamedTuple):
    """A new entry as it came, and decoded.

    `previous` is the hash that it chains from; `has_own_hash`: its hash covers that. `entry` is
    None for what is no entry, and `fault` says why an entry cannot be booked. `account` is the
    account that it names, also if it cannot be booked.
    """

    raw: Raw
    key: EntryKey
    previous: str
    is_forked: bool
    has_own_hash: bool
    entry: Entry | None
    fault: str | None
    account: str | None


class Batch(NamedTuple):
    """Entries of one epoch that are not booked yet, in their order.

    `stornos` are booked already, and undo some of them. `site` is None for a retired terminal.
    """

    terminal: str
    site: str | None
    epoch: str
    zone: ZoneInfo
    received: list[Received]
    stornos: list[BookedEntry]


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
    received = _new_entries(span, message, named, entries.hashes(books, span))
    if received:
        stornos = entries.stornos_of(books, span)
        batch = Batch(sender.terminal, sender.site, message.epoch, zone, received, stornos)
        wanted = _named_by(sender.terminal, received)
        compute(books, at, wanted, lambda page: book(page, batch))
    for entry in received:
        if entry.is_forked:
            _note_fork(books, entry.key, at=at)
    end = ChainEnd(epoch=message.epoch, seq=span.last, hash=named[-1].hash)
    chains.advance(books, sender.terminal, end, or_back=bool(received))
    return True


def book(page: Page, batch: Batch) -> None:
    """Book a batch: what each entry does, the times that it confirms, the servings that it moves.

    A site that does not have an account of the batch gets a tombstone, so that the terminal's `h`
    passes.
    """
    _need_meals(page, batch)
    for storno in batch.stornos:
        page.take_storno(storno)
    all_dated: set[str] = set()
    for received in batch.received:
        row = _book(page, batch, received)
        if received.entry is not None:
            _date(page, received.entry, row, batch.zone, all_dated)
        if received.account is not None:
            page.renew(received.account)
    settle(page)
    if batch.site is not None:
        _send_tombstones(page, batch, batch.site)


def _send_tombstones(page: Page, batch: Batch, site: str) -> None:
    """Let a site delete the accounts of its entries that it does not have."""
    named = {entry.account for entry in batch.received}
    booked = {entry.account for entry in page.outcome.new.values()}
    accounts = {account for account in named | booked if account is not None}
    page.need(Wanted(accounts=accounts))
    for account in sorted(accounts):
        known = page.account(account)
        if known is None or known.site != site:
            page.outcome.gone.append(Gone(site, "account", account))


def _named_by(terminal: str, received: Iterable[Received]) -> Wanted:
    """Return the facts that entries name."""
    wanted = Wanted()
    for each in received:
        entry = each.entry
        if each.account is not None:
            wanted.accounts.add(each.account)
        if entry is None:
            continue
        wanted.boots.add(Boot(terminal, entry.boot))
        if entry.card is not None:
            wanted.cards.add(entry.card)
        if entry.reverses is not None:
            meal = entry.reverses
            wanted.entries.add(EntryKey(terminal, meal.epoch, meal.seq, meal.hash))
    wanted.undated = wanted.boots
    return wanted


def _need_meals(page: Page, batch: Batch) -> None:
    """Let all be read that depends on whose the cards of the entries are."""
    wanted = Wanted()
    for received in batch.received:
        entry = received.entry
        if entry is None or entry.service is None or entry.day is None:
            continue
        account = entry.account
        if entry.kind is Kind.UNKNOWN_MEAL and (card := page.card(entry.card)) is not None:
            account = card.account
        if account is not None:
            wanted.servings.add(Serving(account, entry.service, entry.day))
            if entry.cents == 0:
                wanted.priced.add(account)
    page.need(wanted)


def _new_entries(
    span: Span, message: Entries, named: list[_Named], booked: dict[int, set[str]]
) -> list[Received]:
    """Return the entries of a batch that are not booked yet."""
    previous, received = message.prev, []
    for raw, name in zip(message.entries, named, strict=True):
        known = booked.get(name.seq, set())
        if name.hash not in known:
            key = EntryKey(span.terminal, span.epoch, name.seq, name.hash)
            received.append(_received(raw, key, previous, is_forked=bool(known)))
        previous = name.hash
    return received


def _received(raw: Raw, key: EntryKey, previous: str, *, is_forked: bool) -> Received:
    account = None
    try:
        members = msgspec.json.decode(raw)
        account = members.get("account") if _is_id(members.get("account")) else None
        entry = decode_entry(raw)
    except (SyncError, msgspec.ValidationError) as error:
        return Received(raw, key, previous, is_forked, False, None, str(error), account)
    has_own_hash = received_hash(previous, members) == key.hash
    fault = entry_fault(entry)
    return Received(raw, key, previous, is_forked, has_own_hash, entry, fault, account)


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


def _book(page: Page, batch: Batch, received: Received) -> BookedEntry:
    """Judge an entry, and add it and its posting."""
    verdict = Verdict()
    if received.fault is not None:
        verdict.set_aside(received.fault)
    elif received.entry is not None:
        judge(page, batch.terminal, received.entry, verdict)
        if not received.has_own_hash:
            verdict.flag(HASH_REASON)
    if received.is_forked:
        verdict.flag(FORK_REASON)
    row = _row(page, received, verdict)
    page.add(received.key, row)
    if verdict.account is not None and verdict.cents is not None:
        posting = Posting(
            verdict.account, verdict.cents, verdict.posting, page.at, entry=received.key
        )
        _post(page, row, posting)
    return row


def _note_fork(books: Books, entry: EntryKey, *, at: Instant) -> None:
    """Record that two disks have one identity, and order a new epoch to part them."""
    terminals.set_forked(books, entry.terminal)
    detail = (
        f"epoch {entry.epoch}: there are two entries {entry.seq}; the terminal's disk was restored"
        " or copied. Both are booked"
    )
    incidents.add(books, Incident(at, "fork", detail, entry.terminal, entry.epoch))
    give_order(books, entry.terminal, "new_epoch")


def _is_id(name: object) -> bool:
    """Return whether an entry, usable or not, names an account that could exist."""
    try:
        msgspec.convert(name, Id)
    except msgspec.ValidationError:
        return False
    return True


def _row(page: Page, received: Received, verdict: Verdict) -> BookedEntry:
    entry, undoes = received.entry, verdict.undoes
    has_true_time = entry is not None and not is_time_unknown(entry, page.at)
    return BookedEntry(
        *received.key,
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


def _date(page: Page, entry: Entry, row: BookedEntry, zone: ZoneInfo, all_dated: set[str]) -> None:
    """Date the boot's entries by this one, or this one by the boot's newest confirmed time.

    `all_dated` are boots whose entries of this batch, and before it, have a confirmed time.
    """
    boot = Boot(row.terminal, entry.boot)
    known, own = page.boot_time(boot), BootTime(entry.at, entry.mono_ms)
    if known is not None and entry.mono_ms < known.mono_ms:
        date(page, row, known, zone)
    elif row.dated:
        is_new = known is None or abs(known.zero - own.zero) > REDATE
        if is_new or entry.boot not in all_dated:
            confirm_time(page, boot, own, zone)
            all_dated.add(entry.boot)
        page.keep_boot_time(boot, own)
    elif known is not None and entry.clock is ClockTrust.UNSET:
        # a held one, made after the confirmed time, contradicts it
        date(page, row, known, zone)
    else:
        all_dated.discard(entry.boot)


def _post(page: Page, row: BookedEntry, posting: Posting) -> None:
    """Add a new entry's posting."""
    page.post(posting)
    if row.kind not in MEAL_KINDS:
        return
    storno = page.storno_of(posting.entry) if posting.entry else None
    if storno is not None:
        book_storno(page, storno, posting)
    if SECOND_REASON in row.reason.split("; "):
        page.settle_later(row)
