"""What is known of readers and link: since when each is down, logged once down and once back."""

import logging

import pytest

from agent.readers.events import CardUnreadable, ReaderDown, ReaderUp, SignalFailed
from agent.sync.events import LinkDown, LinkUp
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
