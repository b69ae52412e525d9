"""What watchers see: taps, counters and the condition, and nothing of money."""

import json

import msgspec
import pytest

from agent.domain.clock import Moment
from agent.domain.ledger import RefusalReason
from agent.errors import RecordError
from agent.ops.control_messages import (
    Changed,
    Counted,
    FaultCode,
    News,
    Snapshot,
    Tapped,
    Word,
)
from agent.readers.events import ReaderDown, ReaderUp, Signal
from agent.terminal.watching import (
    _WORDS,
    CONDITION_EVERY_MS,
    LOOK_BACK_ENTRIES,
    TAPS_KEPT_MAX,
    UNWATCHED_EVERY_MS,
    Watching,
)
from tests.conftest import CARD, OTHER_CARD
from tests.parts.wire import TODAY, Wire

UNKNOWN = "em:0100000001"


@pytest.fixture
def watching(wire: Wire) -> Watching:
    return Watching(wire.box.core)


def news(wire: Wire, watching: Watching) -> list[News]:
    return list(watching.news(moment(wire)))


def moment(wire: Wire) -> Moment:
    return wire.box.moment()


def snapshot(wire: Wire, watching: Watching) -> Snapshot:
    return watching.snapshot(moment(wire))


def test_a_tap_is_news_once_with_its_counters(wire: Wire, watching: Watching) -> None:
    first = snapshot(wire, watching)
    wire.box.tap(CARD)
    tapped, counted = news(wire, watching)
    assert isinstance(tapped, Tapped) and isinstance(counted, Counted)
    assert (tapped.tap.word, tapped.tap.account, tapped.tap.seq) == (Word.SERVED, "a-1", 1)
    assert tapped.tap.undo_until is not None
    assert (counted.counters.total, counted.counters.classes) == (1, {"1A": 1})
    assert first.number < tapped.number < counted.number
    assert news(wire, watching) == []


def test_every_reason_of_a_refusal_has_a_word() -> None:
    assert set(_WORDS) == set(RefusalReason)


def test_a_second_tap_names_the_time_of_the_first(wire: Wire, watching: Watching) -> None:
    wire.box.tap(CARD)
    first_at = wire.box.entries()[0].at
    wire.clock.pass_ms(60_000)
    wire.box.tap(CARD)
    taps = snapshot(wire, watching).taps
    assert [tap.word for tap in taps] == [Word.SERVED, Word.ALREADY_SERVED]
    assert taps[1].again_at == first_at and taps[1].undo_until is None


def test_an_undone_meal_is_the_same_tap_and_no_meal_any_more(
    wire: Wire, watching: Watching
) -> None:
    wire.box.tap(CARD)
    wire.box.tap(OTHER_CARD)
    snapshot(wire, watching)
    wire.box.ask("storno", seq=1)
    tapped, counted = news(wire, watching)
    assert isinstance(tapped, Tapped) and isinstance(counted, Counted)
    assert (tapped.tap.seq, tapped.tap.undone, tapped.tap.undo_until) == (1, True, None)
    assert counted.counters.total == 1
    again = snapshot(wire, Watching(wire.box.core))
    assert again.counters == counted.counters and again.taps[0].undone


def test_a_meal_of_an_earlier_day_is_not_counted_today(wire: Wire, watching: Watching) -> None:
    snapshot(wire, watching)
    for n, card in enumerate((CARD, OTHER_CARD), start=1):
        assert "error" not in wire.box.ask("meal", account=f"a-{n}", day="2026-11-20")
        wire.box.tap(card)
    assert snapshot(wire, watching).counters.total == 2
    counters = Watching(wire.box.core).snapshot(moment(wire)).counters
    assert counters == snapshot(wire, watching).counters


@pytest.mark.parametrize("last", ["meal", "storno"])
def test_the_counters_stay_those_of_today_while_yesterdays_list_is_typed_in(
    wire: Wire, watching: Watching, last: str
) -> None:
    wire.box.tap(CARD)
    counted = snapshot(wire, watching).counters
    assert (counted.day, counted.total) == (TODAY, 1)
    assert "error" not in wire.box.ask("meal", account="a-2", day="2026-11-20")
    if last == "storno":
        assert "error" not in wire.box.ask("storno", seq=2)
    for watcher in (watching, Watching(wire.box.core)):
        assert snapshot(wire, watcher).counters == counted


def test_an_unknown_card_is_served_and_counted_apart(wire: Wire, watching: Watching) -> None:
    wire.box.tap(UNKNOWN)
    shown = snapshot(wire, watching)
    assert shown.taps[0].word is Word.SERVED and shown.taps[0].account is None
    assert (shown.counters.total, shown.counters.others, shown.counters.classes) == (1, 1, {})


def test_paid_exempt_and_on_credit_give_the_same_lines(wire: Wire, watching: Watching) -> None:
    """Of three children only ids, numbers and times differ."""
    cards = {"a-3": "em:0100000003", "a-4": "em:0100000004", "a-5": "em:0100000005"}
    for account, card in cards.items():
        wire.central.add_account(account, cards=(card,), price_cents=0 if account == "a-4" else 366)
    wire.central.credit("a-3", 5_000, "r-1")
    wire.settle()
    snapshot(wire, watching)
    lines = []
    for card in cards.values():
        wire.box.tap(card)
        for item in news(wire, watching):
            members = json.loads(msgspec.json.encode(item))
            tap = members.get("tap", {})
            for name in ("seq", "account", "at", "undo_until"):
                tap.pop(name, None)
            members.pop("number")
            members.get("counters", {}).clear()
            lines.append(json.dumps(members, sort_keys=True))
    assert lines[0:2] == lines[2:4] == lines[4:6]
    balances = [wire.box.balance(account) for account in cards]
    assert len(set(balances)) == 3


@pytest.mark.parametrize("word", ["cents", "balance", "credit", "price", "category", "flag"])
def test_no_line_has_a_word_about_money(wire: Wire, watching: Watching, word: str) -> None:
    wire.box.tap(CARD)
    text = msgspec.json.encode(snapshot(wire, watching)).decode()
    assert word not in text


def test_the_last_taps_are_kept(wire: Wire, watching: Watching) -> None:
    for n in range(TAPS_KEPT_MAX + 5):
        wire.box.tap((CARD, OTHER_CARD)[n % 2])
    taps = snapshot(wire, watching).taps
    assert [tap.seq for tap in taps] == list(range(6, TAPS_KEPT_MAX + 6))


def test_the_counters_of_a_new_watcher_are_those_of_a_day(wire: Wire) -> None:
    assert LOOK_BACK_ENTRIES >= 3_000  # more than a large school's taps of a service
    wire.box.tap(CARD)
    wire.clock.pass_ms(24 * 3_600_000)
    wire.box.tap(CARD)
    wire.box.tap(OTHER_CARD)
    assert snapshot(wire, Watching(wire.box.core)).counters.total == 2


def test_the_condition_is_looked_at_once_a_second_and_sent_when_it_changes(
    wire: Wire, watching: Watching
) -> None:
    condition = snapshot(wire, watching).condition
    assert condition.out_of_order is None and condition.pending == 0
    wire.disconnect()
    wire.box.tap(CARD)
    assert all(not isinstance(item, Changed) for item in news(wire, watching))
    wire.clock.pass_ms(CONDITION_EVERY_MS)
    (changed,) = news(wire, watching)
    assert isinstance(changed, Changed) and changed.condition.pending == 1


def test_a_fault_has_its_code_its_reader_and_since_when_it_lasts(
    wire: Wire, watching: Watching
) -> None:
    def turn(event: ReaderUp | ReaderDown) -> None:
        list(wire.box.core.turn(event, wire.box.reading()))

    turn(ReaderDown(reader="counter", reason="RDM6300: unplugged"))
    since = moment(wire).at
    (fault,) = snapshot(wire, watching).condition.faults
    assert (fault.code, fault.subject, fault.since) == (FaultCode.READER, "counter", since)
    assert "unplugged" in fault.words
    wire.clock.pass_ms(60_000)
    assert snapshot(wire, watching).condition.faults == [fault]
    turn(ReaderUp(reader="counter", location="/dev/ttyUSB0"))
    assert snapshot(wire, watching).condition.faults == []


@pytest.mark.parametrize("is_watched", [True, False])
def test_a_damaged_rule_that_a_page_needs_puts_no_terminal_out_of_order(
    wire: Wire, *, is_watched: bool
) -> None:
    """It is deleted and requested again, as after a tap that needs it."""
    wire.box.db.sql.execute("PRAGMA ignore_check_constraints = ON")
    wire.box.db.sql.execute("UPDATE record SET body = 'no record' WHERE kind = 'policy'")
    wire.box.restart()
    watching, core = Watching(wire.box.core), wire.box.core
    wire.clock.pass_ms(UNWATCHED_EVERY_MS)
    look = watching.snapshot if is_watched else watching.look
    with pytest.raises(RecordError) as raised:
        look(moment(wire))
    assert core.take_fault(raised.value, wire.box.reading()) == [] and core.fault is None
    look(moment(wire))
    assert wire.box.tap(CARD) is Signal.SERVED
