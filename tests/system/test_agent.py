"""One agent as a process on a pty, with a real broker and the reference central."""

import json
import os
import pwd
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.parts.broker import Mosquitto
from tests.parts.process import wait_for
from tests.parts.serial_line import SerialLine
from tests.parts.town import SITE, Access, Central, Terminal, run_agent

TAG = bytes.fromhex("010063e9ae")
OTHER = bytes.fromhex("62e3086ced")
ROSTER = [
    f"a-1,{SITE},lunch 2026-01-01 3.66,em:{TAG.hex()}",
    f"a-2,{SITE},lunch 2026-01-01 3.66,em:{OTHER.hex()}",
]


@dataclass
class School:
    broker: Mosquitto
    central: Central
    terminal: Terminal
    line: SerialLine

    def start(self) -> None:
        self.terminal.start()
        self.terminal.wait_until_serving()

    def tap(self, tag: bytes) -> str:
        """Present a card. Return the kind of the entry that it makes."""
        before = self.last()
        self.line.hold(tag)
        wait_for(lambda: self.last() > before, "an entry")
        return str(self.terminal.rows("SELECT kind FROM entry ORDER BY n DESC LIMIT 1")[0][0])

    def last(self) -> int:
        return int(self.terminal.rows("SELECT coalesce(max(seq), 0) FROM entry")[0][0])

    def log(self) -> str:
        assert self.terminal.process is not None
        return self.terminal.process.output()


def reader_at(line: SerialLine) -> str:
    return f'[[reader]]\nname = "counter"\nprofile = "rdm6300"\nport = "{line.path}"\n'


@pytest.fixture
def school(tmp_path: Path) -> Iterator[School]:
    with Mosquitto(tmp_path / "broker") as broker:
        central = Central(tmp_path / "central", Access(broker.url))
        central.serve_lunch_all_day()
        central.add_roster("account,site,prices,cards", ROSTER)
        central.office("terminals", "add", "t-1", SITE)
        line = SerialLine(tmp_path / "reader")
        line.plug()
        key = central.card_key
        terminal = Terminal(tmp_path / "t-1", "t-1", Access(broker.url), key, reader_at(line))
        central.start()
        school = School(broker, central, terminal, line)
        school.start()
        terminal.wait_for_account("a-2")
        yield school
        if terminal.process is not None:
            terminal.stop()
        central.stop()
        line.unplug()


def test_a_meal_reaches_the_central_and_a_top_up_reaches_the_terminal(school: School) -> None:
    assert school.tap(TAG) == "meal"
    wait_for(lambda: school.central.balance("a-1") == -366, "the meal at the central")
    school.central.office("credit", "a-1", "20.00", "--id", "r-1")
    wait_for(lambda: school.terminal.balance("a-1") == 2_000 - 366, "the top-up at the terminal")
    wait_for(lambda: school.terminal.pending() == 0, "everything acknowledged")


def test_kill_9_loses_and_repeats_no_meal(school: School) -> None:
    for tag in (TAG, OTHER, TAG):
        school.tap(tag)
        assert school.terminal.process is not None
        school.terminal.process.kill()
        school.start()
    school.line.hold(TAG)  # it was there before the kill
    wait_for(lambda: "its card is still there" in school.log(), "its first signal again")
    assert school.tap(OTHER) == "refusal"
    wait_for(lambda: school.terminal.pending() == 0, "everything acknowledged")
    assert school.central.balance("a-1") == -366
    assert "all correct" in run_agent("ledger", "verify", "-c", school.terminal.config)


def test_a_central_killed_and_restarted_books_the_pending_entries(school: School) -> None:
    assert school.central.process is not None
    school.central.process.kill()
    school.tap(TAG)
    school.central.start()
    wait_for(lambda: school.central.balance("a-1") == -366, "the meal at the central", 30)
    assert "all correct" in school.central.office("check")


def test_children_eat_while_the_broker_is_down(school: School) -> None:
    school.broker.stop()
    assert [school.tap(TAG), school.tap(OTHER)] == ["meal", "meal"]
    school.central.office("credit", "a-2", "10.00", "--id", "r-1")
    school.broker.start()
    wait_for(lambda: school.terminal.balance("a-2") == 1_000 - 366, "the top-up", 40)
    wait_for(lambda: school.terminal.pending() == 0, "everything acknowledged", 40)
    assert school.central.balance("a-2") == 1_000 - 366


def test_the_log_has_one_line_per_tap_and_one_per_loss_and_return(school: School) -> None:
    school.tap(TAG)
    school.line.unplug()
    wait_for(lambda: "Reader 'counter' down" in school.log(), "the loss of the reader")
    school.line.plug()
    wait_for(
        lambda: "Reader 'counter' up" in school.log().split("down", 1)[-1],
        "the return of the reader",
    )
    school.broker.stop()
    wait_for(lambda: "Link down" in school.log(), "the loss of the link")
    school.broker.start()
    wait_for(lambda: "Link up after" in school.log(), "the return of the link", 40)
    lines = school.log().splitlines()
    assert sum("served:" in line for line in lines) == 1
    assert sum("Reader 'counter' down" in line for line in lines) == 1
    assert sum("WARNING" in line and "Link" in line for line in lines) == 1


def test_the_log_holds_no_card_id(school: School) -> None:
    """A card's UID identifies a child."""
    school.tap(TAG)
    wait_for(lambda: "served:" in school.log(), "the line of the tap")
    assert TAG.hex() not in school.log().lower()


def test_sigterm_ends_with_0_and_announces_the_terminal_offline(school: School) -> None:
    online = "SELECT state ->> '$.online' FROM terminal"
    wait_for(lambda: school.central.rows(online) == [(1,)], "online at the central")
    assert school.terminal.stop() == 0
    assert school.log().rstrip().endswith("Stopped.")
    wait_for(lambda: school.central.rows(online) == [(0,)], "offline at the central")


def test_a_second_agent_on_the_same_ledger_is_refused(school: School) -> None:
    assert "another agent is running here" in run_agent("run", "-c", school.terminal.config, code=1)


def test_the_staff_can_undo_a_meal_enter_a_late_one_and_close_the_day(school: School) -> None:
    school.tap(TAG)
    config = school.terminal.config
    assert "3.66 euro back" in run_agent("storno", "-c", config, "1")
    assert "(entry 2)" in run_agent("storno", "-c", config, "1")  # the first storno again
    day = f"{date.today() - timedelta(days=3)}"
    late = ("meal", "-c", config, "a-2", "--day")
    assert f"a-2, {day}" in run_agent(*late, day)
    assert "(entry 3)" in run_agent(*late, day)  # the first late meal again
    own = pwd.getpwuid(os.getuid())
    listed = json.loads(run_agent("ledger", "--json", "-c", config))
    user = f"{own.pw_uid} {own.pw_name}"
    assert [row["user"] for row in listed] == [None, user, user]
    assert "a terminal keeps its meals for" in run_agent(*late, "2026-01-02", code=1)
    assert "no account nobody" in run_agent("meal", "-c", config, "nobody", code=1)
    assert "0 meals served" in run_agent("close", "-c", config, "1")
    wait_for(lambda: school.terminal.pending() == 0, "everything acknowledged")
    assert school.central.balance("a-1") == 0 and school.central.balance("a-2") == -366


def test_another_terminals_ledger_is_kept_and_comes_back_with_its_name(school: School) -> None:
    """A typing mistake in agent.toml costs no entry, and no child its meal."""
    terminal = school.terminal
    terminal.stop()
    text, before = terminal.config.read_text(encoding="utf-8"), terminal.db.read_bytes()
    kept = terminal.db.with_name("terminal.db.of-borgofiorito-t-1")
    terminal.config.write_text(text.replace('terminal = "t-1"', 'terminal = "t-7"'), "utf-8")
    terminal.start()
    wait_for(terminal.answers, "an agent with another name")
    terminal.stop()
    assert kept.read_bytes() == before
    terminal.config.write_text(text, encoding="utf-8")
    terminal.start()
    wait_for(terminal.answers, "the agent with its own name")
    assert terminal.rows("SELECT id FROM terminal") == [("t-1",)] and not kept.exists()
    terminal.stop()


def test_systemd_gets_ready_status_watchdog_and_stopping(school: School, tmp_path: Path) -> None:
    school.terminal.stop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        school.terminal.start(
            environment={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "600000"}
        )
        received: list[bytes] = []
        while received.count(b"WATCHDOG=1") < 4 or not any(b"link up" in text for text in received):
            received.append(systemd.recv(1_000))
        # While it reads its file, before it is ready, the agent asks for more time.
        progress = b"WATCHDOG=1", b"EXTEND_TIMEOUT_USEC"
        states = [text for text in received if not text.startswith(progress)]
        assert states[0] == b"READY=1"
        status = b"1 readers ready; link up; 0 entries wait for the central"
        assert any(status in text for text in received)
        assert school.terminal.process is not None
        school.terminal.process.signal(signal.SIGTERM)
        while b"STOPPING=1" not in received:
            received.append(systemd.recv(1_000))
    assert school.terminal.process.child.wait(10) == 0


def test_an_agent_without_broker_network_or_roster_starts_and_records(tmp_path: Path) -> None:
    line = SerialLine(tmp_path / "reader")
    line.plug()
    key = tmp_path / "card.key"
    key.write_text("00" * 32, encoding="ascii")
    url = "mqtt://no-such-host.invalid:1883"
    terminal = Terminal(tmp_path / "t", "t-1", Access(url), key, reader_at(line))
    terminal.start()
    terminal.wait_until_serving()
    line.hold(TAG)
    wait_for(lambda: terminal.rows("SELECT count(*) FROM entry") == [(1,)], "the entry")
    kind_and_reason = "SELECT kind, body ->> '$.reason' FROM entry"
    assert terminal.rows(kind_and_reason) == [("refusal", "no_service")]
    assert terminal.stop() == 0
    assert terminal.process is not None and terminal.process.output().count("does not resolve") == 1
    line.unplug()
