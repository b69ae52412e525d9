"""One thread for each reader: it runs the reader, survives its loss, and connects again by itself.

Promises: one `ReaderDown` when the reader is lost and one `ReaderUp` when it is back, however many
attempts are in between. A reader that blocks in a driver call is reported within `STUCK_MS` and one
turn of the main loop; its thread is abandoned and a new one runs the reader. A reader that floods
is ignored until it is quiet. Any exception but `ReaderError` is a bug and ends the process: the
main loop raises what a thread left behind (`terminal/process.py`).
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol

from tenacity import Retrying, retry_if_exception_type, wait_exponential

from agent.errors import ReaderError
from agent.readers.channel import Channel, Recorder
from agent.readers.events import ReaderEvent, Signal
from agent.readers.health import Health
from agent.readers.presence import Presence

RETRY_FIRST_S = 0.2
RETRY_MAX_S = 5.0
# The main loop checks once a second, so a blocked reader is reported within five seconds.
STUCK_MS = 3_000
# Threads of one reader that may be blocked at once. More would only block as well.
LEFT_BEHIND_MAX = 2
# How long a stopping process waits for a reader's thread, which may be blocked.
STOP_S_MAX = 3


class Reader(Protocol):
    """How the readers of one model are read."""

    def run(self, channel: Channel) -> None:
        """Read until `channel.stopping`. Call `channel.up` when the reader can be read.

        Raise `ReaderError` when the reader is lost.
        """


def run_until_stopped(reader: Reader, channel: Channel) -> None:
    """Run a reader, and run it again whenever it is lost, until `channel.stopping`.

    The pause doubles from `RETRY_FIRST_S` to `RETRY_MAX_S`, and starts again at `RETRY_FIRST_S`
    after a steady connection.
    """
    attempts = Retrying(
        retry=retry_if_exception_type(ReaderError),
        wait=wait_exponential(multiplier=RETRY_FIRST_S, max=RETRY_MAX_S),
        sleep=channel.pause,
        stop=lambda _: channel.stopping,
        retry_error_callback=lambda _: None,
    )
    while not channel.stopping:
        attempts(_run_once, reader, channel)
        channel.pause(RETRY_FIRST_S)


def _run_once(reader: Reader, channel: Channel) -> None:
    """Run a reader until it is lost. Raise `ReaderError` unless its connection was steady."""
    if channel.stopping:  # during the pause
        return
    try:
        reader.run(channel)
    except ReaderError as error:
        if not channel.down(str(error)):
            raise


class ReaderThread:
    """The thread of one reader, and the next thread when that one blocks."""

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
        self._presence = presence
        self._left_behind: list[threading.Thread] = []
        self._health = Health(name, emit)
        self._new_channel: Callable[[], Channel] = partial(
            Channel, name, emit, self._health, presence, recorder
        )
        self.channel = self._new_channel()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(
            target=run_until_stopped,
            args=(self._reader, self.channel),
            name=f"reader-{self.name}",
            daemon=True,
        )
        self._thread.start()

    def show(self, tap: int, signal: Signal) -> None:
        self.channel.show(tap, signal)

    def show_out_of_order(self) -> None:
        """Show *out of order* for the newest tap: the process stops and nothing will answer it."""
        self.channel.show(self.channel.taps, Signal.OUT_OF_ORDER)

    def watch(self) -> None:
        """Detect a blocked driver call and the end of a flood.

        The main loop calls this at least once a second.
        """
        channel, now_ms = self.channel, self.channel.now_ms()
        self._health.settle(now_ms)
        self._left_behind = [thread for thread in self._left_behind if thread.is_alive()]
        since_ms = channel.calling_since_ms
        if since_ms is None or now_ms - since_ms < STUCK_MS:
            if not self._left_behind:
                self._health.unblocked()
            return
        is_abandoned = len(self._left_behind) < LEFT_BEHIND_MAX
        blocked_s = (now_ms - since_ms) / 1000
        self._health.blocked(
            f"blocked in a driver call for {blocked_s:.1f} s; the reader is started again",
            is_abandoned=is_abandoned,
        )
        if is_abandoned:
            channel.stop()
            self._presence.lost(since_ms)
            assert self._thread is not None
            self._left_behind.append(self._thread)
            self.channel = self._new_channel()
            self.channel.taps = channel.taps
            self.start()

    def end(self) -> None:
        """Ask the thread to end."""
        self.channel.stop()

    def stop(self) -> None:
        """Ask the thread to end and wait for it, at most `STOP_S_MAX`."""
        self.end()
        if self._thread is not None:
            self._thread.join(timeout=STOP_S_MAX)
