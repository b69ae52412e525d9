"""Three readers at one terminal: one floods, one is unplugged, and the third still serves."""

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.parts.canteen import Counter, counter
from tests.parts.process import wait_for
from tests.parts.serial_line import Id12la, SerialLine

UIDS = [bytes.fromhex(f"04c0a1{n:02x}c2d3e4") for n in range(12)]
TAGS = [bytes.fromhex(f"01000000{n:02x}") for n in range(1, 13)]
GREEN = bytes.fromhex("FF00402E")
FRAMES_A_SECOND = 10_000
GROWTH_KIB_MAX = 4_096


def flood(line: SerialLine, ended: threading.Event) -> None:
    """Write frames of unknown cards until `ended`."""
    n, begun, far_end = 1, time.monotonic(), Id12la(line)
    while not ended.is_set():
        if n > FRAMES_A_SECOND * (time.monotonic() - begun):
            ended.wait(0.001)
            continue
        frames = (far_end.frame(b"\xee" + (n + k).to_bytes(4, "big")) for k in range(20))
        with contextlib.suppress(BlockingIOError):  # the pty is full
            line.write(b"".join(frames))
        n += 20


def rss_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0])


@contextlib.contextmanager
def three_readers(folder: Path) -> Iterator[tuple[Counter, dict[str, SerialLine]]]:
    """Yield a counter that serves at three readers, and the lines of the two serial ones."""
    lines = {name: SerialLine(folder / name) for name in ("tags", "storm")}
    profiles = {"tags": "rdm6300", "storm": "id-12la"}
    cards = [f"a:{uid.hex()}" for uid in UIDS] + [f"em:{uid.hex()}" for uid in TAGS]
    readers = '[[reader]]\nname = "plates"\nprofile = "acs-acr122u"\n' + "".join(
        f'[[reader]]\nname = "{name}"\nprofile = "{profiles[name]}"\nport = "{line.path}"\n'
        for name, line in lines.items()
    )
    with contextlib.ExitStack() as stack:
        for line in lines.values():
            line.plug()
            stack.callback(line.unplug)
        made = stack.enter_context(counter(folder, cards, readers))
        made.terminal.start(enter=made.pcscd.namespace.command())
        for name in ("plates", *lines):
            made.terminal.wait_until_serving(name)
        made.terminal.wait_for_account(f"a-{len(cards) - 1}")
        yield made, lines


@contextlib.contextmanager
def storm_at(line: SerialLine) -> Iterator[None]:
    ended = threading.Event()
    storm = threading.Thread(target=flood, args=(line, ended), daemon=True)
    storm.start()
    try:
        yield
    finally:
        ended.set()
        storm.join()


def test_a_flooding_and_an_unplugged_reader_cost_no_meal_at_the_others(tmp_path: Path) -> None:
    with three_readers(tmp_path) as ((card, _, terminal), lines):
        process = terminal.process
        assert process is not None
        before_kib = rss_kib(process.pid)
        with storm_at(lines["storm"]):
            for n in range(6):
                assert card.tap(UIDS[n]).startswith(GREEN)
                lines["tags"].hold(TAGS[n])
            lines["tags"].unplug()
            for uid in UIDS[6:]:
                assert card.tap(uid).startswith(GREEN)
            lines["tags"].plug()
            wait_for(lambda: terminal.reader("tags") == "ready", "the reader plugged in again")
            for uid in TAGS[6:]:
                lines["tags"].hold(uid)
            after_kib = rss_kib(process.pid)
        wait_for(lambda: terminal.reader("storm").startswith("ready"), "the end of the storm")

        eaten = "SELECT count(DISTINCT eater) FROM entry WHERE kind = 'meal'"
        wait_for(
            lambda: terminal.rows(eaten) == [(len(UIDS) + len(TAGS),)],
            "a meal for every card at both quiet readers",
        )
        log = process.output()
        for name in ("storm", "tags"):
            assert len(re.findall(rf"Reader '{name}' down", log)) == 1, log
            assert len(re.findall(rf"Reader '{name}' up after", log)) == 1, log
        assert after_kib - before_kib < GROWTH_KIB_MAX
        assert terminal.stop() == 0
