"""The feed: chunks, notes, digests, and which records may leave."""

import json
from itertools import pairwise

import msgspec

from agent.central import feed
from agent.central.booking import FORK_REASON
from agent.central.books import accounts, records
from agent.central.books.accounts import Account
from agent.central.books.records import Interval
from agent.central.feed import (
    CHUNK_BYTES_MAX,
    CHUNK_RECORDS,
    FIXED_BYTES,
    NOTES_MAX,
    Dispatch,
    FeedCursor,
)
from agent.central.office.terminals import order, retire_terminal
from agent.central.site_digest import SiteDigests
from agent.domain.canteen import PRICES_MAX, Price
from agent.domain.ledger import SEQ_MAX, ChainEnd
from agent.errors import REASON_LENGTH_MAX
from agent.sync.messages import (
    BATCH_ENTRIES_MAX,
    CHUNK_RECORDS_MAX,
    MESSAGE_BYTES_MAX,
    NONCE_CHARACTERS_MAX,
    Changes,
    Digest,
    Note,
    Order,
)
from tests.conftest import CARD
from tests.parts.foreign_terminal import EPOCH, NAME, ForeignTerminal, meal
from tests.parts.wire import SITE, Wire, last_changes


def changes(foreign: ForeignTerminal, cursor: FeedCursor) -> Changes:
    at = foreign.central.clock.instant
    news = feed.changes(foreign.central.books, NAME, cursor, dispatch=Dispatch(at), digests=None)
    assert news is not None
    return news


def all_chunks(foreign: ForeignTerminal) -> list[Changes]:
    """Return the messages that bring a blank terminal up to date."""
    start = FeedCursor(None, 0, EPOCH, 0)
    chunks = [changes(foreign, start)]
    while chunks[-1].more:
        chunks.append(changes(foreign, start.after(chunks[-1])))
    return chunks


def add_accounts(wire: Wire, count: int, prices: int) -> None:
    """Add accounts whose records are as large as the contract allows."""
    books = wire.central.books
    with books.transaction():
        for n in range(count):
            account = Account(f"{n:064d}", SITE, "pupil", "active", "c" * 64, None, "d" * 64)
            accounts.add(books, account)
            for m in range(prices):
                price = Price(service=f"{m:064d}", from_day="2026-09-01", cents=366)
                accounts.set_price(books, account.id, price)


# C40 C43
def test_a_chunk_has_at_most_its_number_of_records_and_the_next_one_continues(
    wire: Wire, foreign: ForeignTerminal
) -> None:
    add_accounts(wire, 3 * CHUNK_RECORDS, prices=1)
    chunks = all_chunks(foreign)
    assert max(len(chunk.records) for chunk in chunks) == CHUNK_RECORDS <= CHUNK_RECORDS_MAX
    sent = [bytes(raw) for chunk in chunks for raw in chunk.records]
    everything = [record.body for record in records.find(wire.central.books, Interval(SITE, 0))]
    assert sent == everything
    assert [(chunk.from_position, chunk.to) for chunk in chunks[1:]] == [
        (before.to, chunk.to) for before, chunk in pairwise(chunks)
    ]


def test_a_chunk_of_large_records_stays_below_its_bytes(
    wire: Wire, foreign: ForeignTerminal
) -> None:
    add_accounts(wire, CHUNK_RECORDS, prices=PRICES_MAX)
    sizes = [sum(len(bytes(raw)) for raw in chunk.records) for chunk in all_chunks(foreign)]
    assert sum(sizes) > CHUNK_BYTES_MAX >= max(sizes)
    assert max(len(msgspec.json.encode(chunk)) for chunk in all_chunks(foreign)) < MESSAGE_BYTES_MAX


# C112
def test_notes_beyond_the_limit_come_with_the_next_message_and_hold_the_records_back(
    foreign: ForeignTerminal,
) -> None:
    """Records of a cut message would hold entries that `acked` does not name."""
    start = FeedCursor(foreign.hello()["generation"], 1, EPOCH, 0)
    for _ in range(3):
        foreign.send(*[meal(account="nobody")] * BATCH_ENTRIES_MAX)
    first = changes(foreign, start)
    assert len(first.notes) == NOTES_MAX and first.acked.seq == NOTES_MAX
    assert first.records == [] and first.to == first.from_position
    second = changes(foreign, start.after(first))
    assert second.notes_after == NOTES_MAX
    assert [note.seq for note in second.notes] == list(range(NOTES_MAX + 1, 301))
    assert second.acked.seq == 300 and second.records


def test_a_message_with_all_notes_and_all_records_is_within_the_contracts_limit() -> None:
    """The longest reason is a decoder's, which is cut, and that of a fork behind it."""
    reason = "x" * REASON_LENGTH_MAX + "; " + FORK_REASON
    note = Note(seq=SEQ_MAX, status="set_aside", reason=reason)
    assert CHUNK_BYTES_MAX + NOTES_MAX * len(msgspec.json.encode(note)) < MESSAGE_BYTES_MAX


# C42 C44 C101
def test_no_record_leaves_while_entries_behind_the_acknowledged_one_are_booked(
    foreign: ForeignTerminal,
) -> None:
    foreign.send(meal())
    answer = foreign.hello(last=0, head=foreign.entries[0]["hash"])
    assert answer["acked"]["seq"] == 0
    assert "records" not in answer and answer["to"] == answer["from"]


def test_a_digest_comes_with_the_last_chunk_and_only_when_no_order_waits(wire: Wire) -> None:
    wire.pass_time(300_000)
    assert last_changes(wire)["digest"]
    order(wire.central.books, "t-1", "new_epoch")
    wire.pass_time(300_000)
    answers = [json.loads(payload) for topic, payload in wire.log if topic.endswith("/changes")]
    assert [answer for answer in answers if "order" in answer and answer.get("digest")] == []


def test_a_retired_terminal_gets_no_record(foreign: ForeignTerminal) -> None:
    retire_terminal(foreign.central.books, NAME)
    answer = foreign.hello()
    assert "records" not in answer
    assert answer["order"]["do"] == "wipe"


def test_labels_and_card_ids_are_in_no_message(wire: Wire) -> None:
    wire.central.books.sql.execute("UPDATE account SET label = 'Nora K.'")
    wire.central.credit("a-1", 1, "r-1")
    wire.box.tap(CARD)
    wire.settle()
    messages = b"".join(payload for _, payload in wire.log)
    assert b'"account"' in messages
    assert b"Nora" not in messages and CARD.partition(":")[2].encode() not in messages


def test_a_small_packet_gets_small_chunks_of_notes_and_records(
    wire: Wire, foreign: ForeignTerminal
) -> None:
    """A broker with packets of 4 KB: everything arrives, in more messages."""
    bytes_max = 4_000
    add_accounts(wire, CHUNK_RECORDS, prices=10)
    foreign.send(*[meal(account="nobody")] * BATCH_ENTRIES_MAX)
    at = foreign.central.clock.instant
    cursor, notes, sent = FeedCursor(None, 0, EPOCH, 0), 0, []
    more = True
    while more:
        news = feed.changes(
            foreign.central.books,
            NAME,
            cursor,
            dispatch=Dispatch(at, bytes_max),
            digests=SiteDigests(),
        )
        assert news is not None and len(msgspec.json.encode(news)) <= bytes_max
        cursor = cursor.after(news)
        notes += len(news.notes)
        sent += [bytes(raw) for raw in news.records if b'"gone"' not in bytes(raw)]
        more = news.more or news.acked.seq < BATCH_ENTRIES_MAX
    assert notes == BATCH_ENTRIES_MAX
    assert sent == [record.body for record in records.find(wire.central.books, Interval(SITE, 0))]


def test_the_fixed_part_of_a_message_is_at_most_fixed_bytes() -> None:
    end = ChainEnd(epoch=f"{SEQ_MAX}-{'f' * 16}", seq=SEQ_MAX, hash="f" * 64)
    largest = Changes(
        generation="f" * 64,
        from_position=2**63 - 1,
        to=2**63 - 1,
        acked=end,
        at="2026-11-23T11:02:08.004Z",
        more=True,
        reset=True,
        until=2**63 - 1,
        replaces="f" * 64,
        before=end,
        notes_after=SEQ_MAX,
        digest=Digest(
            position=2**63 - 1, accounts=10**9, cards=10**9, cents=-(2**63), sum="f" * 16
        ),
        order=Order(id="o" * 64, do="new_epoch"),
        nonce="n" * NONCE_CHARACTERS_MAX,
    )
    assert len(msgspec.json.encode(largest)) <= FIXED_BYTES
