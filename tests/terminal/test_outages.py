"""What is known of readers and link: since when each is down, logged once down and once back."""

import logging

import pytest

from agent.readers.events import CardUnreadable, ReaderDown, ReaderUp, SignalFailed
from agent.sync.brake import REASONS_MAX
from agent.sync.events import Denied, LinkDown, LinkUp, Taken
from agent.terminal.outages import Outage, Outages

UP = ReaderUp(reader="left", location="usb 1")


def down(reason: str) -> ReaderDown:
    return ReaderDown(reader="left", reason=reason)


@pytest.fixture
def outages() -> Outages:
    return Outages(("left", "right"))


def test_everything_is_down_until_it_reports(outages: Outages) -> None:
    assert outages.reader_words() == {"left": "down", "right": "down"}
    assert outages.readers["left"].sentence() == "down: has not reported yet"
    assert outages.link_word() == "down: not connected yet"
    assert outages.reader_summary() == "readers down: left, right"


def test_a_reader_is_ready_after_it_reports(outages: Outages) -> None:
    outages.note(UP, 1_000)
    assert outages.reader_words() == {"left": "ready", "right": "down"}
    assert outages.reader_summary() == "readers down: right"
    outages.note(ReaderUp(reader="right", location="usb 2"), 1_000)
    assert outages.reader_summary() == "2 readers ready"


def test_what_disturbs_a_reader_is_logged_once_and_in_its_sentence(
    outages: Outages, caplog: pytest.LogCaptureFixture
) -> None:
    disturbed = ReaderUp(reader="left", location="usb 1", warning="another program has this port")
    for event in (UP, disturbed, disturbed):
        outages.note(event, 1_000)
    assert caplog.messages == ["Reader 'left': another program has this port"]
    assert outages.readers["left"].sentence() == "ready; another program has this port"
    assert outages.reader_words() == {"left": "ready", "right": "down"}
    outages.note(UP, 2_000)
    assert outages.readers["left"].sentence() == "ready"


def test_an_outage_keeps_its_beginning_and_has_its_newest_reason(outages: Outages) -> None:
    outages.note(LinkUp(), 1_000)
    outages.note(LinkDown("refused"), 2_000)
    outages.note(LinkDown("no route"), 9_000)
    assert outages.link == Outage(2_000, "no route")
    assert outages.link_word() == "down: no route"


def test_the_log_has_one_line_down_and_one_back_with_the_duration(
    outages: Outages, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    outages.note(UP, 1_000)
    for now_ms in (2_000, 3_000, 4_000):
        outages.note(down("unplugged"), now_ms)
    outages.note(UP, 14_500)
    assert caplog.messages == [
        "Reader 'left' up (usb 1)",
        "Reader 'left' down: unplugged",
        "Reader 'left' up after 12.5 s (usb 1)",
    ]


def test_a_second_link_up_is_not_logged(outages: Outages, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    outages.note(LinkUp(), 1_000)
    outages.note(LinkUp(), 2_000)
    assert caplog.messages == ["Link up"]


def test_failed_signals_are_counted_and_logged_once(
    outages: Outages, caplog: pytest.LogCaptureFixture
) -> None:
    outages.note(UP, 1_000)
    for reason in ("no answer", "busy"):
        outages.note(SignalFailed(reader="left", reason=reason), 2_000)
    sentence = outages.readers["left"].sentence()
    assert sentence == "ready; 2 signals failed, last: busy"
    assert len(caplog.messages) == 1 and "does not show its signals" in caplog.text


def test_the_last_unreadable_card_is_shown_to_the_staff(outages: Outages) -> None:
    outages.note(UP, 1_000)
    phone = CardUnreadable(reader="left", fault="random", sentence="a phone", tap=1)
    outages.note_unreadable(phone, "2026-11-23T11:05:00.000Z")
    sentence = outages.readers["left"].sentence()
    assert sentence == "ready; last unreadable card 2026-11-23T11:05:00.000Z: a phone"


def test_an_outage_that_lasts_is_logged_at_growing_intervals_with_its_present_reason(
    outages: Outages, caplog: pytest.LogCaptureFixture
) -> None:
    for now_ms in range(1_000, 481_000, 10_000):
        outages.note(LinkDown("no route"), now_ms)
    lines = [line for line in caplog.messages if line.startswith("Link down")]
    assert lines == [
        "Link down: no route",
        "Link down for 1 min: no route",
        "Link down for 3 min: no route",
        "Link down for 7 min: no route",
    ]


def test_a_reason_that_is_new_is_logged_at_once_but_only_the_first_reasons_max(
    outages: Outages, caplog: pytest.LogCaptureFixture
) -> None:
    """A certificate that expires during an outage; not a reason that has a number in it."""
    for n in range(3 * REASONS_MAX):
        outages.note(LinkDown(f"reason {n}"), 1_000 + n)
        outages.note(LinkDown("no route"), 1_000 + n)
    assert len(caplog.messages) == REASONS_MAX
    assert outages.link_word() == "down: no route"


def test_a_denied_topic_is_in_the_link_word_until_it_is_taken(
    outages: Outages, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    outages.note(LinkUp(), 1_000)
    assert outages.link_fault() is None
    outages.note(Denied("t/entries", "not authorised (135)"), 2_000)
    assert outages.link_word() == "up, but not authorised (135)"
    assert outages.link_fault() == "not authorised (135)"
    outages.note(Taken("t/entries"), 3_000)
    outages.note(Taken("t/entries"), 3_000)
    assert outages.link_word() == "up"
    assert caplog.messages[-2:] == [
        "Link to topic t/entries down: not authorised (135)",
        "Link to topic t/entries up after 1.0 s",
    ]


def test_a_lost_link_ends_what_was_denied(outages: Outages) -> None:
    outages.note(LinkUp(), 1_000)
    outages.note(Denied("t/entries", "not authorised (135)"), 2_000)
    outages.note(LinkDown("cut"), 3_000)
    assert outages.link_fault() == "link down: cut"
    outages.note(LinkUp(), 4_000)
    assert outages.link_word() == "up"
