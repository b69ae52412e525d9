"""The exchange with a serial reader: start-up, polls, signals, keepalive. Pure.

Takes bytes and monotonic milliseconds; returns bytes to send and what was detected. One request at
a time waits for its answer. A keyboard reader uses the same code without requests. The wall
(`serial_port.py`) and the replay of a trace drive it alike.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

from msgspec import UNSET

from agent.errors import ReaderError
from agent.readers.apdu import begins, parse_hex
from agent.readers.events import Signal
from agent.readers.faults import Fault
from agent.readers.framing import ACK, Frame, Line, Pn53x, pn53x_command
from agent.readers.identity import NOISE, Detection, card_of_frame
from agent.readers.profile import Profile, Step, given
from agent.readers.profile_kinds import BRIEF_MS_MAX, Once, Repeat, Request
from agent.readers.repeats import Repeats

# Time-out of every answer but a poll's, which is in the profile.
ANSWER_MS = 500
# UM0701-02 says 15 ms; a USB converter alone buffers for 16.
ACK_MS = 100
# A Raspberry Pi with a ttyUSB takes up to a second for the first byte (nfcpy, pn532.py).
FIRST_ACK_MS = 1_500
ACK_TRIES = 3
# After so many invalid answers in a row, the port is opened again.
FAULTS_MAX = 10
# So many chunks of bytes within a minute without a frame among them are not noise any more.
GARBLED_CHUNKS = 20
GARBLED_MS = 60_000
# After so many damaged answers in a row to a poll, a card may be there and cannot be read.
DAMAGED_MAX = 3
# So long a damaged frame of a reader that sends once waits for a good frame behind it.
DAMAGED_MS = 400


@dataclass(slots=True)
class _Request:
    """Bytes to send, and the answer that they wait for. `step` counts the commands of a poll."""

    kind: Literal["start-up", "poll", "signal", "keepalive"]
    sent: bytes
    expect: str | None = None
    wait_ms: int = ANSWER_MS
    step: int = 0
    acknowledged: bool = True
    tries: int = 1
    deadline_ms: int = 0

    @property
    def has_answer(self) -> bool:
        """Return whether anything is to come back."""
        return self.kind == "poll" or self.expect is not None or not self.acknowledged


class Dialogue:
    """The exchange with one reader since its port was opened.

    Raises `ReaderError` where the port must be opened again. No message contains a byte that the
    reader sent, since it may belong to a card's number.
    """

    def __init__(self, profile: Profile, now_ms: int) -> None:
        self._profile = profile
        self._framer = profile.framer(now_ms)
        self._format = profile.frame_format()
        self._queue: deque[_Request] = deque()
        self._open: _Request | None = None
        self._last_answer_ms = now_ms
        self._has_received = False
        self._next_poll_ms = now_ms
        self._missed_keepalives = 0
        self._faults = 0
        self._damaged_answers = 0
        self._chunks_ms = deque[int](maxlen=GARBLED_CHUNKS)  # since the last frame
        self._failures: list[str] = []
        self._repeats = _repeats_of(profile)
        for step in profile.init:
            self._enqueue(step, "start-up")

    @property
    def is_ready(self) -> bool:
        """Return whether start-up is over."""
        requests = self._queue if self._open is None else (self._open, *self._queue)
        return not any(request.kind == "start-up" for request in requests)

    def receive(self, received: bytes, now_ms: int) -> list[Detection]:
        """Return what these bytes detect, in order. None stands for an empty field."""
        if received:
            self._has_received = True
            self._chunks_ms.append(now_ms)
        detections, still_there = list[Detection](), list[Detection]()
        results = self._framer.feed(received, now_ms)
        self._note_framing(len(received), bool(results), now_ms)
        for result in results:
            if isinstance(result, Frame):
                self._chunks_ms.clear()
                detections += self._take(result, now_ms)
            elif self._profile.sends_by_itself and result is Fault.FORM:
                detections.append(result)  # a text too long for a canteen card
            elif self._repeats is not None and result is Fault.CHECKSUM:
                still_there += self._damaged(self._repeats, now_ms)
        if self._repeats is not None:
            detections = self._repeated(self._repeats, detections, now_ms)
        return [*still_there, *detections]

    @property
    def repeat_ends_ms(self) -> int | None:
        """Return when `receive` must be called to end the wait for a repetition, if one waits."""
        return None if self._repeats is None else self._repeats.ends_ms

    def end(self) -> list[Detection]:
        """End the exchange: the port is lost. Return the fault of a card that had no light yet."""
        fault = None if self._repeats is None else self._repeats.ended(None)
        return [] if fault is None else [fault]

    @property
    def is_garbled(self) -> bool:
        """Return whether many chunks of bytes came within a minute, and no frame."""
        return (
            len(self._chunks_ms) == GARBLED_CHUNKS
            and self._chunks_ms[-1] - self._chunks_ms[0] < GARBLED_MS
        )

    def failures(self) -> list[str]:
        """Return why signals were not shown since the last call."""
        failures, self._failures = self._failures, []
        return failures

    def send(self, now_ms: int) -> bytes:
        """Return the bytes to send now; none while an answer is awaited.

        Raise `ReaderError` when the reader does not answer.
        """
        if self._open is not None:
            if now_ms < self._open.deadline_ms:
                return b""
            if not self._open.acknowledged and self._open.tries < ACK_TRIES:
                self._open.tries += 1
                return self._begin(self._open, now_ms)
            self._time_out(self._open)
        request = self._next(now_ms)
        return b"" if request is None else self._begin(request, now_ms)

    def wake_ms(self, now_ms: int) -> int | None:
        """Return in how many ms `send` must be called again; None: only when bytes arrive."""
        if self._queue and self._open is None:
            return 0
        times = [self._next_ms() if self._open is None else self._open.deadline_ms]
        times.append(self.repeat_ends_ms)
        given_ms = [time_ms for time_ms in times if time_ms is not None]
        return max(0, min(given_ms) - now_ms) if given_ms else None

    def _next_ms(self) -> int | None:
        """Return when the next poll or keepalive is due."""
        times = [self._next_poll_ms] if isinstance(self._profile.poll, Request) else []
        if self._profile.keepalive is not UNSET:
            keepalive_ms = self._last_answer_ms + self._profile.keepalive.idle_ms
            times.append(max(keepalive_ms, self._next_poll_ms))
        return min(times, default=None)

    def show(self, signal: Signal) -> None:
        """Send what shows a signal, if the reader can show it, before the next poll."""
        step = self._profile.step_for(signal)
        if step is not None:
            self._enqueue(step, "signal")

    @property
    def has_signals(self) -> bool:
        """Return whether a signal waits to be sent."""
        return any(request.kind == "signal" for request in self._queue)

    def forget_signals(self) -> None:
        """Drop the signals that wait: another card is at the reader."""
        self._queue = deque(request for request in self._queue if request.kind != "signal")

    def _enqueue(self, step: Step, kind: Literal["start-up", "signal"]) -> None:
        for text in step.sends:
            request = _Request(kind, parse_hex(text))
            if not step.raw:
                request.sent = self._framed(text)
                request.expect = None if step.expect is UNSET else step.expect
                request.acknowledged = not self._has_acks
            self._queue.append(request)

    @property
    def _has_acks(self) -> bool:
        return isinstance(self._format, Pn53x)

    def _framed(self, text: str) -> bytes:
        payload = parse_hex(text)
        if isinstance(self._format, Pn53x):
            return pn53x_command(payload)
        if isinstance(self._format, Line) and self._format.hexadecimal:
            return payload.hex().upper().encode("ascii") + b"\r"
        return payload

    def _next(self, now_ms: int) -> _Request | None:
        if self._queue:
            return self._queue.popleft()
        keepalive, poll = self._profile.keepalive, self._profile.poll
        if now_ms < self._next_poll_ms:
            return None
        if keepalive is not UNSET and now_ms - self._last_answer_ms >= keepalive.idle_ms:
            self._next_poll_ms = now_ms + ANSWER_MS
            request = _Request("keepalive", self._framed(keepalive.send), keepalive.expect)
            request.acknowledged = not self._has_acks
            return request
        if isinstance(poll, Request):
            self._next_poll_ms = now_ms + poll.interval_ms
            return self._poll(poll, 0)
        return None

    def _poll(self, poll: Request, step: int) -> _Request:
        request = _Request("poll", self._framed(poll.send[step]), None, poll.timeout_ms, step)
        request.acknowledged = not self._has_acks
        return request

    def _begin(self, request: _Request, now_ms: int) -> bytes:
        wait_ms = request.wait_ms
        if not request.acknowledged:
            wait_ms = ACK_MS if self._has_received else FIRST_ACK_MS
        request.deadline_ms = now_ms + wait_ms
        self._open = request if request.has_answer else None
        if isinstance(self._profile.poll, Request):
            # Half an answer that came before must not be joined with the next one.
            self._framer.forget()
        return request.sent

    def _time_out(self, request: _Request) -> None:
        self._open = None
        match request.kind:
            case "start-up":
                raise ReaderError(
                    f"no answer to start-up command {request.sent.hex(' ')};"
                    " check the profile's model and baud rate"
                )
            case "signal":
                self._failures.append(f"no answer to {request.sent.hex(' ')}")
            case "keepalive":
                self._missed_keepalives += 1
                if self._missed_keepalives >= given(self._profile.keepalive).max_failures:
                    raise ReaderError(
                        f"no answer to {self._missed_keepalives} keepalives in a row;"
                        " the port is opened again"
                    )

    def _take(self, frame: Frame, now_ms: int) -> list[Detection]:
        """Return what a frame detects; [] for a frame that only answers a request."""
        request = self._open
        if frame.payload == ACK:  # of a line format: an empty line
            if self._has_acks and request is not None:
                self._acknowledge(request, now_ms)
            return []
        poll, is_pushing = self._profile.poll, self._profile.sends_by_itself
        if is_pushing:
            self._last_answer_ms = now_ms
        if request is not None and isinstance(poll, Request) and request.kind == "poll":
            return self._polled(poll, request.step, frame.payload, now_ms)
        if request is not None and request.expect is not None:
            if begins(request.expect, frame.payload):
                self._open = None
                self._answered(now_ms)
                return []
            if not is_pushing:
                self._reject(request, len(frame.payload))
                return []
        return [card_of_frame(self._profile, frame.payload)] if is_pushing else []

    def _acknowledge(self, request: _Request, now_ms: int) -> None:
        if not request.acknowledged:
            request.acknowledged, request.deadline_ms = True, now_ms + request.wait_ms
            self._open = request if request.has_answer else None

    def _reject(self, request: _Request, length: int) -> None:
        """End a request whose answer is not the expected one. Only its length is reported."""
        self._open = None
        if request.kind == "signal":
            self._failures.append(f"unexpected answer of {length} bytes to {request.sent.hex(' ')}")
        elif request.kind == "start-up":
            raise ReaderError(
                f"unexpected answer of {length} bytes to start-up command {request.sent.hex(' ')};"
                " check the profile's model"
            )

    def _polled(self, poll: Request, step: int, payload: bytes, now_ms: int) -> list[Detection]:
        self._open = None
        self._answered(now_ms)
        self._damaged_answers = 0
        if step == len(poll.send) - 1:
            return [self._counted(card_of_frame(self._profile, payload))]
        if any(begins(pattern, payload) for pattern in poll.many):
            return [self._counted(Fault.MANY)]
        if not begins(poll.expect[step], payload):
            is_empty = any(begins(pattern, payload) for pattern in poll.none)
            return [self._counted(None if is_empty else Fault.DEVICE)]
        self._queue.appendleft(self._poll(poll, step + 1))
        return []

    @property
    def _is_listening(self) -> bool:
        """Return whether what comes is not the answer to a command."""
        return self._profile.sends_by_itself and self._open is None

    def _note_framing(self, count: int, is_framed: bool, now_ms: int) -> None:
        """Note whether bytes completed a frame; else they may be a card's damaged one.

        A reader that types has `UNFINISHED_MS` for that.
        """
        if self._repeats is None or self._profile.transport == "keyboard":
            return
        if is_framed:
            self._repeats.framed()
        elif count and self._is_listening and not self.is_garbled:
            self._repeats.unframed(count, now_ms)

    def _damaged(self, repeats: Repeats, now_ms: int) -> list[Detection]:
        """Note a frame with a wrong checksum. Return the card that is still there, if it repeats.

        After a damaged answer the reader is asked again at once. Some in a row may be a card.
        """
        request = self._open
        if request is None:
            detected = repeats.damaged(now_ms)
            return [] if detected is None else [detected]
        if request.kind == "poll":
            self._open, self._next_poll_ms = None, now_ms
            self._damaged_answers += 1
            if self._damaged_answers >= FAULTS_MAX:
                raise ReaderError(
                    f"{self._damaged_answers} damaged answers in a row; the port is opened again;"
                    " check the reader's cable"
                )
            if self._damaged_answers >= DAMAGED_MAX:
                repeats.damaged(now_ms)
        return []

    def _answered(self, now_ms: int) -> None:
        """The reader is alive: neither noise nor an acknowledgement alone would prove that."""
        self._last_answer_ms, self._missed_keepalives = now_ms, 0

    def _counted(self, detection: Detection) -> Detection:
        """Return a poll's detection. Raise `ReaderError` after `FAULTS_MAX` faults in a row."""
        self._faults = self._faults + 1 if detection is Fault.DEVICE else 0
        if self._faults >= FAULTS_MAX:
            raise ReaderError(f"{self._faults} invalid answers in a row; the port is opened again")
        return detection

    def _repeated(
        self, repeats: Repeats, detections: list[Detection], now_ms: int
    ) -> list[Detection]:
        """Return the detections that count, and the fault of a card that none of them is.

        A reader that is asked is asked again at once.
        """
        counting = [
            detection
            for detection in detections
            if detection in NOISE or repeats.counts(detection, now_ms)
        ]
        if len(counting) < len(detections):
            self._next_poll_ms = now_ms
        single = repeats.ended(now_ms)
        return counting if single is None else [*counting, single]


def _repeats_of(profile: Profile) -> Repeats | None:
    """Return what decides which frames and answers count, None where that is not for bytes."""
    match profile.poll:
        case (
            Repeat(some_send_once=False, gone_after_ms=gone_after_ms)
            | Request(gone_after_ms=gone_after_ms)
        ):
            return Repeats(min(gone_after_ms, BRIEF_MS_MAX), near_ms=gone_after_ms)
        case Repeat(gone_after_ms=gone_after_ms):
            return Repeats(DAMAGED_MS, near_ms=gone_after_ms, is_once=True)
        case Once():
            return Repeats(DAMAGED_MS, is_once=True)
        case _:
            return None
