"""A fault of the clock is reported soon, and a clock that flaps floods nothing."""

import pytest

from agent.domain.clock import ClockTrust
from agent.terminal.clock_report import EVERY_MS, ClockReport

SYNCED, HELD = ClockTrust.SYNCED, ClockTrust.HELD
NOW_MS = 10_000_000


@pytest.fixture
def report() -> ClockReport:
    """A report whose newest `state` had no fault."""
    report = ClockReport()
    report.sent("", SYNCED, NOW_MS)
    return report


def test_a_fault_and_its_end_are_sent_at_once(report: ClockReport) -> None:
    assert report.is_news("it is ahead", SYNCED, NOW_MS)
    report.sent("it is ahead", SYNCED, NOW_MS)
    assert not report.is_news("it is ahead", SYNCED, NOW_MS + EVERY_MS)
    assert report.is_news("", SYNCED, NOW_MS)


def test_another_reason_or_trust_replaces_a_stale_one_within_a_minute(report: ClockReport) -> None:
    report.sent("it is ahead", SYNCED, NOW_MS)
    for fault, trust in (("it is behind", SYNCED), ("it is ahead", HELD)):
        assert not report.is_news(fault, trust, NOW_MS + EVERY_MS - 1)
        assert report.is_news(fault, trust, NOW_MS + EVERY_MS)


def test_the_log_has_a_line_a_minute_at_most(
    report: ClockReport, caplog: pytest.LogCaptureFixture
) -> None:
    for n in range(121):
        report.log("it is ahead" if n % 2 else "it is behind", NOW_MS + 1_000 * n)
    report.log("", NOW_MS + 10 * EVERY_MS)
    assert len(caplog.messages) == 3
    assert caplog.messages[-1] == "Clock: nothing contradicts it any more."
