"""What is said between us and a serial reader: start-up, questions, answers, signals, and whether it still lives. Pure.

Bytes and monotonic milliseconds in; bytes to send and what was seen out. One question at a time. A keyboard's line goes the same
way without a question. The wall (`serial_port.py`) and a trace drive the same code.
"""

from collections import deque
from dataclasses import dataclass

from msgspec import UNSET

from agent.errors import ReaderError
from agent.readers.apdu import begins, parse_hex
from agent.readers.events import Signal
from agent.readers.faults import Fault
from agent.readers.framing import Frame, Line, Pn53x, pn53x_command
from agent.readers.identity import Seen, card_of_frame
from agent.readers.profile import Profile, Step, given

ANSWER_MS = 500  # for what is not a poll: start-up, signals, keepalive
ACK_MS = 100  # UM0701-02 says 15 ms; a USB converter buffers for 16
FIRST_ACK_MS = 1_500  # Raspberry Pi and ttyUSB: up to a second for the first byte (nfcpy, pn532.py)
ACK_TRIES = 3
FAULTS_MAX = 10
STRANGE_PIECES = 20  # so many pieces within a minute and no frame among them are no noise any more
STRANGE_MS = 60_000


@dataclass(slots=True)
class _Question:
    """`what` is start-up, poll, signal or keepalive; `step` counts the commands of a poll."""

    what: str
    sent: bytes
    expect: str | None
    wait_ms: int
    step: int = 0
    acknowledged: bool = True
    tries: int = 1
    deadline_ms: int = 0


class Dialogue:
    """The talk with one reader since its port was opened. Raise `ReaderError` where it is of no use to go on."""

    def __init__(self, profile: Profile, now_ms: int) -> None:
        self._profile = profile
        self._framer = profile.framer(now_ms)
        self._shape = profile.shape()
        self._queue: deque[_Question] = deque()
        self._asked: _Question | None = None
        self._heard_ms = now_ms
        self._heard_ever = False
        self._poll_ms = now_ms
        self._silent = 0
        self._faults = 0
        self._strange = deque[int](maxlen=STRANGE_PIECES)  # when what was no frame came
        self._failures: list[str] = []
        for step in profile.init:
            self._enqueue(step, "start-up")

    @property
    def is_ready(self) -> bool:
        """Return whether start-up is over."""
        return not any(
            question.what == "start-up"
            for question in (self._asked, *self._queue)
            if question is not None
        )

    def receive(self, received: bytes, now_ms: int) -> list[Seen]:
        """Return what these bytes say lies before the reader, in order; None stands for nothing there."""
        if received:
            self._heard_ever = True
            self._strange.append(now_ms)
        seen: list[Seen] = []
        for found in self._framer.feed(received, now_ms):
            if isinstance(found, Frame):
                self._strange.clear()
                seen += self._take(found, now_ms)
            elif found is Fault.FORM and self._profile.poll.mode == "push":
                seen.append(found)  # a text too long for a card of ours
        return seen

    @property
    def is_garbled(self) -> bool:
        """Return whether the reader has spoken for a while and no frame was among it."""
        return (
            len(self._strange) == STRANGE_PIECES
            and self._strange[-1] - self._strange[0] < STRANGE_MS
        )

    def failures(self) -> list[str]:
        """Return why signals were not shown since it was asked last."""
        failures, self._failures = self._failures, []
        return failures

    def send(self, now_ms: int) -> bytes:
        """Return what is to be sent now, nothing while an answer is awaited. Raise `ReaderError` when the reader does not answer."""
        if self._asked is not None:
            if now_ms < self._asked.deadline_ms:
                return b""
            if not self._asked.acknowledged and self._asked.tries < ACK_TRIES:
                self._asked.tries += 1
                return self._ask(self._asked, now_ms)
            self._unanswered(self._asked)
        question = self._next(now_ms)
        return b"" if question is None else self._ask(question, now_ms)

    def wake_ms(self, now_ms: int) -> int | None:
        """Return in how many milliseconds `send` should be called again, None for when something comes."""
        if self._asked is not None:
            return max(0, self._asked.deadline_ms - now_ms)
        if self._queue:
            return 0
        times = [self._poll_ms] if self._profile.poll.mode == "request" else []
        if self._profile.keepalive is not UNSET:
            times.append(max(self._heard_ms + self._profile.keepalive.idle_ms, self._poll_ms))
        return max(0, min(times) - now_ms) if times else None

    def show(self, signal: Signal) -> None:
        """Send what shows a signal, if the reader can, before the next poll."""
        step = self._profile.step_for(signal)
        if step is not None:
            self._enqueue(step, "signal")

    @property
    def has_signals(self) -> bool:
        """Return whether a signal waits to be sent."""
        return any(question.what == "signal" for question in self._queue)

    def forget_signals(self) -> None:
        """Send no signal any more that waits: another card lies there."""
        self._queue = deque(question for question in self._queue if question.what != "signal")

    def _enqueue(self, step: Step, what: str) -> None:
        for text in step.sends:
            sent = parse_hex(text) if step.raw else self._framed(text)
            expect = None if step.expect is UNSET or step.raw else step.expect
            self._queue.append(self._question(what, sent, expect, ANSWER_MS, raw=step.raw))

    def _question(
        self,
        what: str,
        sent: bytes,
        expect: str | None,
        wait_ms: int,
        *,
        raw: bool = False,
        step: int = 0,
    ) -> _Question:
        needs_none = raw or not isinstance(self._shape, Pn53x)
        return _Question(what, sent, expect, wait_ms, step=step, acknowledged=needs_none)

    def _framed(self, text: str) -> bytes:
        payload = parse_hex(text)
        if isinstance(self._shape, Pn53x):
            return pn53x_command(payload)
        if isinstance(self._shape, Line) and self._shape.hexadecimal:
            return payload.hex().upper().encode("ascii") + b"\r"
        return payload

    def _next(self, now_ms: int) -> _Question | None:
        if self._queue:
            return self._queue.popleft()
        keepalive, poll = self._profile.keepalive, self._profile.poll
        if (
            keepalive is not UNSET
            and now_ms - self._heard_ms >= keepalive.idle_ms
            and now_ms >= self._poll_ms
        ):
            self._poll_ms = now_ms + ANSWER_MS
            return self._question(
                "keepalive", self._framed(keepalive.send), keepalive.expect, ANSWER_MS
            )
        if poll.mode == "request" and now_ms >= self._poll_ms:
            self._poll_ms = now_ms + given(poll.interval_ms)
            return self._poll(0)
        return None

    def _poll(self, step: int) -> _Question:
        poll = self._profile.poll
        return self._question(
            "poll", self._framed(poll.send[step]), None, poll.timeout_ms, step=step
        )

    def _ask(self, question: _Question, now_ms: int) -> bytes:
        wait_ms = question.wait_ms
        if not question.acknowledged:
            wait_ms = ACK_MS if self._heard_ever else FIRST_ACK_MS
        question.deadline_ms = now_ms + wait_ms
        is_answered = (
            question.what == "poll" or question.expect is not None or not question.acknowledged
        )
        self._asked = question if is_answered else None
        return question.sent

    def _unanswered(self, question: _Question) -> None:
        self._asked = None
        match question.what:
            case "start-up":
                raise ReaderError(
                    f"no answer to {question.sent.hex(' ')} at start-up; is it this model, at this speed?"
                )
            case "signal":
                self._failures.append(f"no answer to {question.sent.hex(' ')}")
            case "keepalive":
                self._silent += 1
                if self._silent >= given(self._profile.keepalive).max_failures:
                    raise ReaderError(
                        f"silent for {self._silent} questions whether it is there; opened anew"
                    )

    def _take(self, frame: Frame, now_ms: int) -> list[Seen]:
        """Return what a frame says, [] for what is said between us and the reader alone."""
        asked = self._asked
        if isinstance(self._shape, Pn53x) and frame.payload == b"":
            if asked is not None and not asked.acknowledged:
                asked.acknowledged, asked.deadline_ms = True, now_ms + asked.wait_ms
                if asked.expect is None and asked.what != "poll":
                    self._asked = None
            return []
        if frame.payload == b"":
            return []  # an empty line
        if self._profile.poll.mode == "push":
            self._heard_ms = now_ms
        if asked is not None and asked.what == "poll":
            return self._polled(asked, frame.payload, now_ms)
        if asked is not None and asked.expect is not None and begins(asked.expect, frame.payload):
            self._asked = None
            self._answered(now_ms)
            return []
        if asked is not None and asked.expect is not None and self._profile.poll.mode == "request":
            self._asked = None
            if asked.what == "signal":
                self._failures.append(f"another answer than expected to {asked.sent.hex(' ')}")
            elif asked.what == "start-up":
                raise ReaderError(
                    f"another answer than expected to {asked.sent.hex(' ')} at start-up; is it this model?"
                )
            return []
        return (
            [card_of_frame(self._profile, frame.payload)]
            if self._profile.poll.mode == "push"
            else []
        )

    def _polled(self, asked: _Question, payload: bytes, now_ms: int) -> list[Seen]:
        poll = self._profile.poll
        self._asked = None
        self._answered(now_ms)
        if asked.step == len(poll.send) - 1:
            return [self._counted(card_of_frame(self._profile, payload))]
        if not begins(poll.expect[asked.step], payload):
            is_none = any(begins(pattern, payload) for pattern in poll.none)
            return [self._counted(None if is_none else Fault.DEVICE)]
        self._queue.appendleft(self._poll(asked.step + 1))
        return []

    def _answered(self, now_ms: int) -> None:
        """It lives: noise, or an acknowledgement alone, is no answer."""
        self._heard_ms, self._silent = now_ms, 0

    def _counted(self, seen: Seen) -> Seen:
        """Return what was seen; a reader that answers nothing but faults is out of order. What it answered may hold a number: unsaid."""
        self._faults = self._faults + 1 if seen is Fault.DEVICE else 0
        if self._faults >= FAULTS_MAX:
            raise ReaderError(
                f"answered {self._faults} questions in a row with what is no answer; opened anew"
            )
        return seen
