"""One thread a reader: it serves its reader, survives its loss, and comes back without being asked.

Promises: one `ReaderDown` when the reader goes and one `ReaderUp` when it is back, however many attempts lie between. A reader that hangs
in a call is reported within `STUCK_MS` and a turn of the main loop, left behind, and served anew by a fresh thread; one that floods is not
listened to until it is quiet. A reader that raises anything but `ReaderError` is a bug and ends the process (`app.py` sees
to the threads' last words).
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from agent.domain.card import CardId
from agent.errors import ReaderError
from agent.readers.events import CardPresented, CardUnreadable, ReaderEvent, Signal, SignalFailed
from agent.readers.faults import SENTENCES
from agent.readers.health import Health
from agent.readers.identity import Seen
from agent.readers.presence import Presence

RETRY_FIRST_S = 0.2
RETRY_MAX_S = 5.0
SIGNALS_MAX = 16
SIGNAL_SOON_MS = (
    300  # the main loop answers in milliseconds; after this the child sees that it is to wait
)
SIGNAL_LATE_MS = (
    5_000  # as long as a slow SD card may take to flush; then the card may leave without a signal
)
STUCK_MS = 3_000  # the main loop looks once a second: a hang is known within five
LEFT_BEHIND_MAX = 2  # threads that hang at once; more would only hang as well
FLOOD_TAPS = 20  # at once; a class that storms the counter has fewer cards in a second
FLOOD_TAPS_PER_S = 10
TRAFFIC = 5  # log level of raw bytes, which identify a child: only on demand, and said when it is switched on

log = logging.getLogger("agent.readers")


class Reader(Protocol):
    """A reader model's way of being read."""

    def serve(self, channel: "Channel") -> None:
        """Read until `channel.stopping`; call `channel.up` when it can; raise `ReaderError` when the reader goes."""


class Recorder(Protocol):
    """Keeps what goes over a wire (`agent/readers/trace.py`)."""

    def note(self, now_ms: int, mark: str, data: bytes) -> None:
        """Keep one thing that happened: `open`, `<` received, `>` sent, `card` with its ATR, `mute`, `gone`, `show` with a signal."""


class Channel:
    """What a reader may do while it serves: say it is up, report what it sees, get the signals for it, and whether to stop."""

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
        self._signals: queue.Queue[tuple[int, Signal]] = queue.Queue(maxsize=SIGNALS_MAX)
        self._stop = threading.Event()
        self._wake: Callable[[], None] = lambda: None
        self.calling_since_ms: int | None = None
        self.taps = 0
        self._waits_since_ms: int | None = None
        self._told_to_wait = False
        self._allowance, self._allowed_ms = float(FLOOD_TAPS), 0

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def now_ms(self) -> int:
        """Return monotonic milliseconds, for presence and gaps."""
        return time.monotonic_ns() // 1_000_000

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call into a driver, which may never come back: the main loop watches."""
        self.calling_since_ms = self.now_ms()
        try:
            return function(*arguments)
        finally:
            self.calling_since_ms = None

    def wake_by(self, wake: Callable[[], None]) -> None:
        """Let `wake` be called, from another thread, when a signal has come or the reader is to stop."""
        self._wake = wake

    def up(self, place: str) -> None:
        """Say that the reader can be read."""
        if not self.stopping:
            self._health.served(place, self.now_ms())

    def lost(self, reason: str) -> bool:
        """Say that the reader cannot be read any more. Return whether it could for a while."""
        return not self.stopping and self._health.lost(reason, self.now_ms())

    def saw(self, shown: Seen) -> bool:
        """Report what lies before the reader; return whether it is a tap, for which a signal will come."""
        if (
            shown is None or self.stopping
        ):  # stopping: left behind, somebody else speaks for this reader now
            return False
        now_ms = self.now_ms()
        if self._health.is_doubted and self._health.is_flooding(now_ms):
            return False
        if not self._presence.is_tap(shown, now_ms) or self._floods(now_ms):
            return False
        if self._health.is_doubted:
            self._health.read_a_card()
        self.taps += 1
        self._waits_since_ms, self._told_to_wait = now_ms, False
        if isinstance(shown, CardId):
            self._emit(CardPresented(reader=self.name, card=shown, tap=self.taps))
        else:
            self._emit(
                CardUnreadable(
                    reader=self.name, fault=shown.value, sentence=SENTENCES[shown], tap=self.taps
                )
            )
        return True

    @property
    def is_waiting(self) -> bool:
        """Return whether the newest tap has no signal yet and may still get one."""
        return (
            self._waits_since_ms is not None
            and self.now_ms() - self._waits_since_ms < SIGNAL_LATE_MS
        )

    def signal(self, wait_s: float = 0) -> Signal | None:
        """Return the signal for the newest tap: *wait*, once, when it is late; None when there is none yet. Earlier taps' are dropped."""
        deadline = time.monotonic() + wait_s
        while self._waits_since_ms is not None:
            try:
                answered, signal = self._signals.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if answered == self.taps:
                self._waits_since_ms = None
                self.note("show", signal.value.encode("ascii"))
                return signal
        if (
            self.is_waiting
            and not self._told_to_wait
            and self.now_ms() - (self._waits_since_ms or 0) >= SIGNAL_SOON_MS
        ):
            self._told_to_wait = True
            self.note("show", Signal.WAIT.value.encode("ascii"))
            return Signal.WAIT
        return None

    def signal_failed(self, reason: str) -> None:
        if not self.stopping:
            self._emit(SignalFailed(reader=self.name, reason=reason))

    def note(self, mark: str, data: bytes = b"", at_ms: int | None = None) -> None:
        """Let what goes over the wire be seen by whoever asked to. `at_ms` is the time that was reckoned with."""
        if log.isEnabledFor(TRAFFIC):
            log.log(TRAFFIC, "reader '%s' %s %s", self.name, mark, data.hex(" "))
        if self._recorder is not None:
            self._recorder.note(self.now_ms() if at_ms is None else at_ms, mark, data)

    def show(self, tap: int, signal: Signal) -> None:
        """Called by the main loop; never waits."""
        try:
            self._signals.put_nowait((tap, signal))
        except queue.Full:
            pass  # a reader that shows nothing, or has not waited for long
        self._wake()

    def stop(self) -> None:
        self._stop.set()
        self._wake()

    def pause(self, seconds: float) -> None:
        self._stop.wait(seconds)

    def _floods(self, now_ms: int) -> bool:
        self._allowance = min(
            FLOOD_TAPS, self._allowance + (now_ms - self._allowed_ms) * FLOOD_TAPS_PER_S / 1000
        )
        self._allowed_ms = now_ms
        if self._allowance >= 1:
            self._allowance -= 1
            return False
        self._health.floods(
            f"floods: more than {FLOOD_TAPS_PER_S} cards a second; it is not listened to until it is quiet",
            now_ms,
        )
        return True


class ReaderThread:
    """A reader's thread, and the next one when it hangs."""

    def __init__(
        self,
        name: str,
        reader: Reader,
        emit: Callable[[ReaderEvent], object],
        presence: Presence,
        recorder: Recorder | None = None,
    ) -> None:
        self.name = name
        self._reader = reader
        self._left_behind: list[threading.Thread] = []
        self._health = Health(name, emit)
        self._new_channel: Callable[[], Channel] = partial(
            Channel, name, emit, self._health, presence, recorder
        )
        self.channel = self._new_channel()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(
            target=self._run, args=(self.channel,), name=f"reader-{self.name}", daemon=True
        )
        self._thread.start()

    def show(self, tap: int, signal: Signal) -> None:
        self.channel.show(tap, signal)

    def show_out_of_order(self) -> None:
        """Tell whoever taps just now that there is no answer."""
        self.channel.show(self.channel.taps, Signal.OUT_OF_ORDER)

    def watch(self) -> None:
        """Called by the main loop at least each second: see to a reader that hangs in a call, or that has stopped flooding."""
        channel, now_ms = self.channel, self.channel.now_ms()
        self._health.settle(now_ms)
        self._left_behind = [thread for thread in self._left_behind if thread.is_alive()]
        since_ms = channel.calling_since_ms
        if since_ms is None or now_ms - since_ms < STUCK_MS:
            if not self._left_behind:
                self._health.hangs_no_more()
            return
        is_left = len(self._left_behind) < LEFT_BEHIND_MAX
        self._health.hangs(
            f"hangs in its driver since {(now_ms - since_ms) / 1000:.1f} s; tried anew",
            is_left=is_left,
        )
        if is_left:
            channel.stop()
            assert self._thread is not None
            self._left_behind.append(self._thread)
            self.channel = self._new_channel()
            self.channel.taps = channel.taps
            self.start()

    def end(self) -> None:
        """Ask the thread to end."""
        self.channel.stop()

    def stop(self) -> None:
        """Ask the thread to end and wait for it a moment; a reader that hangs does not hold up the process."""
        self.end()
        if self._thread is not None:
            self._thread.join(timeout=3)

    def _run(self, channel: Channel) -> None:
        delay_s = RETRY_FIRST_S
        while not channel.stopping:
            try:
                self._reader.serve(channel)
            except ReaderError as error:
                delay_s = (
                    RETRY_FIRST_S if channel.lost(str(error)) else min(2 * delay_s, RETRY_MAX_S)
                )
                channel.pause(delay_s)
