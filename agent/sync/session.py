"""The terminal's side of the conversation: what to say now, and what a message of the central means here.

Rules (PROTOCOL.md, "Up: hello" and "Down: changes"):
- hello on connecting, on a gap, when `more` was true, after silence, when the central comes up, and every 5 minutes;
- entries only after the central has answered a hello on this connection, at most 4 batches of 100 unacknowledged, from
  `acked + 1` again after silence, 2 s doubling to 5 min with jitter, without limit;
- a message of another generation is taken only from position 0 with `reset`, and only if it `replaces` the one we hold; one
  from beyond our position is a gap and changes nothing; one that ends before it is old and changes nothing.

No I/O, no clock, no randomness: times are monotonic milliseconds and arguments, the spread of the jitter is an argument.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from agent.sync.messages import BATCH_ENTRIES_MAX, BATCHES_UNACKED_MAX

RETRY_FIRST_MS = 2_000
RETRY_MAX_MS = 300_000
HEARTBEAT_MS = 300_000
RECONNECT_AFTER_MS = (
    900_000  # three heartbeats without an answer: the connection is not believed any more
)


class Verdict(Enum):
    """What a message of the central means to a terminal that stands at a certain place."""

    APPLY = auto()
    NOTHING_NEW = auto()
    OLD = auto()
    GAP = auto()


def judge(
    *,
    own_generation: str | None,
    own_position: int,
    own_acked: tuple[int, int],
    generation: str,
    replaces: str | None,
    from_position: int,
    to: int,
    reset: bool,
    acked: tuple[int, int] | None,
) -> Verdict:
    """Return what to do with a `changes` message.

    `acked` is its acknowledgement as (epoch number, seq), None when it speaks of entries this disk does not have or has
    otherwise: then it is meant for another life of this terminal, and hello will tell.
    """
    if acked is None:
        return Verdict.GAP
    if generation != own_generation:
        # one that does not know which generation we hold is no answer to what we say now: that life of the central may be over
        return (
            Verdict.APPLY
            if reset and from_position == 0 and replaces == own_generation
            else Verdict.GAP
        )
    if from_position > own_position:
        return Verdict.GAP
    if to < own_position:
        return Verdict.OLD  # late or twice: no answer to anything
    if acked < own_acked:
        return (
            Verdict.GAP
        )  # within a generation it never steps back: the central believes an old hello of ours
    return Verdict.APPLY if to > own_position or acked > own_acked else Verdict.NOTHING_NEW


@dataclass(frozen=True, slots=True)
class SayHello:
    pass


@dataclass(frozen=True, slots=True)
class SendEntries:
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Reconnect:
    """The connection looks alive and nothing is answered: drop it and connect again."""


Say = SayHello | SendEntries | Reconnect


class Session:
    """One terminal's conversation over one link. `spread` gives a number in [0, 1) for the jitter."""

    def __init__(self, spread: Callable[[], float]) -> None:
        self._spread = spread
        self._epoch = ""
        self._acked = 0
        self._retry_ms = RETRY_FIRST_MS
        self._connected = False
        self._greeted = False
        self._hello_wanted = False
        self._heard_ms = 0
        self._hello_deadline_ms: int | None = None
        self._heartbeat_ms: int | None = None
        self._batch_deadline_ms: int | None = None
        self._batch_ends: deque[int] = deque()
        self._sent = 0

    def link_up(self, now_ms: int) -> None:
        self._forget_connection()
        self._connected = True
        self._hello_wanted = True
        self._retry_ms = RETRY_FIRST_MS
        self._heard_ms = now_ms

    def link_down(self) -> None:
        self._forget_connection()
        self._connected = False

    def hello_again(self) -> None:
        """Say hello even if one is on its way: the central has just started, or what we would say has changed."""
        self._hello_wanted, self._hello_deadline_ms = True, None
        self._retry_ms = RETRY_FIRST_MS

    def answered(self, now_ms: int, *, more: bool) -> None:
        """A message of the central was applied, or was nothing new."""
        self._greeted = True
        self._hello_deadline_ms = None
        self._hello_wanted = self._hello_wanted or more
        self._heard_ms = now_ms

    def gap(self) -> None:
        """A message did not join on to what we have: hello, unless one is on its way."""
        self._hello_wanted = self._hello_wanted or self._hello_deadline_ms is None

    def due(self, now_ms: int, *, epoch: str, last: int, acked: int) -> list[Say]:
        """Return what to send now. `last` and `acked` are seqs of the current `epoch`, as the store has them."""
        self._see_ledger(epoch, acked)
        if not self._connected:
            return []
        if now_ms - self._heard_ms >= RECONNECT_AFTER_MS:
            self._heard_ms = now_ms
            return [Reconnect()]
        if self._is_silent(now_ms):
            self._retry_ms = min(2 * self._retry_ms, RETRY_MAX_MS)
            self._rewind()
            self._hello_wanted, self._hello_deadline_ms = True, None
        if self._heartbeat_ms is not None and now_ms >= self._heartbeat_ms:
            self._hello_wanted = True
        return [*self._hello(now_ms), *self._batches(now_ms, last)]

    def wake_ms(self, now_ms: int) -> int | None:
        """Return in how many milliseconds `due` may have something new to say without any event, None for never."""
        heartbeat_ms = (
            self._heartbeat_ms if self._hello_deadline_ms is None else None
        )  # no hello while one is on its way
        times = [
            t
            for t in (self._hello_deadline_ms, self._batch_deadline_ms, heartbeat_ms)
            if t is not None
        ]
        if not self._connected or not times:
            return None
        return max(0, min(*times, self._heard_ms + RECONNECT_AFTER_MS) - now_ms)

    def _hello(self, now_ms: int) -> list[Say]:
        if not self._hello_wanted or self._hello_deadline_ms is not None:
            return []
        self._hello_wanted = False
        self._hello_deadline_ms = now_ms + self._jittered()
        self._heartbeat_ms = now_ms + HEARTBEAT_MS
        return [SayHello()]

    def _batches(self, now_ms: int, last: int) -> list[Say]:
        says: list[Say] = []
        while self._greeted and len(self._batch_ends) < BATCHES_UNACKED_MAX and self._sent < last:
            count = min(BATCH_ENTRIES_MAX, last - self._sent)
            says.append(SendEntries(self._sent + 1, count))
            self._sent += count
            self._batch_ends.append(self._sent)
            if self._batch_deadline_ms is None:
                self._batch_deadline_ms = now_ms + self._jittered()
        return says

    def _see_ledger(self, epoch: str, acked: int) -> None:
        if (
            epoch != self._epoch or acked < self._acked
        ):  # a new epoch, or a central that lost what it had booked
            self._epoch, self._acked = epoch, acked
            self._rewind()
            self._hello_wanted = self._hello_wanted or self._connected
        elif acked > self._acked:
            self._acked = acked
            self._sent = max(self._sent, acked)
            while self._batch_ends and self._batch_ends[0] <= acked:
                self._batch_ends.popleft()
            self._retry_ms = RETRY_FIRST_MS
            self._batch_deadline_ms = None
            if self._batch_ends:
                self._batch_deadline_ms = self._heard_ms + self._jittered()

    def _is_silent(self, now_ms: int) -> bool:
        deadlines = (self._hello_deadline_ms, self._batch_deadline_ms)
        return any(deadline is not None and now_ms >= deadline for deadline in deadlines)

    def _rewind(self) -> None:
        self._sent = self._acked
        self._batch_ends.clear()
        self._batch_deadline_ms = None

    def _forget_connection(self) -> None:
        self._greeted = False
        self._hello_wanted = False
        self._hello_deadline_ms = None
        self._heartbeat_ms = None
        self._rewind()

    def _jittered(self) -> int:
        return int(self._retry_ms * (1 + 0.5 * self._spread()))
