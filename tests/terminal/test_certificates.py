"""A certificate that is not renewed, and a file that is missing, have a voice in time."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from agent.central.office.fleet import fleet
from agent.domain.clock import ClockTrust
from agent.ops.keypair import certificate_request, new_key
from agent.sync.broker import WARN_DAYS, Broker
from agent.sync.events import LinkUp, Publish
from agent.sync.topics import Leaf, Topics
from agent.terminal.certificates import LOOK_EVERY_MS, PATIENCE_DAYS, Certificates
from agent.terminal.renewal import RENEW_DAYS, forget_failures, note_failure
from tests.parts.certificates import make_authority
from tests.parts.wire import NOON, Wire

DAY = timedelta(days=1)
DAY_MS = 86_400_000
REASON = "central:8884: no answer; check the network"


class Site:
    """A terminal with a certificate that ends on a day of the test, and what is reported."""

    def __init__(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.wire, self.caplog = Wire(folder), caplog
        self.authority = make_authority(folder, made_at=NOON - 400 * DAY)
        self.own, self.ca = folder / "terminal.pem", folder / "ca.crt"
        self.folder, self.sent = folder, b""
        self.broker = Broker(
            url="mqtts://h", ca_file=self.ca, certificate_file=self.own, key_file=self.own
        )
        self.make(365)
        self.watched_by(folder)

    def watched_by(self, renewed_in: Path | None) -> None:
        self.wire.box.certificates = Certificates(self.broker, renewed_in)
        self.wire.box.restart()
        self.wire.connect()

    def make(self, days_left: float) -> None:
        """Give the terminal a certificate that ends in so many days."""
        key, made_at = new_key(), self.wire.clock.now + (days_left - 365) * DAY
        issued = self.authority.issue_terminal(certificate_request(key), "t/t-1", made_at)
        self.own.write_text(key + issued.pem, encoding="ascii")

    def fail_on(self, days: int) -> None:
        """Let the daily renewal fail on so many days, of which today is the last."""
        for ago in range(days)[::-1]:
            note_failure(self.folder, REASON, self.wire.clock.now - ago * DAY)

    def look(self, later_ms: int = LOOK_EVERY_MS) -> str | None:
        """Let time pass and return what `status` says."""
        self.wire.clock.pass_ms(later_ms)
        turn = self.wire.box.core.turn
        sent = [effect for _ in range(40) for effect in turn(None, self.wire.box.reading())]
        states = [e.payload for e in sent if isinstance(e, Publish) and e.topic.endswith("state")]
        self.sent = states[-1] if states else self.sent
        fault = self.wire.box.ask("status")["certificate_fault"]
        assert fault is None or isinstance(fault, str)
        return fault


@pytest.fixture
def site(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Site]:
    with caplog.at_level(logging.INFO):
        site = Site(tmp_path, caplog)
        yield site
    site.wire.close()


def test_a_renewal_that_fails_for_a_week_is_a_fault_everywhere(site: Site) -> None:
    site.make(RENEW_DAYS - PATIENCE_DAYS)
    site.fail_on(PATIENCE_DAYS)
    words = site.look()
    assert words is not None and f"failed on {PATIENCE_DAYS} days, last: {REASON}" in words
    assert "the own certificate ends on 2027-03-16" in words
    assert "systemctl start canteen-agent-renew" in words
    assert f"Certificates: {words}." in site.caplog.messages
    assert words in site.wire.box.core.summary()
    assert b'"id":"certificate"' in site.sent and REASON.encode() in site.sent
    site.wire.deliver_up(Topics("borgofiorito").of("t-1", Leaf.STATE), site.sent)
    (row,) = fleet(site.wire.central.books, site.wire.clock.instant)
    assert REASON in row.faults["certificate"]


def test_a_good_renewal_ends_the_fault_without_a_restart(site: Site) -> None:
    site.make(RENEW_DAYS - PATIENCE_DAYS)
    site.fail_on(PATIENCE_DAYS)
    assert site.look() is not None
    site.make(365)
    forget_failures(site.folder)
    assert site.look() is None
    assert "Certificates: all is well again." in site.caplog.messages
    assert b"certificate" not in site.sent


def test_a_few_failed_days_are_no_fault(site: Site) -> None:
    site.make(RENEW_DAYS - 5)
    site.fail_on(PATIENCE_DAYS - 1)
    assert site.look() is None


def test_what_failed_for_an_earlier_certificate_is_over(site: Site) -> None:
    """A new enrolment gave another, and the renewal has not looked at it yet."""
    site.fail_on(PATIENCE_DAYS)
    assert site.look() is None


def test_a_box_that_comes_back_after_the_summer_is_not_late_yet(site: Site) -> None:
    site.make(RENEW_DAYS - 20)
    note_failure(site.folder, REASON, site.wire.clock.now - 100 * DAY)
    assert site.look() is None


@pytest.mark.parametrize("has_failed_before", [False, True])
def test_a_timer_that_does_not_run_is_named(site: Site, has_failed_before: bool) -> None:
    site.make(RENEW_DAYS + 1)
    if has_failed_before:
        site.fail_on(1)
    assert site.look(PATIENCE_DAYS * DAY_MS) is None  # it is due since six days
    words = site.look(DAY_MS)
    assert words is not None and "nothing has tried to renew it for 7 days" in words
    assert "systemctl enable --now canteen-agent-renew.timer" in words
    note_failure(site.folder, REASON, site.wire.clock.now)
    assert site.look() is None


def test_a_certificate_that_the_agent_does_not_renew_has_no_timer(site: Site) -> None:
    site.watched_by(None)
    site.make(RENEW_DAYS)
    assert site.look(2 * PATIENCE_DAYS * DAY_MS) is None


@pytest.mark.parametrize("days", [WARN_DAYS, 0])
def test_a_certificate_that_ends_soon_or_has_ended_is_a_fault_however_it_was_made(
    site: Site, days: int
) -> None:
    site.watched_by(None)
    site.make(days)
    words = site.look()
    assert words is not None and "enrol again with a new code" in words
    site.make(WARN_DAYS + 1)
    assert site.look() is None


def test_a_clock_that_is_not_set_judges_no_date(site: Site) -> None:
    site.make(0)
    certificates = Certificates(site.broker, site.folder)
    moment = site.wire.box.moment()
    certificates.step(msgspec.structs.replace(moment, trust=ClockTrust.UNSET))
    assert certificates.fault == ""
    certificates.step(msgspec.structs.replace(moment, mono_ms=moment.mono_ms + LOOK_EVERY_MS))
    assert "ended on" in certificates.fault


def test_a_missing_ca_file_is_a_fault_while_the_link_is_still_up(site: Site) -> None:
    """Children eat: the agent goes on, and the next connection would fail."""
    kept = site.ca.read_bytes()
    assert site.look() is None
    site.ca.unlink()
    words = site.look()
    assert words is not None and str(site.ca) in words
    assert "put the authority's file (ca.crt) there" in words
    assert str(site.ca).encode() in site.sent and b'"id":"certificate"' in site.sent
    site.ca.write_bytes(kept)
    assert site.look() is None


def test_a_key_that_is_not_the_certificates_is_a_fault(site: Site) -> None:
    certificate = site.own.read_text()
    site.own.write_text(new_key() + certificate[certificate.index("-----BEGIN CERT") :])
    words = site.look()
    assert words is not None and "cannot be used as certificate and key" in words


def test_a_fault_that_lasts_is_repeated_in_the_log_at_growing_intervals(site: Site) -> None:
    site.ca.unlink()
    for _ in range(60):
        site.look()
    assert len([line for line in site.caplog.messages if "Certificates: " in line]) == 4


def test_a_terminal_without_a_link_reports_it_when_the_link_is_up(site: Site) -> None:
    site.wire.disconnect()
    site.ca.unlink()
    site.look()
    (state,) = [
        effect.payload
        for effect in site.wire.box.core.turn(LinkUp(), site.wire.box.reading())
        if isinstance(effect, Publish) and effect.topic.endswith("/state")
    ]
    assert b'"id":"certificate"' in state
