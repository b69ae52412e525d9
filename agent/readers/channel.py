"""What a running reader may do: report that it is up or down and what it detects, take signals.

The reader's thread owns the channel. The main loop hands in signals (`show`) and looks at the time
of a driver call; another thread may stop the reader.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar, TypeVarTuple

from agent.domain.card import CardId
from agent.readers.events import CardPresented, CardUnreadable, ReaderEvent, Signal, SignalFailed
from agent.readers.faults import SENTENCES
from agent.readers.health import Health
from agent.readers.identity import Detection
from agent.readers.presence import Look, Presence

# Signals that wait for the reader's thread. More are dropped: their taps are long over.
SIGNALS_MAX = 16
# The main loop answers in milliseconds. After this time the child sees *wait*.
SIGNAL_SOON_MS = 300
# A slow SD card may take this long to flush. After this time the card may leave without a signal.
SIGNAL_LATE_MS = 5_000
# Taps at once. A class that storms the counter has fewer cards in a second.
FLOOD_TAPS = 20
FLOOD_TAPS_PER_S = 10
# Log level of the raw bytes, which identify a child. Only `-vv` sets it, and the log says so then.
TRAFFIC = 5

log = logging.getLogger("agent.readers")

_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")


class Recorder(Protocol):
    """Keeps the traffic of a reader's wire (`agent/readers/trace.py`)."""

    def add(self, now_ms: int, mark: str, data: bytes) -> None:
        """Keep one line. `mark` is one of `trace.MARKS`."""


class _Answer(NamedTuple):
    """A signal, and the tap that it answers."""

    tap: int
    signal: Signal


class Channel:
    """The connection of one reader to the main loop."""

    def __init__(
        self,
        name: str,
        emit: Callable[[ReaderEvent], object],
        health: Health,
        presence: Presence,
        recorder: Recorder | None = None,
    ) -> None:
        self.name = name
        self._emit = emit
        self._health = health
        self._presence = presence
        self._recorder = recorder
        self._answers: queue.Queue[_Answer] = queue.Queue(maxsize=SIGNALS_MAX)
        self._stop = threading.Event()
        self._wake: Callable[[], None] = lambda: None
        self.calling_since_ms: int | None = None
        self.taps = 0
        self._tapped: dict[int, Detection] = {}  # without a signal yet
        self._repeated: Signal | None = None  # of a presence that had its signal
        self._unanswered_since_ms: int | None = None
        self._has_shown_wait = False
        self._allowed_taps, self._allowed_ms = float(FLOOD_TAPS), 0

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def now_ms(self) -> int:
        """Return monotonic milliseconds, for presence and gaps."""
        return time.monotonic_ns() // 1_000_000

    def call(self, function: Callable[[*_Arguments], _Result], *arguments: *_Arguments) -> _Result:
        """Call into a driver, which may never return: the main loop watches the time."""
        self.calling_since_ms = self.now_ms()
        try:
            return function(*arguments)
        finally:
            self.calling_since_ms = None

    def wake_by(self, wake: Callable[[], None]) -> None:
        """Set what another thread calls when a signal has come, or when the reader must stop."""
        self._wake = wake

    def up(self, location: str) -> None:
        """The reader can be read, at a PC/SC name or a device path."""
        if not self.stopping:
            self._presence.back(self.now_ms())
            self._health.connected(location, self.now_ms())

    def warned(self, warning: str) -> None:
        """Something disturbs the reader, which can be read; empty: nothing does any more."""
        if not self.stopping:
            self._health.warned(warning)

    def down(self, reason: str) -> bool:
        """The reader cannot be read any more. Return whether its connection had been steady."""
        if self.stopping:
            return False
        self._presence.lost(self.now_ms())
        return self._health.disconnected(reason, self.now_ms())

    def report(self, detection: Detection) -> bool:
        """Report a detection, or None when nothing is at the reader.

        Return whether a signal answers it: that of a new tap, or the first one of its presence.
        """
        # An abandoned thread reports nothing: the new one reports for this reader.
        if self.stopping:
            return False
        now_ms = self.now_ms()
        if detection is None:
            self._presence.look(None, now_ms)
            return False
        if self._health.is_suspect and self._health.extend_flood(now_ms):
            return False
        look = self._presence.look(detection, now_ms)
        if look is Look.NOTHING or (look is Look.TAP and self._floods(now_ms)):
            return False
        if self._health.is_suspect:
            self._health.card_read()
        if look is Look.AGAIN:
            return self._repeat(detection)
        self.taps += 1
        self._tapped[self.taps], self._repeated = detection, None
        self._tapped.pop(self.taps - SIGNALS_MAX, None)
        self._unanswered_since_ms, self._has_shown_wait = now_ms, False
        if isinstance(detection, CardId):
            self._emit(CardPresented(reader=self.name, card=detection, tap=self.taps))
        else:
            self._emit(
                CardUnreadable(
                    reader=self.name,
                    fault=detection.value,
                    sentence=SENTENCES[detection],
                    tap=self.taps,
                )
            )
        return True

    def _repeat(self, detection: Detection) -> bool:
        """Show the first signal of a presence again. Return whether it had one.

        No other signal follows: what an earlier tap still waits for is not shown on this card.
        """
        signal = self._presence.signal_of(detection)
        if signal is None:
            return False
        self._repeated, self._unanswered_since_ms = signal, None
        return True

    @property
    def is_waiting(self) -> bool:
        """Return whether a signal is to be shown, or the newest tap may still get one."""
        return self._repeated is not None or (
            self._unanswered_since_ms is not None
            and self.now_ms() - self._unanswered_since_ms < SIGNAL_LATE_MS
        )

    def next_signal(self, wait_s: float = 0) -> Signal | None:
        """Return the signal for the newest look or tap, or None when there is none yet.

        Returns *wait* once, when the signal is late. Signals for earlier taps are dropped.
        """
        if self._repeated is not None:
            signal, self._repeated = self._repeated, None
            self.trace("show", signal.value.encode("ascii"))
            return signal
        deadline = time.monotonic() + wait_s
        while self._unanswered_since_ms is not None:
            try:
                answer = self._answers.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if answer.tap == self.taps:
                self._unanswered_since_ms = None
                self.trace("show", answer.signal.value.encode("ascii"))
                return answer.signal
        if (
            self.is_waiting
            and not self._has_shown_wait
            and self.now_ms() - (self._unanswered_since_ms or 0) >= SIGNAL_SOON_MS
        ):
            self._has_shown_wait = True
            self.trace("show", Signal.WAIT.value.encode("ascii"))
            return Signal.WAIT
        return None

    def signal_failed(self, reason: str) -> None:
        """The reader did not show a signal. `reason` contains no byte that the reader sent."""
        if not self.stopping:
            self._emit(SignalFailed(reader=self.name, reason=reason))

    def trace(self, mark: str, data: bytes = b"", at_ms: int | None = None) -> None:
        """Hand traffic of the wire to the log at level `TRAFFIC`, and to the recorder.

        `at_ms` is the time that the reader's code used, where it matters for a replay.
        """
        if log.isEnabledFor(TRAFFIC):
            log.log(TRAFFIC, "Reader '%s' %s %s", self.name, mark, data.hex(" "))
        if self._recorder is not None:
            self._recorder.add(self.now_ms() if at_ms is None else at_ms, mark, data)

    def show(self, tap: int, signal: Signal) -> None:
        """Hand over a signal. The main loop calls this; it never waits."""
        detection = self._tapped.pop(tap, None)
        if detection is not None:
            self._presence.answered(detection, signal)
        try:
            self._answers.put_nowait(_Answer(tap, signal))
        except queue.Full:
            pass  # the reader has no lights and takes none, or its thread is blocked
        self._wake()

    def stop(self) -> None:
        """Make the reader stop soon."""
        self._stop.set()
        self._wake()

    def pause(self, seconds: float) -> None:
        """Wait. Returns at once when the reader must stop."""
        self._stop.wait(seconds)

    def _floods(self, now_ms: int) -> bool:
        gained = (now_ms - self._allowed_ms) * FLOOD_TAPS_PER_S / 1000
        self._allowed_taps = min(FLOOD_TAPS, self._allowed_taps + gained)
        self._allowed_ms = now_ms
        if self._allowed_taps >= 1:
            self._allowed_taps -= 1
            return False
        reason = (
            f"floods: more than {FLOOD_TAPS_PER_S} cards a second; ignored until it is quiet;"
            " check the reader's wiring and settings"
        )
        self._health.flooding(reason, now_ms)
        return True
