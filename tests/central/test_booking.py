"""Booking: no entry is rejected, each is booked once, and its account gets a new position."""

import json
import re
import shutil
from typing import Any

import pytest
from msgspec import Raw

from agent.central.booking import FORK_REASON, HASH_REASON, Batch, Received, book
from agent.central.books.accounts import Account
from agent.central.books.boots import Boot, BootTime
from agent.central.books.entries import BookedEntry
from agent.central.books.facts import Facts, Later
from agent.central.books.meals import Serving
from agent.central.books.tombstones import Gone
from agent.central.dating import latest_at
from agent.central.page import Page
from agent.domain.card import card_token, parse_card_id
from agent.domain.clock import ClockTrust
from agent.domain.ledger import SEQ_MAX, Entry, EntryKey, How, Kind, canonical, seal
from agent.store.standing import standing
from agent.sync.messages import decode_entry
from tests.central.conftest import AT
from tests.conftest import CARD
from tests.invariants import the_books_are_consistent
from tests.parts.foreign_terminal import EPOCH, NAME, START, ForeignTerminal, meal, sealed
from tests.parts.wire import KEY, SITE, TODAY, TOWN, ZONE, Box, Wire


def incidents(foreign: ForeignTerminal, kind: str) -> int:
    (count,) = foreign.central.books.rows("SELECT count(*) FROM incident WHERE kind = ?", (kind,))[
        0
    ]
    return int(count)


# C104
@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (meal(kind="dance"), "not an entry: Invalid enum value 'dance'"),
        (meal(cents=366), "a meal with positive cents"),
        (meal(cents="much"), "not an entry: Expected `int`"),
        (meal(account=["a-1"]), "not an entry: Expected `str | null`"),
        (meal(account="nobody"), "unknown_account"),
        (meal(day=None, service=None), "a meal without service and day"),
        (
            meal(kind="storno", cents=366, reverses={"epoch": EPOCH, "seq": 77}),
            "not an entry: Object missing required field `hash`",
        ),
        (meal(kind="unknown_meal", account=None, card="ab" * 16, cents=0), "unknown_card"),
    ],
)
def test_an_entry_that_cannot_be_booked_is_set_aside_and_the_next_one_is_booked(
    foreign: ForeignTerminal, entry: dict[str, Any], reason: str
) -> None:
    answer = foreign.send(entry, meal(account="a-2"))
    assert answer["acked"]["seq"] == 2
    (note,) = answer["notes"]
    assert note["status"] == "set_aside" and note["reason"].startswith(reason)
    assert (foreign.central.balance("a-1"), foreign.central.balance("a-2")) == (0, -366)
    the_books_are_consistent(foreign.central.books)


# C105
def test_a_terminal_that_names_an_unknown_account_gets_a_tombstone_for_it(
    foreign: ForeignTerminal,
) -> None:
    answer = foreign.send(meal(account="nobody"))
    assert {"k": "gone", "of": "account", "id": "nobody"}.items() <= answer["records"][-1].items()


# C105
def test_an_account_named_by_an_unusable_entry_is_sent_again(foreign: ForeignTerminal) -> None:
    answer = foreign.send(meal(cents=366))
    assert [record["id"] for record in answer["records"] if record["k"] == "account"] == ["a-1"]


def test_an_entry_whose_hash_does_not_match_is_booked_and_flagged(
    foreign: ForeignTerminal,
) -> None:
    answer = foreign.send_raw([{**meal(), "seq": 1, "hash": "ab" * 32}], prev=START)
    assert answer["notes"] == [{"seq": 1, "status": "flagged", "reason": HASH_REASON}]
    assert foreign.central.balance("a-1") == -366


# C103
def test_the_same_batch_again_is_answered_as_the_first_time(foreign: ForeignTerminal) -> None:
    draft = Entry(
        kind=Kind.MEAL,
        cents=-366,
        at="2026-11-23T11:02:05.331Z",
        clock=ClockTrust.SYNCED,
        boot="b",
        mono_ms=1,
        how=How.CARD,
        account="a-1",
        service="lunch",
        day=TODAY,
    )
    entry = json.loads(canonical(seal(draft, seq=1, previous=START)[0]))
    first, second = (foreign.send_raw([entry], prev=START) for _ in range(2))
    assert first["acked"] == second["acked"]
    assert foreign.central.balance("a-1") == -366


# C36 C102
def test_a_batch_behind_a_gap_books_nothing_and_the_answer_says_where_to_continue(
    foreign: ForeignTerminal,
) -> None:
    foreign.seq, foreign.previous = 5, "cd" * 32
    answer = foreign.send(meal())
    assert answer["acked"]["seq"] == 0
    assert foreign.central.balance("a-1") == 0


def test_a_batch_behind_entries_that_are_on_no_disk_is_booked_and_the_hole_recorded(
    foreign: ForeignTerminal,
) -> None:
    foreign.hello(oldest=6, last=6, head="cd" * 32)
    foreign.seq, foreign.previous = 5, "cd" * 32
    assert foreign.send(meal())["acked"]["seq"] == 6
    assert foreign.central.balance("a-1") == -366
    assert incidents(foreign, "hole") == 1
    the_books_are_consistent(foreign.central.books)


@pytest.mark.parametrize(
    "entries",
    [
        [{**meal(), "seq": 1, "hash": "ab" * 32}, {**meal(), "seq": 3, "hash": "ab" * 32}],
        [{**meal(), "seq": "1", "hash": "ab" * 32}],
        [{**meal(), "seq": SEQ_MAX + 1, "hash": "ab" * 32}],
        [7],
        [],
    ],
)
def test_a_batch_that_is_not_numbered_consecutively_is_set_aside_whole(
    foreign: ForeignTerminal, entries: list[Any]
) -> None:
    foreign.send_raw(entries, prev=START)
    assert foreign.central.value("SELECT count(*) FROM set_aside") == 1
    foreign.send(meal())
    assert foreign.central.balance("a-1") == -366


def test_an_entry_with_the_largest_seq_is_booked(foreign: ForeignTerminal) -> None:
    foreign.hello(oldest=SEQ_MAX, last=SEQ_MAX, head="cd" * 32)
    entry = sealed(meal(), SEQ_MAX, "cd" * 32)
    assert foreign.send_raw([entry], prev="cd" * 32)["acked"]["seq"] == SEQ_MAX


# C103
def test_a_different_entry_with_a_known_number_is_booked_flagged_and_a_new_epoch_ordered(
    foreign: ForeignTerminal,
) -> None:
    foreign.send(meal())
    other = sealed(meal(account="a-2"), 1, START)
    answer = foreign.send_raw([other], prev=START)
    assert answer["order"]["do"] == "new_epoch"
    reasons = foreign.central.books.rows(
        "SELECT reason FROM entry WHERE hash = ?", (other["hash"],)
    )
    assert reasons[0][0] == FORK_REASON
    assert (foreign.central.balance("a-1"), foreign.central.balance("a-2")) == (-366, -366)
    assert incidents(foreign, "fork") == 1


def test_two_terminals_with_one_identity_are_both_booked_in_separate_epochs(wire: Wire) -> None:
    wire.box.tap(CARD)
    wire.settle()
    wire.box.db.checkpoint()
    clone_path = wire.box.path.with_name("clone.db")
    shutil.copyfile(wire.box.path, clone_path)
    wire.disconnect()
    clone = Box("t-1", clone_path, wire.clock)
    clone.epochs = 50  # its own random numbers
    wire.clock.pass_ms(24 * 3_600_000)
    wire.box.tap(CARD)
    clone.tap("em:010063e9ae")
    wire.connect()
    assert wire.central.balance("a-1") == -2 * 366
    original = wire.boxes["t-1"]
    wire.disconnect()
    wire.boxes["t-1"] = clone
    wire.connect()
    assert wire.central.balance("a-2") == -366
    assert wire.central.value("SELECT forked FROM terminal WHERE id = 't-1'") == 1
    wire.pass_time(300_000)
    assert standing(clone.db).epoch != standing(original.db).epoch
    original.db.close()
    for account in ("a-1", "a-2"):
        assert clone.balance(account) == wire.central.balance(account)


def test_a_batch_is_booked_without_reading_all_entries(foreign: ForeignTerminal) -> None:
    """Every statement of a batch uses an index: its cost does not grow with the years."""
    books = foreign.central.books
    foreign.send(meal())
    foreign.send(foreign.storno(1))
    statements: list[str] = []
    books.sql.set_trace_callback(statements.append)
    foreign.send(meal(clock="unset"), meal(mono_ms=2), foreign.storno(1, mono_ms=3))
    books.sql.set_trace_callback(None)
    plans = [
        step[3]
        for statement in statements
        if statement.startswith(("SELECT", "UPDATE", "INSERT"))
        for step in books.sql.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]
    assert any("entry_by_undone" in plan for plan in plans)
    too_wide = re.compile(r"SCAN (entry|m|s|p|posting)\b|SEARCH (entry|m|s) .*\(terminal=\?\)")
    assert [plan for plan in plans if too_wide.match(plan)] == []


def test_a_longer_batch_is_read_with_no_more_statements(foreign: ForeignTerminal) -> None:
    """A rule names all that a batch needs before it, so the reads do not grow with the batch."""
    for n in range(12):
        foreign.central.add_account(f"b-{n}", cards=(f"em:{n + 1:010x}",))
        foreign.central.add_account(f"c-{n}", cards=())
    assert reads_for(foreign, range(2)) == reads_for(foreign, range(2, 12))


def reads_for(foreign: ForeignTerminal, numbers: range) -> int:
    """Return how many statements read facts for a batch of meals, stornos and unknown cards.

    Each entry names another account, or another card.
    """
    first = foreign.seq + 1
    foreign.send(*(meal(account=f"b-{n}", mono_ms=n) for n in numbers))
    stornos = [
        foreign.storno(seq, account=f"b-{n}", mono_ms=100 + n)
        for seq, n in enumerate(numbers, start=first)
    ]
    unpriced = [
        meal(account=f"c-{n}", cents=0, flags=["no_price"], mono_ms=200 + n) for n in numbers
    ]
    cards = [card_token(KEY, parse_card_id(f"em:{n + 1:010x}")) for n in numbers]
    unknown = [
        meal(kind="unknown_meal", account=None, card=card, cents=0, mono_ms=300 + n)
        for n, card in zip(numbers, cards, strict=True)
    ]
    statements: list[str] = []
    foreign.central.books.sql.set_trace_callback(statements.append)
    foreign.send(*stornos, *unpriced, *unknown)
    foreign.central.books.sql.set_trace_callback(None)
    assert foreign.verdict()[0] == "applied"
    return sum(statement.startswith("SELECT") for statement in statements)


def test_a_batch_of_an_unregistered_terminal_is_set_aside_with_the_command_to_register_it(
    wire: Wire,
) -> None:
    topic = f"canteen/v1/{TOWN}/t/stranger/state"
    wire.central.exchange.receive(topic, b'{"online":true}', wire.clock.instant)
    reason = str(wire.central.value("SELECT reason FROM set_aside"))
    assert "canteen-central terminals add" in reason


# -- the rule alone, without a database --------------------------------------------------------


def batch_of(*members: dict[str, Any], stornos: list[BookedEntry] | None = None) -> Batch:
    """Return a batch of an epoch's first entries, with the account and card each names."""
    received, previous = [], START
    for seq, each in enumerate(members, start=1):
        whole = sealed(each, seq, previous)
        key = EntryKey(NAME, EPOCH, seq, whole["hash"])
        raw = Raw(json.dumps(whole).encode())
        received.append(
            Received(raw, key, previous, False, True, decode_entry(raw), None, each.get("account"))
        )
        previous = whole["hash"]
    return Batch(NAME, SITE, EPOCH, ZONE, received, stornos or [])


def known(**more: Any) -> Facts:
    """Return the facts for meals of a-1 of today, when nothing is booked yet."""
    boot, lunch = Boot(NAME, "b"), Serving("a-1", "lunch", TODAY)
    pupil = Account("a-1", SITE, "pupil", "active")
    later = Later(boot, latest_at(meal()["at"]))
    return Facts(
        accounts={"a-1": pupil},
        boots={boot: None},
        undated={boot: []},
        whole_boots={boot: []},
        later={later: []},
        servings={lunch: []},
        priced={"a-1": []},
        **more,
    )


def test_two_meals_of_a_batch_are_booked_and_the_second_is_given_back() -> None:
    page = Page(known(), AT)
    book(page, batch_of(meal(), meal(mono_ms=2)))
    assert [(each.cents, each.kind) for each in page.outcome.postings] == [
        (-366, "meal"),
        (-366, "meal"),
        (366, "double_meal"),
    ]
    assert page.outcome.moved_cents == {"a-1": -366}
    assert [each.status for each in page.outcome.new.values()] == ["applied", "flagged"]
    assert page.outcome.boots == {Boot(NAME, "b"): BootTime(meal()["at"], 2)}
    assert page.outcome.gone == [] and page.outcome.remarks == set()


def test_a_site_without_the_account_gets_a_tombstone() -> None:
    facts = known()
    facts.accounts["a-1"] = Account("a-1", "another", "pupil", "active")
    page = Page(facts, AT)
    book(page, batch_of(meal()))
    assert page.outcome.gone == [Gone(SITE, "account", "a-1")]
