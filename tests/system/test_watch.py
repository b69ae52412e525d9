"""A real terminal under the eyes of a watcher: taps, an undo, a kill, a file that fails."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.ops.control_client import VERSION
from tests.parts.broker import Mosquitto
from tests.parts.canteen import CARDS, Canteen, canteen
from tests.parts.process import wait_for
from tests.parts.town import run_agent


@contextmanager
def watched(path: Path) -> Iterator[Iterator[dict[str, Any]]]:
    """Yield the lines of a watcher."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(20)
        peer.connect(str(path))
        message = {"v": VERSION, "id": "1", "do": "watch", "arguments": {}}
        peer.sendall(json.dumps(message).encode() + b"\n")
        with peer.makefile("rb") as lines:
            yield (json.loads(line) for line in lines)


@contextmanager
def school(folder: Path) -> Iterator[Canteen]:
    with (
        Mosquitto(folder / "broker") as broker,
        canteen(folder, central_url=broker.url, terminal_url=broker.url, terminals=1) as town,
    ):
        yield town


def next_of(lines: Iterator[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(line for line in lines if line.get("kind") == kind)


def test_a_watcher_sees_taps_an_undo_and_after_a_kill_the_same_again(tmp_path: Path) -> None:
    with school(tmp_path) as town:
        (terminal,), (line,) = town.terminals, town.lines
        terminal.wait_for_account("a-1")
        state = terminal.db.parent
        with watched(state / "watch.sock") as lines:
            assert next(lines)["kind"] == "snapshot"
            line.hold(CARDS[0])
            tap = next_of(lines, "tapped")["tap"]
            assert (tap["word"], tap["seq"]) == ("served", 1)
            assert next_of(lines, "counted")["counters"]["total"] == 1
            run_agent("storno", "-c", terminal.config, "1")
            assert next_of(lines, "tapped")["tap"]["undone"]
            line.hold(CARDS[1])
            assert next_of(lines, "tapped")["tap"]["seq"] == 3
            assert terminal.process is not None
            terminal.process.kill()
            assert all(line["kind"] != "snapshot" for line in lines)  # until the end
        town.start(terminal)
        with watched(state / "control.sock") as lines:
            snapshot = next(lines)
            assert [tap["seq"] for tap in snapshot["taps"]] == [1, 3]
            assert snapshot["counters"]["total"] == 1 and snapshot["taps"][0]["undone"]
        town.tapped = 2
        wait_for(town.all_booked, "everything booked")
