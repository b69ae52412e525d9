"""While a terminal's file does not work: nothing is green, nothing is acknowledged, everybody is told why.

What was tapped meanwhile is kept in memory, as tokens, and recorded as soon as the file takes it, if the process lives until then: the
child got no light of ours, and the office sees who stood there. `UnavailableTerminal` stands for a terminal whose file has not worked since the start.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

from agent.domain.card import Token, card_token
from agent.domain.clock import Instant, Reading, read_moment
from agent.errors import StoreError
from agent.readers.events import (
    CardPresented,
    CardUnreadable,
    ReaderDown,
    ReaderEvent,
    ReaderUp,
    Show,
    Signal,
)
from agent.sync.events import Arrived, LinkDown, LinkEffect, LinkUp, Publish
from agent.sync.messages import TerminalState, encode
from agent.sync.topics import Leaf, Topics
from agent.terminal.control import Request

LOOK_AGAIN_MS = 1_000  # how often a file that failed is opened again
UNOPENED_MS_MAX = (
    16_000  # how seldom at most one that never was: looking may mean reading all of it
)
TELL_EVERY_MS = (
    60_000  # a file that fails in another way every moment has one line a minute in the journal
)
KEPT_TAPS_MAX = 1_000  # two lunches of a large school; later ones are counted

log = logging.getLogger("agent.terminal")

Event = ReaderEvent | LinkUp | LinkDown | Arrived | Request
Effect = Show | LinkEffect


@dataclass(slots=True)
class StorageFault:
    """Why the file does not work, when it was opened again last, how many taps were told so, and the first of them: whose, and when."""

    sentence: str
    tried_ms: int
    card_key: bytes
    told_ms: int
    taps: int = 0
    kept: list[tuple[Token | None, Reading]] = field(default_factory=list)
    unknown: tuple[int, bytes] | None = (
        None  # place and hash of the entry whose commit nobody could look for; the first kept tap's
    )

    @classmethod
    def begun(cls, error: StoreError, now_ms: int, card_key: bytes) -> Self:
        """Return one that begins now. The journal gets its line."""
        log.error("out of order: %s", error)
        return cls(str(error), now_ms, card_key, now_ms)

    def is_news(self, error: StoreError, now_ms: int) -> bool:
        """Take what is wrong now; return whether it is another thing than before, to be told. The journal gets its line."""
        before, self.sentence = self.sentence, str(error)
        if self.sentence == before or now_ms - self.told_ms < TELL_EVERY_MS:
            return False
        self.told_ms = now_ms
        log.error("still out of order: %s", error)
        return True

    @property
    def summary(self) -> str:
        """Return one line for `systemctl status`."""
        return f"OUT OF ORDER: {self.sentence}"

    def answer(self, event: Event | None, reading: Reading) -> list[Effect]:
        """Return what tells whoever taps, and answer whoever asks."""
        if isinstance(event, CardPresented | CardUnreadable):
            self.taps += 1
            if len(self.kept) < KEPT_TAPS_MAX:
                self.kept.append(
                    (
                        card_token(self.card_key, event.card)
                        if isinstance(event, CardPresented)
                        else None,
                        reading,
                    )
                )
            return [Show(reader=event.reader, tap=event.tap, signal=Signal.OUT_OF_ORDER)]
        if isinstance(event, Request):
            event.answer(error=f"out of order: {self.sentence}")
        return []

    def state(
        self, topics: Topics, terminal: str, *, at: Instant, software: str, readers: dict[str, str]
    ) -> Publish:
        """Return the retained message that says why."""
        state = TerminalState(
            online=True, at=at, software=software, readers=readers, fault=self.sentence
        )
        return Publish(topic=topics.of(terminal, Leaf.STATE), payload=encode(state), retain=True)


class UnavailableTerminal:
    """A terminal without its file, for the main loop. `heard` is what each configured reader, and under None the link, has said last."""

    def __init__(
        self,
        fault: StorageFault,
        town: str,
        terminal: str,
        *,
        software: str,
        heard: dict[str | None, Event | None],
    ) -> None:
        self.fault = fault
        self._topics = Topics(town)
        self._id = terminal
        self._software = software
        self._heard = heard
        self._pause_ms = LOOK_AGAIN_MS

    def turn(self, event: Event | None, reading: Reading) -> Iterator[Effect]:
        """Do one turn of the main loop. Yield what is to be done."""
        yield from self.fault.answer(event, reading)
        if isinstance(event, LinkUp | ReaderUp | ReaderDown) and isinstance(
            self._heard[None], LinkUp
        ):
            yield self._state(reading)

    def failed_again(self, error: StoreError, reading: Reading) -> list[Effect]:
        """The file was looked at and still cannot be opened. Return what is to be done."""
        self.fault.tried_ms = reading.mono_ms
        self._pause_ms = min(2 * self._pause_ms, UNOPENED_MS_MAX)
        is_news = self.fault.is_news(error, reading.mono_ms)
        return [self._state(reading)] if is_news and isinstance(self._heard[None], LinkUp) else []

    def wake_ms(self, reading: Reading) -> int | None:
        """Return in how many milliseconds the file should be opened again."""
        return max(0, self.fault.tried_ms + self._pause_ms - reading.mono_ms)

    def summary(self) -> str:
        return self.fault.summary

    def _state(self, reading: Reading) -> Publish:
        at = read_moment(reading, floor=None, central=None).at
        words = {
            name: "ready" if isinstance(event, ReaderUp) else "down"
            for name, event in self._heard.items()
            if name is not None
        }
        return self.fault.state(
            self._topics, self._id, at=at, software=self._software, readers=words
        )
