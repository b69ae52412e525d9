"""While a terminal's file does not work: nothing is green, nothing is acknowledged, everybody is told why.

What was tapped meanwhile is kept in memory, as tokens, and recorded as soon as the file takes it: the child got no light of ours, and
the office sees who stood there. `Unopened` stands for a terminal whose file has not worked since the start.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.domain.card import Token, card_token
from agent.domain.clock import Instant, Reading, read_moment
from agent.ops.control import Request
from agent.readers.events import CardPresented, CardUnreadable, ReaderDown, ReaderEvent, ReaderUp, Show, Signal
from agent.sync.events import Arrived, LinkDown, LinkEffect, LinkUp, Publish
from agent.sync.messages import TerminalState, encode
from agent.sync.topics import Leaf, Topics

LOOK_AGAIN_MS = 1_000  # how often a file that failed is opened again
KEPT_TAPS_MAX = 1_000  # two lunches of a large school; later ones are counted

Event = ReaderEvent | LinkUp | LinkDown | Arrived | Request
Effect = Show | LinkEffect


@dataclass(slots=True)
class OutOfOrder:
    """Why the file does not work, when it was opened again last, how many taps were told so, and the first of them: whose, and when."""

    sentence: str
    tried_ms: int
    card_key: bytes
    taps: int = 0
    kept: list[tuple[Token | None, Reading]] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """Return one line for `systemctl status`."""
        return f"OUT OF ORDER: {self.sentence}"

    def answer(self, event: Event | None, reading: Reading) -> list[Effect]:
        """Return what tells whoever taps, and answer whoever asks."""
        if isinstance(event, CardPresented | CardUnreadable):
            self.taps += 1
            if len(self.kept) < KEPT_TAPS_MAX:
                self.kept.append((card_token(self.card_key, event.card) if isinstance(event, CardPresented) else None, reading))
            return [Show(reader=event.reader, tap=event.tap, signal=Signal.OUT_OF_ORDER)]
        if isinstance(event, Request):
            event.answer(error=f"out of order: {self.sentence}")
        return []

    def state(self, topics: Topics, terminal: str, *, at: Instant, software: str, readers: dict[str, str]) -> Publish:
        """Return the retained message that says why."""
        state = TerminalState(online=True, at=at, software=software, readers=readers, fault=self.sentence)
        return Publish(topic=topics.of(terminal, Leaf.STATE), payload=encode(state), retain=True)


class Unopened:
    """A terminal without its file, for the main loop. `readers` are the names of all configured readers."""

    def __init__(self, fault: OutOfOrder, town: str, terminal: str, *, software: str, readers: list[str]) -> None:
        self.fault = fault
        self._topics = Topics(town)
        self._id = terminal
        self._software = software
        self._readers = dict.fromkeys(readers, "down")
        self._told: dict[str | None, Event] = {}

    def turn(self, event: Event | None, reading: Reading) -> Iterator[Effect]:
        """Do one turn of the main loop. Yield what is to be done."""
        match event:
            case ReaderUp(reader=name) | ReaderDown(reader=name):
                self._told[name] = event
                self._readers[name] = "ready" if isinstance(event, ReaderUp) else "down"
            case LinkUp() | LinkDown():
                self._told[None] = event
        yield from self.fault.answer(event, reading)
        if isinstance(event, LinkUp):
            at = read_moment(reading, floor=None, heard=None).at
            yield self.fault.state(self._topics, self._id, at=at, software=self._software, readers=self._readers)

    def wake_ms(self, reading: Reading) -> int | None:
        """Return in how many milliseconds the file should be opened again."""
        return max(0, self.fault.tried_ms + LOOK_AGAIN_MS - reading.mono_ms)

    def summary(self) -> str:
        return self.fault.summary

    def heard(self) -> list[Event]:
        """Return what readers and link said last, for the terminal that stands here from now on."""
        return list(self._told.values())
