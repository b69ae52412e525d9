"""One thread a reader: it serves its device, survives its loss, and comes back without being asked.

Promises: one `ReaderDown` when the device goes and one `ReaderUp` when it is back, however many attempts lie between; a
device that raises anything but `ReaderError` is a bug and ends the process (`app.py` sees to the threads' last words).
"""

import queue
import threading
import time
from collections.abc import Callable
from typing import Protocol

from agent.errors import ReaderError
from agent.readers.events import CardPresented, CardUnreadable, ReaderDown, ReaderEvent, ReaderUp, Signal

RETRY_FIRST_S = 0.2
RETRY_MAX_S = 5.0
SIGNALS_MAX = 16


class Device(Protocol):
    """A reader model's way of being read."""

    def serve(self, line: "Line") -> None:
        """Read until `line.stopping`; call `line.up` when it can; raise `ReaderError` when the device goes."""


class Line:
    """What a device may do: say it is up, report taps and get their signals, ask whether to stop and what time it is."""

    def __init__(self, name: str, emit: Callable[[ReaderEvent], object]) -> None:
        self._name = name
        self._emit = emit
        self._signals: queue.Queue[tuple[int, Signal]] = queue.Queue(maxsize=SIGNALS_MAX)
        self.taps = 0
        self._stop = threading.Event()
        self.is_up = False

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def now_ms(self) -> int:
        """Return monotonic milliseconds, for presence and gaps."""
        return time.monotonic_ns() // 1_000_000

    def up(self, device: str) -> None:
        self.is_up = True
        self._emit(ReaderUp(reader=self._name, device=device))

    def next_tap(self) -> int:
        """Return the number of a tap that begins now."""
        self.taps += 1
        return self.taps

    def report(self, event: CardPresented | CardUnreadable) -> None:
        """Report a tap and go on: for readers that cannot show anything."""
        self._emit(event)

    def signal(self, tap: int, wait_s: float) -> Signal | None:
        """Return the signal for a tap, None when none came in time. Signals for earlier taps are too late and dropped."""
        deadline = time.monotonic() + wait_s
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                answered, signal = self._signals.get(timeout=left_s)
            except queue.Empty:
                return None
            if answered == tap:
                return signal
        return None

    def show(self, tap: int, signal: Signal) -> None:
        """Called by the main loop; never waits."""
        try:
            self._signals.put_nowait((tap, signal))
        except queue.Full:
            pass  # a reader that shows nothing, or has not waited for long

    def stop(self) -> None:
        self._stop.set()

    def down(self, reason: str) -> None:
        self.is_up = False
        self._emit(ReaderDown(reader=self._name, reason=reason))

    def pause(self, seconds: float) -> None:
        self._stop.wait(seconds)


class ReaderThread:
    """A reader's thread."""

    def __init__(self, name: str, device: Device, emit: Callable[[ReaderEvent], object]) -> None:
        self.name = name
        self._device = device
        self.line = Line(name, emit)
        self._thread = threading.Thread(target=self._run, name=f"reader-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def show(self, tap: int, signal: Signal) -> None:
        self.line.show(tap, signal)

    def show_out_of_order(self) -> None:
        """Tell whoever taps just now that there is no answer."""
        self.line.show(self.line.taps, Signal.OUT_OF_ORDER)

    def stop(self) -> None:
        """Ask the thread to end and wait for it a moment; a device that hangs does not hold up the process."""
        self.line.stop()
        self._thread.join(timeout=3)

    def _run(self) -> None:
        delay_s, announced = RETRY_FIRST_S, False
        while not self.line.stopping:
            try:
                self._device.serve(self.line)
            except ReaderError as error:
                if self.line.is_up or not announced:
                    delay_s, announced = RETRY_FIRST_S, True
                    self.line.down(str(error))
                self.line.pause(delay_s)
                delay_s = min(2 * delay_s, RETRY_MAX_S)
