"""From a card, or a request of the staff, to a committed entry; and what the log may say of it."""

import logging

import pytest

from agent.central.office.rules import set_service
from agent.domain.canteen import ServiceRecord, Shortage
from agent.domain.card import card_token, parse_card_id
from agent.domain.ledger import Kind, RefusalReason
from agent.domain.timekeeper import Timekeeper
from agent.errors import AgentError, StoreError
from agent.readers.events import CardPresented, CardUnreadable, Signal
from agent.readers.presence import OUTAGE_MS_MAX
from agent.store import writes
from agent.terminal.counter import Counter, LateMeal
from agent.terminal.staff_lock import StaffLock
from tests.conftest import CARD, OTHER_CARD
from tests.parts.wire import KEY, SITE, TODAY, ZONE, Wire

UNKNOWN_CARD = "a:04ffffff112233"
YESTERDAY = "2026-11-22"


@pytest.fixture
def counter(wire: Wire) -> Counter:
    return counter_of(wire)


def counter_of(wire: Wire) -> Counter:
    time = Timekeeper(ZONE)
    time.moment(wire.box.reading())
    return Counter(wire.box.db, ZONE, KEY, time, StaffLock(is_needed=False))


def tap(wire: Wire, counter: Counter, card: str = CARD) -> Signal:
    event = CardPresented(reader="counter", card=parse_card_id(card), tap=1)
    signal, _ = counter.tap(event, wire.box.moment())
    return signal


def test_a_tap_is_committed_before_it_returns_green(wire: Wire, counter: Counter) -> None:
    assert tap(wire, counter) is Signal.SERVED
    wire.box.restart()
    assert [entry.kind for entry in wire.box.entries()] == [Kind.MEAL]


def test_a_tap_that_the_disk_does_not_take_is_never_green(wire: Wire, counter: Counter) -> None:
    wire.box.db.sql.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="not written"):
        tap(wire, counter)
    wire.box.db.sql.execute("PRAGMA query_only = OFF")
    assert wire.box.entries() == []


def test_paid_and_on_credit_show_the_same_signal(wire: Wire, counter: Counter) -> None:
    wire.central.credit("a-1", 10_000, "r-1")
    wire.settle()
    assert (tap(wire, counter, CARD), tap(wire, counter, OTHER_CARD)) == (Signal.SERVED,) * 2


def test_every_outcome_is_recorded_with_its_signal(wire: Wire, counter: Counter) -> None:
    wire.central.policy(from_day=TODAY, shortage=Shortage.REFUSE)
    wire.central.credit("a-1", 366, "r-1")
    wire.settle()
    signals = [tap(wire, counter, card) for card in (CARD, CARD, OTHER_CARD, UNKNOWN_CARD)]
    served, already, refused = Signal.SERVED, Signal.ALREADY_SERVED, Signal.REFUSED
    assert signals == [served, already, refused, served]
    assert [(entry.kind, entry.reason) for entry in wire.box.entries()] == [
        (Kind.MEAL, None),
        (Kind.REFUSAL, RefusalReason.ALREADY_SERVED),
        (Kind.REFUSAL, RefusalReason.NO_CREDIT),
        (Kind.UNKNOWN_MEAL, None),
    ]


def test_an_unreadable_card_is_refused_without_a_token(wire: Wire, counter: Counter) -> None:
    phone = CardUnreadable(reader="counter", fault="random", sentence="a phone", tap=1)
    signal, entry = counter.tap(phone, wire.box.moment())
    assert (signal, entry.card, entry.reason) == (Signal.REFUSED, None, RefusalReason.UNREADABLE)


# Privacy


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Return every message with its structured fields."""
    parts = [(record.getMessage(), getattr(record, "fields", {})) for record in caplog.records]
    return repr(parts)


def test_log_lines_have_eight_digits_of_the_token_and_no_uid(
    wire: Wire, counter: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    """A UID identifies a child, and so does a whole token beside the records."""
    caplog.set_level(logging.DEBUG)
    moment = wire.box.moment()
    for card in (CARD, CARD, UNKNOWN_CARD):
        tap(wire, counter, card)
    tokens = [card_token(KEY, parse_card_id(card)) for card in (CARD, UNKNOWN_CARD)]
    counter.record_unanswered([(token, moment) for token in tokens], [])
    text = logged(caplog)
    for card, token in zip((CARD, UNKNOWN_CARD), tokens, strict=True):
        uid = card.partition(":")[2]
        assert token[:8] in text and token[:9] not in text
        assert uid not in text.lower() and uid.upper() not in text


def test_no_log_line_of_a_tap_or_storno_holds_an_amount(
    wire: Wire, counter: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    """Paid, exempt and on credit look the same, also in the log."""
    caplog.set_level(logging.DEBUG)
    tap(wire, counter, CARD)
    counter.undo(1, wire.box.moment())
    text = logged(caplog)
    assert "storno of entry 1: account a-1" in text
    assert not any(word in text for word in ("cents", "euro", "366", "3.66", "3,66"))


def test_an_entry_holds_the_token_and_no_uid(wire: Wire, counter: Counter) -> None:
    tap(wire, counter, UNKNOWN_CARD)
    wire.box.db.checkpoint()
    token = card_token(KEY, parse_card_id(UNKNOWN_CARD))
    content = wire.box.path.read_bytes()
    assert token.encode() in content
    assert b"04ffffff112233" not in content and bytes.fromhex("04ffffff112233") not in content


# Taps that got *out of order*


def test_unanswered_taps_are_recorded_all_or_none(wire: Wire, counter: Counter) -> None:
    moment = wire.box.moment()
    stop = "CREATE TRIGGER stop BEFORE INSERT ON entry WHEN NEW.seq = 2"
    wire.box.db.sql.execute(f"{stop} BEGIN SELECT RAISE(ABORT, 'full'); END")
    with pytest.raises(StoreError, match="full"):
        counter.record_unanswered([(None, moment), (None, moment)], [])
    assert wire.box.entries() == []
    wire.box.db.sql.execute("DROP TRIGGER stop")
    counter.record_unanswered([(None, moment), (None, moment)], [])
    assert [entry.reason for entry in wire.box.entries()] == [RefusalReason.OUT_OF_ORDER] * 2


# Requests of the staff


def test_a_late_meal_has_its_true_day(wire: Wire, counter: Counter) -> None:
    _, first = counter.meal_by_name("a-1", LateMeal(YESTERDAY, None), wire.box.moment())
    entry = first.entry
    assert (entry.kind, entry.how, entry.day) == (Kind.MEAL, "late", YESTERDAY)
    _, again = counter.meal_by_name("a-1", LateMeal(YESTERDAY, None), wire.box.moment())
    assert again == (entry, False) and len(wire.box.entries()) == 1


def test_a_late_meal_of_a_child_that_ate_with_its_card_is_refused_without_an_entry(
    wire: Wire, counter: Counter
) -> None:
    tap(wire, counter)
    today = wire.box.entries()[0].day
    assert today is not None
    with pytest.raises(AgentError, match=f"no meal for account a-1: already served on {today}"):
        counter.meal_by_name("a-1", LateMeal(today, None), wire.box.moment())
    assert len(wire.box.entries()) == 1


def test_a_late_meal_is_not_older_than_what_the_terminal_keeps(
    wire: Wire, counter: Counter
) -> None:
    wire.central.policy(keep_days=2)
    wire.settle()
    with pytest.raises(AgentError, match="keeps its meals for 2 days; ask the office"):
        counter.meal_by_name("a-1", LateMeal("2026-11-21", None), wire.box.moment())


def test_the_service_is_named_where_a_site_has_several(wire: Wire, counter: Counter) -> None:
    second = ServiceRecord(id="supper", p=0, name="Cena", opens="18:00", closes="20:00")
    set_service(wire.central.books, SITE, second)
    wire.settle()
    with pytest.raises(AgentError, match="name the service with --service: lunch, supper"):
        counter.meal_by_name("a-1", LateMeal(YESTERDAY, None), wire.box.moment())
    late = LateMeal(YESTERDAY, "supper")
    assert counter.meal_by_name("a-1", late, wire.box.moment())[1].entry.service == "supper"


def test_outside_a_service_there_is_nothing_to_close(wire: Wire, counter: Counter) -> None:
    wire.clock.pass_ms(6 * 3_600_000)
    with pytest.raises(AgentError, match="no service is open"):
        counter.close(3, wire.box.moment())


def test_the_same_count_again_is_the_first_closing(wire: Wire, counter: Counter) -> None:
    tap(wire, counter)
    first = counter.close(1, wire.box.moment())
    assert first.is_new and counter.close(1, wire.box.moment()) == (first.entry, False)
    assert counter.close(2, wire.box.moment()).is_new
    tap(wire, counter, UNKNOWN_CARD)
    assert counter.close(2, wire.box.moment()).is_new
    assert [entry.kind for entry in wire.box.entries()].count(Kind.CLOSING) == 3


def test_a_meal_that_is_undone_again_has_its_first_storno(wire: Wire, counter: Counter) -> None:
    tap(wire, counter)
    first = counter.undo(1, wire.box.moment())
    wire.clock.pass_ms(3_600_000)  # the time in which a meal can be undone is over
    assert first.is_new and counter.undo(1, wire.box.moment()) == (first.entry, False)
    assert [entry.kind for entry in wire.box.entries()] == [Kind.MEAL, Kind.STORNO]


@pytest.mark.parametrize(("minutes", "is_undone"), [(119, True), (120, True), (121, False)])
def test_a_meal_is_undone_for_two_hours_and_not_for_a_minute_more(
    wire: Wire, counter: Counter, minutes: int, is_undone: bool
) -> None:
    tap(wire, counter)
    wire.clock.pass_ms(minutes * 60_000)
    if is_undone:
        assert counter.undo(1, wire.box.moment()).entry.cents == 366
    else:
        with pytest.raises(AgentError, match="older than the town allows"):
            counter.undo(1, wire.box.moment())


def test_the_age_of_the_data_is_that_of_the_last_contact(wire: Wire, counter: Counter) -> None:
    writes.note_contact(wire.box.db, wire.clock.instant)
    wire.clock.pass_ms(5_000)
    assert counter.data_age_ms(wire.box.moment()) == 5_000
    wire.box.db.sql.execute("UPDATE terminal SET last_contact_at = NULL")
    wire.box.db.cache.clear()
    assert counter_of(wire).data_age_ms(wire.box.moment()) is None


def restarted(wire: Wire) -> Counter:
    """Return the counter of a process that begins now."""
    time = Timekeeper(ZONE)
    time.moment(wire.box.reading())
    lock, now_ms = StaffLock(is_needed=False), wire.box.reading().mono_ms
    return Counter(wire.box.db, ZONE, KEY, time, lock, started_ms=now_ms)


def restarted_after(wire: Wire, milliseconds: int) -> Counter:
    wire.clock.pass_ms(milliseconds)
    return restarted(wire)


def test_a_card_that_stays_while_the_agent_starts_again_gets_its_first_signal_again(
    wire: Wire, counter: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    signals = [tap(wire, counter)]
    for _ in range(2):
        wire.clock.pass_ms(OUTAGE_MS_MAX // 2)
        signals.append(tap(wire, restarted(wire)))
    assert signals == [Signal.SERVED] * 3
    assert [entry.kind for entry in wire.box.entries()] == [Kind.MEAL]
    assert caplog.messages[-1] == "entry 1: its card is still there; its signal is shown again"


def test_a_second_tap_long_after_a_restart_is_already_served(wire: Wire, counter: Counter) -> None:
    tap(wire, counter)
    again = restarted_after(wire, 1)
    wire.clock.pass_ms(OUTAGE_MS_MAX)
    assert tap(wire, again) is Signal.ALREADY_SERVED


def test_a_second_tap_of_a_process_that_served_the_first_is_already_served(wire: Wire) -> None:
    counter = restarted_after(wire, 1)
    signals = [tap(wire, counter)]
    wire.clock.pass_ms(1)
    assert [*signals, tap(wire, counter)] == [Signal.SERVED, Signal.ALREADY_SERVED]


def test_after_a_restart_another_card_between_ends_the_presence(
    wire: Wire, counter: Counter
) -> None:
    tap(wire, counter)
    again = restarted_after(wire, 1)
    signals = [tap(wire, again, OTHER_CARD), tap(wire, again)]
    assert signals == [Signal.SERVED, Signal.ALREADY_SERVED]


def test_a_refusal_is_decided_again_after_a_restart(wire: Wire, counter: Counter) -> None:
    wire.central.policy(from_day=TODAY, shortage=Shortage.REFUSE)
    wire.settle()
    signals = [tap(wire, counter)]
    again = restarted_after(wire, 1)
    signals.append(tap(wire, again))
    assert len(wire.box.entries()) == 1
    wire.central.credit("a-1", 366, "r-1")
    wire.settle()
    assert [*signals, tap(wire, again)] == [Signal.REFUSED, Signal.REFUSED, Signal.SERVED]
