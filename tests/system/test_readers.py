"""Three readers at one terminal, in the real process: one floods, one is pulled out, and nobody at the third notices."""

import contextlib
import re
import threading
import time
from pathlib import Path

from tests.parts.canteen import counter
from tests.parts.process import wait_for
from tests.parts.serial_line import SerialLine, rdm6300_frame

UIDS = [bytes.fromhex(f"04c0a1{n:02x}c2d3e4") for n in range(12)]
TAGS = [bytes.fromhex(f"01000000{n:02x}") for n in range(1, 13)]
GREEN = bytes.fromhex("FF00402E")
FRAMES_A_SECOND = 10_000
GROWTH_KIB_MAX = 4_096


def flood(line: SerialLine, ended: threading.Event) -> None:
    n, begun = 1, time.monotonic()
    while not ended.is_set():
        if n > FRAMES_A_SECOND * (time.monotonic() - begun):
            ended.wait(0.001)
            continue
        with contextlib.suppress(BlockingIOError):  # the pty is full
            line.write(
                b"".join(rdm6300_frame(b"\xee" + (n + k).to_bytes(4, "big")) for k in range(20))
            )
        n += 20


def rss_kib(pid: int) -> int:
    return int(
        re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))[0]
    )


def test_a_reader_that_floods_and_one_that_is_pulled_out_cost_no_meal_at_the_others(
    tmp_path: Path,
) -> None:
    lines = {name: SerialLine(tmp_path / name) for name in ("tags", "storm")}
    cards = [f"a:{uid.hex()}" for uid in UIDS] + [f"em:{uid.hex()}" for uid in TAGS]
    readers = '[[reader]]\nname = "plates"\nprofile = "acs-acr122u"\n' + "".join(
        f'[[reader]]\nname = "{name}"\nprofile = "rdm6300"\nport = "{line.path}"\n'
        for name, line in lines.items()
    )
    with contextlib.ExitStack() as stack:
        for line in lines.values():
            line.plug()
            stack.callback(line.unplug)
        card, pcscd, terminal = stack.enter_context(counter(tmp_path, cards, readers))
        terminal.start(enter=pcscd.namespace.command())
        wait_for(terminal.answers, "the agent answering")
        wait_for(
            lambda: (
                terminal.balance("a-23") == 0
                and set(terminal.status()["readers"].values()) == {"ready"}
            ),
            "roster and readers",
        )
        process = terminal.process
        assert process is not None
        before_kib = rss_kib(process.pid)

        ended = threading.Event()
        storm = threading.Thread(target=flood, args=(lines["storm"], ended), daemon=True)
        storm.start()
        for n in range(6):
            assert card.tap(UIDS[n]).startswith(GREEN)
            lines["tags"].hold(TAGS[n])
        lines["tags"].unplug()
        for uid in UIDS[6:]:
            assert card.tap(uid).startswith(GREEN)
        lines["tags"].plug()
        wait_for(
            lambda: terminal.status()["readers"]["tags"] == "ready", "the reader plugged in again"
        )
        for uid in TAGS[6:]:
            lines["tags"].hold(uid)
        after_kib = rss_kib(process.pid)
        ended.set()
        storm.join()
        wait_for(
            lambda: terminal.status()["readers"]["storm"].startswith("ready"), "the storm over"
        )

        eaten = "SELECT count(DISTINCT eater) FROM entry WHERE kind = 'meal'"
        wait_for(
            lambda: terminal.rows(eaten) == [(len(UIDS) + len(TAGS),)],
            "a meal for every card at both quiet readers",
        )
        said = process.output()
        for name in ("storm", "tags"):
            assert len(re.findall(rf"reader '{name}' down", said)) == 1, said
            assert len(re.findall(rf"reader '{name}' up after", said)) == 1, said
        assert after_kib - before_kib < GROWTH_KIB_MAX
        assert terminal.stop() == 0
