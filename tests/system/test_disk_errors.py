"""The disk under a real agent answers EIO: to reads, to writes, to syncs. Nothing green is lost, and it goes on by itself."""

import subprocess
from pathlib import Path

import pytest

from tests.crash.recording import compile_recorder
from tests.parts.broker import Listener, Mosquitto
from tests.parts.canteen import CARDS, canteen
from tests.parts.process import require, wait_for
from tests.parts.town import TOWN


@pytest.mark.parametrize("fails", ["write", "sync", "read write sync"])
def test_while_the_disk_fails_nothing_is_served_and_then_it_goes_on(
    fails: str, tmp_path: Path
) -> None:
    with (
        Mosquitto(tmp_path / "broker") as broker,
        Listener(broker.port, f"canteen/v1/{TOWN}/t/+/state") as listener,
        canteen(
            tmp_path, central_url=broker.url, terminal_url=broker.url, terminals=1, start=False
        ) as town,
    ):
        (terminal,), (line,) = town.terminals, town.lines
        control = tmp_path / "fails"
        shimmed = {
            "LD_PRELOAD": str(compile_recorder(tmp_path)),
            "CRASH_FOLDER": str(terminal.db.parent),
            "CRASH_FAILS": str(control),
        }
        town.central.start()
        town.start(terminal, environment=shimmed)
        wait_for(lambda: terminal.balance("a-1") is not None, "the roster")
        town.tap(0)
        control.write_text(fails, encoding="ascii")
        process = terminal.process
        assert process is not None
        for card in CARDS[11:14]:
            line.hold(card)
        wait_for(lambda: "out of order: " in process.output(), "the sentence in the journal")
        wait_for(
            lambda: any(b'"fault":"' in state for state in listener.on("/state")),
            "the sentence in `state`",
        )
        control.unlink()
        wait_for(lambda: "the file works again" in process.output(), "the file working again")
        already = town.recorded(terminal)
        assert (
            already <= 1 + 3
        )  # an entry whose commit was unknown is there or not, and nothing else
        told = terminal.rows("SELECT body ->> '$.card' FROM entry")
        assert len(told) == len(
            set(told)
        )  # a tap is a meal or was told out of order, also where its commit was unknown
        town.tapped = already
        town.tap(0)
        wait_for(town.all_booked, "everything booked")
        wait_for(lambda: town.all_equal("a-1"), "equal balances")
        town.stop()
        town.check()


def test_a_state_folder_that_is_read_only_at_the_start_is_told_and_served_from_when_it_is_not(
    tmp_path: Path,
) -> None:
    with (
        Mosquitto(tmp_path / "broker") as broker,
        Listener(broker.port, f"canteen/v1/{TOWN}/t/+/state") as listener,
        canteen(
            tmp_path, central_url=broker.url, terminal_url=broker.url, terminals=1, start=False
        ) as town,
    ):
        (terminal,), (line,) = town.terminals, town.lines
        folder = terminal.db.parent
        folder.mkdir()
        subprocess.run(
            [require("mount"), "-t", "tmpfs", "-o", "size=64m", "none", folder],
            check=True,
            timeout=20,
        )
        try:
            town.central.start()
            town.start(terminal)
            wait_for(lambda: terminal.balance("a-1") is not None, "the roster")
            assert terminal.stop() == 0
            subprocess.run([require("mount"), "-o", "remount,ro", folder], check=True, timeout=20)
            terminal.start()
            process = terminal.process
            assert process is not None
            wait_for(
                lambda: (
                    "out of order: " in process.output()
                    and "commands are not heard" in process.output()
                ),
                "the sentences",
            )
            wait_for(
                lambda: any(
                    b'"fault":"' in state and b"Read-only" in state
                    for state in listener.on("/state")
                ),
                "the sentence in `state`",
            )
            line.hold(CARDS[0])
            wait_for(
                lambda: any(
                    b'"counter":"ready"' in state and b'"fault":"' in state
                    for state in listener.on("/state")
                ),
                "the reader",
            )
            subprocess.run([require("mount"), "-o", "remount,rw", folder], check=True, timeout=20)
            wait_for(
                lambda: "the file works again: 1 taps" in process.output(),
                "the file working again",
                40,
            )
            assert terminal.rows("SELECT kind, body ->> '$.reason' FROM entry") == [
                ("refusal", "out_of_order")
            ]
            town.tapped = 1
            town.tap(0)
            wait_for(terminal.answers, "commands being heard again")
            assert "Traceback" not in process.output()
            wait_for(town.all_booked, "everything booked")
            town.stop()
            town.check()
        finally:
            subprocess.run([require("umount"), "-l", folder], check=True, timeout=20)
