"""A terminal's staff.sock that sends what a test says, to see the page in any state."""

import json
import socket
import threading
from contextlib import suppress
from pathlib import Path

import msgspec

from agent.ops.control_messages import Changed, Condition, Counters, Snapshot, Tap, Tapped, Word

NOON = "2026-11-23T11:05:00.000Z"  # five past twelve in the town
WELL = Condition(at=NOON, clock="synced", day="2026-11-23", data_age_min=0)
CLASSES = [f"{year}{letter}" for year in range(1, 6) for letter in "AB"]
PUPILS = [
    {"account": f"a-{n}", "label": f"Bartolomeo-Maria {chr(65 + n)}.", "group": "2B", "dish": "D3"}
    for n in range(22)
]
ANSWERS: dict[str, dict[str, object]] = {
    "classes": {"classes": dict.fromkeys(CLASSES, 22)},
    "class": {"eaters": PUPILS},
    "search": {"eaters": PUPILS[:3]},
    "closing": {"served": 21},
    "day": {"day": "2026-11-23"},
    "credit": {"cents": 1634},
}


def tap(seq: int, word: Word = Word.SERVED, **parts: str) -> Tap:
    """Return a tap, which can be undone if it was served."""
    undo_until = "2099-01-01T00:00:00.000Z" if word is Word.SERVED else None
    members = {"epoch": "1-0f", "seq": seq, "at": NOON, "word": word, "undo_until": undo_until}
    return msgspec.convert({**members, **parts}, Tap)


class FarEnd:
    """Answers `watch` with a snapshot, and keeps the staff's requests in `asked`.

    `silent` are taps that are sent when the page asks for something.
    """

    def __init__(self, state: Path) -> None:
        state.mkdir(exist_ok=True)
        self.condition = WELL
        self.taps: list[Tap] = []
        self.asked: list[dict[str, object]] = []
        self.watches = 0
        self.silent: list[Tap] = []
        self._peers: list[socket.socket] = []
        self._number = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(state / "staff.sock"))
        self._socket.listen(8)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Hang up, as a terminal that ends."""
        for end in (self._socket, *self._peers):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def send_tap(self, item: Tap) -> None:
        self.taps.append(item)
        self._send(Tapped(number=self._next(), tap=item))

    def send_condition(self, condition: Condition) -> None:
        self.condition = condition
        self._send(Changed(number=self._next(), condition=condition))

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _send(self, line: Tapped | Changed) -> None:
        for peer in self._peers:
            with suppress(OSError):  # a page that was closed
                peer.sendall(msgspec.json.encode(line) + b"\n")

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._talk, args=(peer,), daemon=True).start()

    def _talk(self, peer: socket.socket) -> None:
        request = json.loads(peer.makefile("rb").readline())
        if request["do"] == "watch":
            counters = Counters(
                day=None, service=None, total=len(self.taps), others=0,
                classes=dict.fromkeys(CLASSES, 22), dishes={"D3": 4, "veg": 12},
            )  # fmt: skip
            snapshot = Snapshot(
                number=self._next(),
                taps=list(self.taps),
                counters=counters,
                condition=self.condition,
            )
            peer.sendall(msgspec.json.encode(snapshot) + b"\n")
            self._peers.append(peer)
            self.watches += 1
            return
        self.asked.append(request)
        for item in self.silent:
            self.send_tap(item)
        with peer:
            answer = {"id": "1", **ANSWERS.get(request["do"], {})}
            peer.sendall(json.dumps(answer).encode() + b"\n")
