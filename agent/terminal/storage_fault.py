"""What a terminal does while its file cannot be used: nothing is green, nothing is acknowledged.

Every tap is answered *out of order*. Taps are kept in memory, as tokens, and recorded when the file
works again, if the process lives until then: the child got no meal from us, and the office sees who
was there. It is the same whether the file failed during service or was never opened.
"""

import logging
from dataclasses import dataclass, field

from agent.domain.card import Token, card_token
from agent.domain.clock import Instant, Reading
from agent.domain.ledger import ChainEnd
from agent.errors import StoreError, UncertainCommitError
from agent.readers.events import CardPresented, CardUnreadable, Show, Signal
from agent.store.rows import Incident
from agent.terminal.control import Request
from agent.terminal.events import Effect, Event

RETRY_MS = 1_000  # how often a file that is held open is tried again
REOPEN_MS_MAX = 16_000  # opening one that is closed may read all of it: pauses double up to this
REPORT_EVERY_MS = 60_000  # a fault that changes every moment gets one log line a minute
KEPT_TAPS_MAX = 1_000  # two lunches of a large school; further taps are only counted

log = logging.getLogger("agent.terminal")


@dataclass(slots=True)
class StorageFault:
    """One period in which the file cannot be used.

    `reason` is the present one, `reported` the one last logged and published. `kept` are the first
    taps of it: token (None: unreadable card) and clock reading. `unknown` is an entry whose commit
    failed and could not be checked; with `unknown_is_tap`, `kept[0]` is its tap.
    """

    reason: str
    reported: str
    reported_ms: int
    tried_ms: int
    began_ms: int
    pause_ms: int = RETRY_MS
    taps: int = 0
    kept: list[tuple[Token | None, Reading]] = field(default_factory=list)
    unknown: ChainEnd | None = None
    unknown_is_tap: bool = False

    @classmethod
    def begin(cls, error: StoreError, event: Event | None, now_ms: int) -> "StorageFault":
        """Return a fault that begins now, during an event. Log it."""
        log.error("Out of order: %s", error)
        fault = cls(str(error), str(error), now_ms, now_ms, now_ms)
        if isinstance(error, UncertainCommitError):
            fault.unknown = ChainEnd(epoch=error.epoch, seq=error.seq, hash=error.digest)
            fault.unknown_is_tap = isinstance(event, CardPresented | CardUnreadable)
        return fault

    def is_news(self, error: StoreError, now_ms: int) -> bool:
        """Take the present reason.

        Return whether it is a new one that should be published; log it then.
        """
        self.reason = str(error)
        if self.reason == self.reported or now_ms - self.reported_ms < REPORT_EVERY_MS:
            return False
        self.reported, self.reported_ms = self.reason, now_ms
        log.error("Still out of order: %s", error)
        return True

    @property
    def summary(self) -> str:
        """Return one line for `systemctl status`."""
        return f"OUT OF ORDER: {self.reason}"

    def answer(self, event: Event | None, reading: Reading, card_key: bytes) -> list[Effect]:
        """Return the signal for a tap, and refuse a request."""
        if isinstance(event, CardPresented | CardUnreadable):
            self.taps += 1
            if len(self.kept) < KEPT_TAPS_MAX:
                card = event.card if isinstance(event, CardPresented) else None
                self.kept.append((card_token(card_key, card) if card else None, reading))
            return [Show(reader=event.reader, tap=event.tap, signal=Signal.OUT_OF_ORDER)]
        if isinstance(event, Request):
            event.answer(error=f"out of order: {self.reason}")
        return []

    def is_due(self, now_ms: int) -> bool:
        """Return whether the file should be tried again."""
        return now_ms - self.tried_ms >= self.pause_ms

    def trying(self, now_ms: int, *, is_closed: bool) -> None:
        """Note a try. Each try of a closed file may read all of it, so its pauses double."""
        self.tried_ms = now_ms
        self.pause_ms = min(2 * self.pause_ms, REOPEN_MS_MAX) if is_closed else RETRY_MS

    def taps_to_record(self, *, is_recorded: bool) -> list[tuple[Token | None, Reading]]:
        """Return the kept taps without the one whose entry `unknown` turned out to be recorded."""
        return self.kept[1:] if is_recorded and self.unknown_is_tap else self.kept

    def incidents(self, at: Instant, *, is_recorded: bool, taps_recorded: int) -> list[Incident]:
        """Return what to keep of it when the file works again."""
        detail = f"{self.reason}; {self.taps} taps got 'out of order', {taps_recorded} are recorded"
        incidents = [Incident(at=at, kind="store_fault", detail=detail)]
        if is_recorded and self.unknown is not None:
            detail = (
                f"entry {self.unknown.seq} is recorded, but its tap or request got"
                " 'out of order'; ask if the child ate"
            )
            incidents.insert(0, Incident(at=at, kind="unknown_commit", detail=detail))
        return incidents
