"""Which message the broker answers: topics by packet number.

A broker may answer before `publish` has returned the number to its caller, so answers to numbers
that are not known yet are kept. The lock is held only around the tables, never around a publish:
the network thread holds a lock of its own while it reports an answer.
"""

import threading


class InFlight:
    """Messages that were handed to the network and are not answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._topics: dict[int, str] = {}
        self._early: dict[int, int] = {}  # answers that came before `sent`

    def sent(self, number: int, topic: str) -> int | None:
        """Note a message; return its reason code if the broker has answered it already."""
        with self._lock:
            code = self._early.pop(number, None)
            if code is None:
                self._topics[number] = topic
            return code

    def answered(self, number: int, code: int) -> str | None:
        """Return the topic that an answer is about; None if `sent` is still to come for it."""
        with self._lock:
            topic = self._topics.pop(number, None)
            if topic is None:
                self._early[number] = code
            return topic
