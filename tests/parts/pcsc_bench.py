"""Readers on a private pcscd, each with a virtual card, run by `reader_probe`."""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.parts.pcsc import READER_NAME, VPCD, Pcscd, VirtualCard
from tests.parts.process import Process, wait_for
from tests.parts.reader_probe import ProbeEvent

UID = bytes.fromhex("04a1b2c3d4e5f6")
GREEN = bytes.fromhex("FF00402E0401000101")
WAIT = bytes.fromhex("FF00400C0400000000")
RED = bytes.fromhex("FF00405D0401010201")
COUNTER = "counter=acs-acr122u"
# A person holds a card again after a few seconds without a light.
HOLDS_MAX, HELD_S = 3, 8.0


@dataclass
class Bench:
    """A private pcscd, a process that runs readers, and the card of each virtual reader."""

    pcscd: Pcscd
    probe: Process
    cards: list[VirtualCard]

    @property
    def card(self) -> VirtualCard:
        return self.cards[0]

    def events(self, reader: str = "counter") -> list[ProbeEvent]:
        lines = [line for line in self.probe.output().splitlines() if line.startswith("{")]
        events = [msgspec.json.decode(line, type=ProbeEvent) for line in lines]
        return [event for event in events if event.reader == reader]

    def wait_for(
        self, kind: str, count: int = 1, *, reader: str = "counter", seconds: float = 20
    ) -> ProbeEvent:
        """Return the event of a kind with this number, counted from 1."""
        wait_for(
            lambda: self.kinds(reader).count(kind) >= count,
            f"{count} × {kind} of {reader}: {self.probe.output()}",
            seconds,
        )
        return [event for event in self.events(reader) if event.kind == kind][count - 1]

    def kinds(self, reader: str = "counter") -> list[str]:
        return [event.kind for event in self.events(reader)]

    def taps(self, reader: str = "counter") -> list[str]:
        return [event.text for event in self.events(reader) if event.kind == "tap"]

    def wait_for_light(self, card: VirtualCard, uid: bytes, seconds: float = 20) -> None:
        wait_for(lambda: (uid.hex(), GREEN) in card.shown, f"green for {uid.hex()}", seconds)

    def hold_until_light(self, card: VirtualCard, uid: bytes) -> None:
        """Wait for the light of a card on the reader, and hold it again where none comes.

        pcscd looks every 0.4 s: it may miss that one card took another one's place in between.
        """
        for _ in range(HOLDS_MAX):
            try:
                return self.wait_for_light(card, uid, HELD_S)
            except TimeoutError:
                card.present(uid)
        return self.wait_for_light(card, uid)


@contextlib.contextmanager
def bench_of(
    folder: Path,
    *readers: str,
    answer_after_s: float = 0,
    cards: int = 1,
    driver: Path | None = None,
    name: str = READER_NAME,
) -> Iterator[Bench]:
    """Yield a pcscd with a reader for each card, and a process that runs `readers`."""
    made = [VirtualCard() for _ in range(cards)]
    ports = [card.port for card in made]
    with contextlib.ExitStack() as stack:
        driver = driver or VPCD
        pcscd = stack.enter_context(Pcscd(folder / "pcscd", *ports, driver=driver, name=name))
        probe = [sys.executable, "-m", "tests.parts.reader_probe", "300", str(answer_after_s)]
        command = pcscd.namespace.command(*probe, *(readers or (COUNTER,)))
        process = stack.enter_context(Process(command, folder / "probe.log"))
        for card in made:
            stack.callback(card.take_away)
        bench = Bench(pcscd, process, made)
        first = (readers or (COUNTER,))[0].partition("=")[0]
        wait_for(lambda: bench.kinds(first), "the reader up or down")
        yield bench
