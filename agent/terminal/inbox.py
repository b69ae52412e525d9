"""The one queue of the main loop: bounded, taps before everything else."""

import logging
import threading
from collections import deque

from agent.readers.events import CardPresented, CardUnreadable, ReaderDown, ReaderUp
from agent.terminal.events import Event

TAPS_MAX = 64  # far more than readers can send before a loop that answers in milliseconds
# The broker has at most RECEIVE_MAX (sync/mqtt.py) messages in flight to us; the rest is reader
# states and requests. MQTT 3.1.1 has no such bound: a dropped message is not acknowledged, so the
# broker sends it again.
OTHERS_MAX = 256

log = logging.getLogger("agent.inbox")


class Inbox:
    """A full queue drops the newest event, counts it, and logs the first one.

    `ReaderUp` and `ReaderDown` are never dropped: a reader sends each only once.
    """

    def __init__(self) -> None:
        self._taps: deque[Event] = deque()
        self._others: deque[Event] = deque()
        self._filled = threading.Condition()
        self._closed = False
        self.dropped = 0

    def put(self, event: Event) -> bool:
        """Enqueue and return True, or drop and return False. Never waits."""
        is_tap = isinstance(event, CardPresented | CardUnreadable)
        queue, limit = (self._taps, TAPS_MAX) if is_tap else (self._others, OTHERS_MAX)
        with self._filled:
            if len(queue) >= limit and not isinstance(event, ReaderUp | ReaderDown):
                self.dropped += 1
                if self.dropped == 1:
                    log.error("Queue full (%d events): further events are dropped.", limit)
                return False
            queue.append(event)
            self._filled.notify()
        return True

    def get(self, timeout_ms: int) -> Event | None:
        """Return the next event, None when none came in time or the inbox is closed."""
        with self._filled:
            is_empty = not (self._taps or self._others or self._closed)
            if is_empty and timeout_ms > 0:
                self._filled.wait(timeout_ms / 1000)
            queue = self._taps or self._others
            return queue.popleft() if queue else None

    def close(self) -> None:
        with self._filled:
            self._closed = True
            self._filled.notify()
