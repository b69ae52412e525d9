"""Outcome: what a rule computed, written in a few bulk statements."""

from dataclasses import dataclass, field

from agent.central.books import accounts, boots, entries, postings, tombstones
from agent.central.books.boots import Boot, BootTime
from agent.central.books.database import Books
from agent.central.books.entries import BookedEntry
from agent.central.books.postings import Posting
from agent.central.books.tombstones import Gone
from agent.domain.ledger import EntryKey


@dataclass(slots=True)
class Outcome:
    """New entries, and those of which what is booked changed; postings; accounts to send again.

    `moved_cents` is what a balance moves by, 0 where only the record is sent again. `remarks` are
    entries whose remark is sent again. `gone` are records that a site must delete.
    """

    new: dict[EntryKey, BookedEntry] = field(default_factory=dict)
    changed: dict[EntryKey, BookedEntry] = field(default_factory=dict)
    postings: list[Posting] = field(default_factory=list)
    moved_cents: dict[str, int] = field(default_factory=dict)
    remarks: set[EntryKey] = field(default_factory=set)
    boots: dict[Boot, BootTime] = field(default_factory=dict)
    gone: list[Gone] = field(default_factory=list)


def write(books: Books, outcome: Outcome) -> None:
    """Write an outcome within the caller's transaction."""
    entries.add_all(books, outcome.new.values())
    entries.change_all(books, outcome.changed.values())
    postings.add_all(books, outcome.postings)
    for boot, time in outcome.boots.items():
        boots.keep(books, boot, time)
    entries.send_remarks(books, sorted(outcome.remarks))
    accounts.move_balances(books, outcome.moved_cents)
    tombstones.add_all(books, outcome.gone)
