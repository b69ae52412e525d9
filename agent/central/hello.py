"""A hello: what it proves about where a terminal stands. `feed.py` builds the answer.

It proves something about the terminal's disk and about this central's database.

`acked` names only an entry that the hello proves to be on the terminal's own chain, by `head` or
`acked_head`, or that was sent since. Without that proof a terminal with a restored disk would
forget entries that it wrote after the restore.
"""

from collections.abc import Callable
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from agent.central.books import chains, entries, generations, incidents, terminals, town
from agent.central.books.boots import Boot, BootTime
from agent.central.books.database import Books
from agent.central.books.entries import Span
from agent.central.books.facts import Wanted
from agent.central.books.incidents import Incident
from agent.central.dating import confirm_time, is_confirmed
from agent.central.double_meals import settle
from agent.central.feed import FeedCursor
from agent.central.generation import begin_generation
from agent.central.orders import confirm, give_new_epoch, waits_for_new_epoch
from agent.central.page import Page
from agent.central.paging import compute
from agent.domain.clock import Instant
from agent.domain.ledger import ChainEnd, EntryKey, genesis
from agent.sync.messages import Hello

BRAKE_S = 300
"""One terminal causes at most one new generation and one new epoch in this time."""


class Greeting(NamedTuple):
    """A hello as it arrived, at `at`, in a town with this zone."""

    town: str
    terminal: str
    hello: Hello
    at: Instant
    zone: ZoneInfo


def greet(books: Books, greeting: Greeting, *, new_generation: Callable[[], str]) -> FeedCursor:
    """Take in a hello within the caller's transaction; return the cursor that its answer follows.

    May begin a new generation of the central, or order a new epoch of the terminal.
    """
    terminal, hello, at = greeting.terminal, greeting.hello, greeting.at
    proof = _proof_of_restore(books, greeting)
    if proof is not None:
        reason = f"this database was restored from a backup: {proof}"
        incident = Incident(at, "new_generation", reason, terminal)
        if incidents.is_recent(books, incident, BRAKE_S):
            _brake(books, incident)
        else:
            begin_generation(books, new_generation(), at=at, reason=reason, terminal=terminal)
    if hello.order_done is not None:
        confirm(books, terminal, hello.order_done)
    _find_chain_end(books, greeting)
    _take_time(books, greeting)
    terminals.set_hello(books, terminal, msgspec.json.encode(hello), at=at)
    if hello.position == 0 and hello.acked > 0:
        entries.send_remarks_again(books, terminal)
    is_present = hello.generation == town.standing(books).generation
    has_before = hello.before is not None and _is_booked(books, terminal, hello.before)
    return FeedCursor(
        generation=hello.generation,
        position=hello.position if is_present else 0,
        epoch=hello.epoch,
        # notes of another generation are not those of this one: all are sent again
        seq=hello.acked if is_present else min(hello.acked, hello.oldest - 1),
        before=hello.before if has_before else None,
        is_wiped=hello.wiped,
    )


def _proof_of_restore(books: Books, greeting: Greeting) -> str | None:
    """Return what the terminal has that this database does not, None if nothing.

    Each proof counts once: in the new generation the terminal's old one is known and not present.
    """
    terminal, hello, at = greeting.terminal, greeting.hello, greeting.at
    if hello.generation is None:
        return None
    generation, position = town.standing(books)
    if hello.generation != generation:
        if generations.is_known(books, hello.generation):
            return None
        generations.add(books, hello.generation, at=at, reason=f"named by terminal {terminal}")
        return f"terminal {terminal} has generation {hello.generation[:8]}, which is not known here"
    if hello.position > position:
        return f"terminal {terminal} is at position {hello.position}, this database at {position}"
    acked = ChainEnd(epoch=hello.epoch, seq=hello.acked, hash=hello.acked_head)
    if hello.acked >= hello.oldest and not _is_booked(books, terminal, acked):
        return f"entry {hello.acked} of terminal {terminal} was acknowledged and is missing"
    if hello.before is not None and not _is_booked(books, terminal, hello.before):
        return (
            f"entry {hello.before.seq} of epoch {hello.before.epoch} of terminal {terminal} was"
            " acknowledged and is missing"
        )
    return None


def _find_chain_end(books: Books, greeting: Greeting) -> None:
    """Set the chain's end to the newest entry that the hello proves to be on the chain."""
    town_name, terminal, hello = greeting[:3]
    start = ChainEnd(epoch=hello.epoch, seq=0, hash=genesis(town_name, terminal, hello.epoch))
    if chains.find(books, terminal, hello.epoch) is None:
        chains.begin(books, terminal, start)
    newest_seq = entries.newest_seq(books, terminal, hello.epoch)
    proved = _proved_ends(books, greeting)
    end = next((end for end in proved if end == start or _is_booked(books, terminal, end)), None)
    if end is not None and hello.last < newest_seq and not _may_be_late(books, greeting):
        _part_from_restored_disk(books, greeting, newest_seq)
    # where nothing is proved the terminal sends all it keeps, and known entries are recognised
    chains.set_end(books, terminal, end or start, oldest=hello.oldest)


def _proved_ends(books: Books, greeting: Greeting) -> list[ChainEnd]:
    """Return the chain ends that the hello names, the newest first."""
    _, terminal, hello = greeting[:3]
    # what another generation had booked says nothing about this database
    is_present = hello.generation == town.standing(books).generation
    acked_seq = hello.acked if is_present else 0
    head = ChainEnd(epoch=hello.epoch, seq=hello.last, hash=hello.head)
    acked = ChainEnd(epoch=hello.epoch, seq=hello.acked, hash=hello.acked_head)
    # A hole that this disk can fill: another copy of it, which was booked, had pruned the entries.
    kept = Span(terminal, hello.epoch, max(hello.oldest, acked_seq + 1) + 1, hello.last + 1)
    if entries.has_hole(books, kept):
        return [acked] if acked_seq else []
    return [head, acked]


def _take_time(books: Books, greeting: Greeting) -> None:
    """Date the entries of the hello's boot by its time, if that is confirmed."""
    hello, at = greeting.hello, greeting.at
    if hello.boot is None or hello.mono_ms is None:
        return
    if is_confirmed(hello.clock, hello.at, at):
        boot, time = Boot(greeting.terminal, hello.boot), BootTime(hello.at, hello.mono_ms)

        def rule(page: Page) -> None:
            confirm_time(page, boot, time, greeting.zone)
            settle(page)

        compute(books, at, Wanted(boots={boot}, undated={boot}), rule)


def _part_from_restored_disk(books: Books, greeting: Greeting, newest_seq: int) -> None:
    """Order a new epoch for a disk that lacks booked entries; once, while that order waits."""
    terminal, hello, at = greeting.terminal, greeting.hello, greeting.at
    detail = (
        f"epoch {hello.epoch}: the terminal ends at entry {hello.last}, {newest_seq} are"
        " booked; its disk was restored"
    )
    incident = Incident(at, "restored_disk", detail, terminal, hello.epoch)
    if waits_for_new_epoch(books, terminal):
        return
    if incidents.is_recent(books, incident, BRAKE_S):
        _brake(books, incident)
        return
    give_new_epoch(books, terminal)
    incidents.add(books, incident)


def _brake(books: Books, incident: Incident) -> None:
    """Count what a terminal causes too often instead of doing it: it is done later, if it lasts."""
    detail = f"within {BRAKE_S // 60} min again, and done later: {incident.detail}"
    incidents.add_or_count(books, incident._replace(kind="braked", detail=detail))


def _may_be_late(books: Books, greeting: Greeting) -> bool:
    """Return whether the broker may have delivered an old hello late.

    It may if it is older than the hello before it, and was not repeated since.
    """
    hello = greeting.hello
    text = terminals.hello(books, greeting.terminal)
    if text is None:
        return False
    before = msgspec.json.decode(text, type=Hello)
    if hello.boot is not None and hello.boot == before.boot:
        is_older = (hello.mono_ms or 0) <= (before.mono_ms or 0)
    else:
        is_older = hello.at <= before.at
    is_repeated = hello.at != before.at and (hello.last, hello.head) == (before.last, before.head)
    return is_older and not is_repeated


def _is_booked(books: Books, terminal: str, end: ChainEnd) -> bool:
    return entries.is_booked(books, EntryKey(terminal, end.epoch, end.seq, end.hash))
