"""Watches the files for TLS, and whether the own certificate is renewed in time.

A link that is up needs no file until it falls, and a certificate that is not renewed is good for
months. So both are looked at while they still work: the fault is known before messages wait.
"""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.domain.clock import ClockTrust, Moment, parse_instant
from agent.sync.brake import Reminder
from agent.sync.broker import Broker
from agent.terminal.renewal import RENEW_DAYS, failed_tries

LOOK_EVERY_MS = 10_000
PATIENCE_DAYS = 7
"""A renewal that fails on fewer days is no fault: a school's network is down for three."""
_DAY_MS = 86_400_000
_TRY = "see why: sudo systemctl start canteen-agent-renew; journalctl -u canteen-agent-renew"
_TIMER = "sudo systemctl enable --now canteen-agent-renew.timer"

log = logging.getLogger("agent.link")


class Certificates:
    """The files of one broker. `fault` is a sentence, empty while all is well.

    `renewed_in` is the folder where the renewal leaves its failures, None where nobody renews.
    """

    def __init__(self, broker: Broker | None = None, renewed_in: Path | None = None) -> None:
        self._broker = broker
        self._renewed_in = renewed_in
        self._looked_ms: int | None = None
        self._reminder = Reminder()
        self._reported = ""
        self.fault = ""

    def step(self, moment: Moment) -> None:
        """Look at the files when that is due."""
        if self._broker is None:
            return
        if self._looked_ms is not None and moment.mono_ms - self._looked_ms < LOOK_EVERY_MS:
            return
        self._looked_ms = moment.mono_ms
        fault = self._broker.files_fault() or self._date_fault(self._broker, moment)
        if self.fault and not fault:
            log.info("Certificates: all is well again.")
            self._reminder.reset()
        if fault and self._reminder.is_due(moment.mono_ms, fault):
            log.warning("Certificates: %s.", fault)
        self.fault = fault

    def is_news(self) -> bool:
        """Return whether the fault is another than at the last call."""
        was, self._reported = self._reported, self.fault
        return was != self._reported

    def _date_fault(self, broker: Broker, moment: Moment) -> str:
        """Return why the own certificate will not do for long, empty if it does."""
        end = broker.certificate_end()
        if end is None or moment.trust is ClockTrust.UNSET:
            return ""
        now = parse_instant(moment.at)
        late = self._late(end, now, moment.mono_ms)
        sentence = broker.expired(now) or broker.expires_soon(now)
        if sentence is None and late:
            sentence = f"the own certificate ends on {end:%Y-%m-%d}"
        return "; ".join(filter(None, (late, sentence)))

    def _late(self, end: datetime, now: datetime, uptime_ms: int) -> str:
        """Return why a renewal that was due for days did not come, empty if it is not late."""
        if self._renewed_in is None or end - now > timedelta(days=RENEW_DAYS):
            return ""
        tries, patience = failed_tries(self._renewed_in), timedelta(days=PATIENCE_DAYS)
        if tries is not None and tries.days >= PATIENCE_DAYS:
            return f"its renewal failed on {tries.days} days, last: {tries.reason}; {_TRY}"
        # A machine that was off tried nothing. This one was on for days, and nothing tried.
        has_tried = tries is not None and now - _day(tries.last_day) < patience
        is_due_long = end - now <= timedelta(days=RENEW_DAYS - PATIENCE_DAYS)
        if not has_tried and is_due_long and uptime_ms >= PATIENCE_DAYS * _DAY_MS:
            return f"nothing has tried to renew it for {PATIENCE_DAYS} days; {_TIMER}"
        return ""


def _day(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
