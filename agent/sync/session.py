"""When a terminal sends what to the central. Pure: no I/O, no clock, no randomness.

Rules (PROTOCOL.md, "Up: hello"):

| when | the terminal sends |
|---|---|
| connected, gap, `more`, central came up, silence, every 5 minutes | hello |
| every minute while the terminal's time is not confirmed | hello |
| a hello was answered on this connection | entries, at most 4 batches of 100 unacknowledged |
| no answer: after 2 s doubling to 5 min, with jitter | hello, entries from `acked + 1` |
| an answer to a hello whose `acked` is behind what was sent before it | entries from `acked + 1` |
| a first sign of the central after silence, while entries are unacknowledged | hello |
| nothing from the central for 15 minutes | nothing: the connection is made again |

A brake bounds the hellos: a central that answers each one with a reason for the next gets
`HELLO_BURST` at once and then one every `HELLO_EVERY_MS`. A hello for the next chunk is free.

Times are monotonic milliseconds and arguments; the jitter's randomness is an argument.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from agent.domain.ledger import ChainEnd
from agent.sync.brake import Brake
from agent.sync.messages import BATCH_ENTRIES_MAX, BATCHES_UNACKED_MAX

RETRY_FIRST_MS = 2_000
RETRY_MAX_MS = 300_000
HEARTBEAT_MS = 300_000
CONFIRM_EVERY_MS = 60_000  # while the terminal's time is not confirmed: answers tell it
RECONNECT_AFTER_MS = 900_000  # three heartbeats without an answer: the connection may be dead
HELLO_BURST = 12  # a start, a restore and two orders take fewer
HELLO_EVERY_MS = 20_000


@dataclass(frozen=True, slots=True)
class SayHello:
    """Send a hello."""


@dataclass(frozen=True, slots=True)
class SendEntries:
    """Send a batch: `count` entries from seq `first` on."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Drop the connection: it looks alive and nothing is answered."""


Action = SayHello | SendEntries | Reconnect


def all_fit(first: int, count: int) -> int:
    """Return `count`: a broker without a limit takes every batch whole."""
    return count


class Session:
    """One terminal's conversation over one link.

    `spread` returns a number in [0, 1) for the jitter.
    """

    def __init__(self, spread: Callable[[], float]) -> None:
        self._spread = spread
        self._epoch = ""
        self._acked = 0
        self._retry_ms = RETRY_FIRST_MS
        self._connected = False
        self._contact_ms = 0
        self._hello_ms = 0
        self._hello_deadline_ms: int | None
        self._heartbeat_ms: int | None
        self._batch_deadline_ms: int | None
        self._batch_ends: deque[int] = deque()
        self._sent: int
        self._sent_before_hello: int
        self.confirms_time = False  # the owner wants answers sooner, to confirm its time
        self._must_cover: int | None  # what the answer that just came must acknowledge
        self._brake = Brake(HELLO_BURST, HELLO_EVERY_MS)
        self._forget_connection()

    @property
    def is_answered(self) -> bool:
        """Return whether the central has answered a hello on this connection."""
        return self._greeted

    def silent_ms(self, now_ms: int) -> int:
        """Return for how long no message of the central was of use, on this connection."""
        return now_ms - self._contact_ms

    def link_up(self, now_ms: int) -> None:
        self._forget_connection()
        self._connected = True
        self._hello_wanted = True
        self._retry_ms = RETRY_FIRST_MS
        self._contact_ms = now_ms

    def link_down(self) -> None:
        self._forget_connection()
        self._connected = False

    def hello_again(self) -> None:
        """Send a hello even if one is unanswered: the central started, or our standing changed.

        Deadlines that grew while it was silent end.
        """
        self._hello_wanted, self._hello_deadline_ms = True, None
        self._batch_deadline_ms = None
        self._retry_ms = RETRY_FIRST_MS

    def answered(self, now_ms: int, *, more: bool, is_answer: bool = False) -> None:
        """Note a message of the central that was applied or brought nothing new.

        `more`: ask at once. `is_answer`: it answers the newest hello, so everything that was sent
        before that hello had arrived, or is lost.
        """
        self._greeted = True
        self._hello_deadline_ms = None
        self._hello_wanted = self._hello_wanted or more
        self._wants_chunk = more
        self._contact_ms = now_ms
        if is_answer:
            self._must_cover = self._sent_before_hello
        else:
            self._end_silence()

    def gap(self, *, is_answer: bool = False) -> None:
        """Note a message that does not continue our standing: a hello, unless one is out."""
        self._hello_wanted = self._hello_wanted or self._hello_deadline_ms is None
        if not is_answer:
            self._end_silence()

    def due(
        self,
        now_ms: int,
        *,
        acked: ChainEnd,
        last: int,
        fit: Callable[[int, int], int] = all_fit,
    ) -> list[Action]:
        """Return what to send now.

        `acked` is in the epoch being sent; `last` is that epoch's newest seq. `fit` returns how
        many of `count` entries from seq `first` on fit into one message of the broker.
        """
        self._follow_ledger(acked)
        if not self._connected:
            return []
        if now_ms - self._contact_ms >= RECONNECT_AFTER_MS:
            self._contact_ms = now_ms
            return [Reconnect()]
        if self._is_silent(now_ms):
            self._retry_ms = min(2 * self._retry_ms, RETRY_MAX_MS)
            self._rewind()
            self._hello_wanted, self._hello_deadline_ms = True, None
        if self.confirms_time and self._heartbeat_ms is not None:
            self._heartbeat_ms = min(self._heartbeat_ms, self._hello_ms + CONFIRM_EVERY_MS)
        if self._heartbeat_ms is not None and now_ms >= self._heartbeat_ms:
            self._hello_wanted = True
        return [*self._hello(now_ms), *self._batches(now_ms, last, fit)]

    def wake_ms(self, now_ms: int) -> int | None:
        """Return in how many milliseconds `due` may have an action without an event."""
        # No heartbeat while a hello is unanswered.
        heartbeat_ms = self._heartbeat_ms if self._hello_deadline_ms is None else None
        # After `due`, a hello that is wanted waits for the brake.
        is_braked = self._hello_wanted and self._hello_deadline_ms is None
        braked_ms = now_ms + self._brake.wait_ms(now_ms) if is_braked else None
        deadlines = (self._hello_deadline_ms, self._batch_deadline_ms, heartbeat_ms, braked_ms)
        times = [deadline for deadline in deadlines if deadline is not None]
        if not self._connected or not times:
            return None
        return max(0, min(*times, self._contact_ms + RECONNECT_AFTER_MS) - now_ms)

    def _hello(self, now_ms: int) -> list[Action]:
        if not self._hello_wanted or self._hello_deadline_ms is not None:
            return []
        if not self._wants_chunk and not self._brake.take(now_ms):
            return []
        self._hello_wanted = self._wants_chunk = False
        self._hello_deadline_ms = now_ms + self._jittered()
        self._hello_ms, self._heartbeat_ms = now_ms, now_ms + HEARTBEAT_MS
        self._sent_before_hello = self._sent
        return [SayHello()]

    def _batches(self, now_ms: int, last: int, fit: Callable[[int, int], int]) -> list[Action]:
        actions: list[Action] = []
        while self._greeted and len(self._batch_ends) < BATCHES_UNACKED_MAX and self._sent < last:
            count = fit(self._sent + 1, min(BATCH_ENTRIES_MAX, last - self._sent))
            if count == 0:
                break  # not even one fits: the owner says so
            actions.append(SendEntries(self._sent + 1, count))
            self._sent += count
            self._batch_ends.append(self._sent)
        if self._batch_ends and self._batch_deadline_ms is None:
            self._batch_deadline_ms = now_ms + self._jittered()
        return actions

    def _follow_ledger(self, acked: ChainEnd) -> None:
        must_cover, self._must_cover = self._must_cover, None
        if acked.epoch != self._epoch or acked.seq < self._acked:
            # A new epoch, or a central that lost what it had booked.
            self._epoch, self._acked = acked.epoch, acked.seq
            self._rewind()
            self._hello_wanted = self._hello_wanted or self._connected
            return
        if acked.seq > self._acked:
            self._acked = acked.seq
            self._sent = max(self._sent, acked.seq)
            while self._batch_ends and self._batch_ends[0] <= acked.seq:
                self._batch_ends.popleft()
            self._retry_ms = RETRY_FIRST_MS
            self._batch_deadline_ms = None
        if must_cover is not None and acked.seq < min(must_cover, self._sent):
            self._rewind()  # lost behind a standing link: a bridge, a full queue

    def _end_silence(self) -> None:
        """After silence, ask at once what arrived: the retry deadline may be minutes away."""
        if self._batch_ends and self._retry_ms > RETRY_FIRST_MS:
            self._hello_wanted, self._hello_deadline_ms = True, None

    def _is_silent(self, now_ms: int) -> bool:
        deadlines = (self._hello_deadline_ms, self._batch_deadline_ms)
        return any(deadline is not None and now_ms >= deadline for deadline in deadlines)

    def _rewind(self) -> None:
        self._sent = self._acked
        self._sent_before_hello = min(self._sent_before_hello, self._sent)
        self._batch_ends.clear()
        self._batch_deadline_ms = None

    def _forget_connection(self) -> None:
        self._greeted = False
        self._hello_wanted = self._wants_chunk = False
        self._hello_deadline_ms = None
        self._heartbeat_ms = None
        self._sent_before_hello = 0
        self._must_cover = None
        self._rewind()

    def _jittered(self) -> int:
        return int(self._retry_ms * (1 + 0.5 * self._spread()))
