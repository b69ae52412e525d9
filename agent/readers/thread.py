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
from agent.readers.events import ReaderDown, ReaderEvent, ReaderUp, Signal

RETRY_FIRST_S = 0.2
RETRY_MAX_S = 5.0


class Device(Protocol):
    """A reader model's way of being read."""

    def serve(self, line: "Line") -> None:
        """Read until `line.stopping`; call `line.up` when it can; raise `ReaderError` when the device goes."""


class Line:
    """What a device may do: say it is up, report a tap and get its signal, ask whether to stop and what time it is."""

    def __init__(self, name: str, emit: Callable[[ReaderEvent], object]) -> None:
        self._name = name
        self._emit = emit
        self._signals: queue.Queue[Signal] = queue.Queue(maxsize=1)
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

    def tap(self, event: ReaderEvent, signal_wait_s: float) -> Signal | None:
        """Report a tap and return the signal to show, None when none came in time (0: the reader cannot show any)."""
        while not self._signals.empty():  # an answer that came too late for the tap before
            self._signals.get_nowait()
        self._emit(event)
        if signal_wait_s == 0:
            return None
        try:
            return self._signals.get(timeout=signal_wait_s)
        except queue.Empty:
            return None

    def show(self, signal: Signal) -> None:
        """Called by the main loop; never waits."""
        try:
            self._signals.put_nowait(signal)
        except queue.Full:
            pass  # nobody waits for it

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

    def show(self, signal: Signal) -> None:
        self.line.show(signal)

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
