"""Checks of the books: balances, postings and chains are computed again from what they stand on."""

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from agent.central.booking import HASH_REASON
from agent.central.books import checks, payments, town
from agent.central.books.checks import BrokenEpoch
from agent.central.books.database import Books
from agent.central.books.entries import BookedEntry
from agent.central.dating import BOOKED_LATER
from agent.domain.clock import Day
from agent.domain.ledger import EntryKey, Flag, genesis, received_hash


class _Sent(Struct):
    cents: int
    day: Day | None = None
    flags: list[str] = []


def check(books: Books) -> Iterator[str]:
    """Yield a sentence for every difference; nothing when the books are right.

    Raise `CentralError` if they cannot be read.
    """
    yield from books.page_faults()
    with books.reading():
        yield from _balances(books)
        yield from _postings(books)
        yield from _payments(books)
        yield from _chains(books)


def _balances(books: Books) -> Iterator[str]:
    for account, balance, posted in checks.account_sums(books):
        if balance != posted:
            yield f"account {account}: balance is {balance} cents, its postings sum to {posted}"


def _postings(books: Books) -> Iterator[str]:
    """Compare an entry's cents with its postings, and with what its terminal sent."""
    for entry, posted in checks.entry_sums(books):
        if posted != entry.cents:
            yield (f"{_name(entry)}: {entry.cents} cents are booked, its postings sum to {posted}")
        # a meal that was undone before its account was known is booked with 0 cents
        was_undone = entry.cents == 0 and entry.reason.startswith(BOOKED_LATER)
        if entry.kind != "meal" or entry.cents is None or was_undone:
            continue
        sent = msgspec.json.decode(entry.body, type=_Sent)
        # a meal of a day that was wrong is priced again, by the prices of that time
        is_same_day = entry.true_day in (None, sent.day)
        is_priced_later = Flag.NO_PRICE in sent.flags and sent.cents == 0
        if is_same_day and not is_priced_later and entry.cents != sent.cents:
            yield f"{_name(entry)}: {entry.cents} cents are booked, the terminal sent {sent.cents}"


def _payments(books: Books) -> Iterator[str]:
    """Compare each payment with its postings: a credited one has its cents, others have none."""
    for payment, posted in payments.sums(books):
        expected = payment.cents if payment.state == "credited" else None
        if posted != expected:
            yield (
                f"payment {payment.n} of {payment.channel} is {payment.state} with {payment.cents}"
                f" cents, its postings sum to {posted or 0}"
            )


def _chains(books: Books) -> Iterator[str]:
    """Compare each entry's hash with its content, and look for its parent."""
    town_name = town.find(books).name
    known: set[EntryKey] = set()
    broken = checks.broken_epochs(books)
    for entry in checks.all_entries(books):
        terminal, epoch, seq, _ = entry.key
        if seq == 1:
            joins = entry.prev == genesis(town_name, terminal, epoch)
        else:
            joins = EntryKey(terminal, epoch, seq - 1, entry.prev) in known
        if not joins and BrokenEpoch(terminal, epoch) not in broken:
            yield f"{_name(entry)}: the entry before it is missing"
        if not _hash_holds(entry) and HASH_REASON not in entry.reason.split("; "):
            yield f"{_name(entry)}: does not match its hash"
        known.add(entry.key)


def _hash_holds(entry: BookedEntry) -> bool:
    try:
        return received_hash(entry.prev, msgspec.json.decode(entry.body)) == entry.hash
    except msgspec.ValidationError:
        return entry.status == "set_aside"  # stored as it came, and never readable


def _name(entry: BookedEntry) -> str:
    return f"terminal {entry.terminal}, epoch {entry.epoch}, entry {entry.seq}"
