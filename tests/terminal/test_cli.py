"""The terminal's command line as a technician meets it: real processes, sentences, exit codes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.domain.ledger import SEQ_MAX
from agent.ops.control_messages import Meal, SetDay, Storno
from agent.store.salvage import MAGIC
from agent.sync.events import Arrived
from agent.terminal.cli import TRAYS_MAX
from agent.terminal.control import ControlSocket, Request, Watchers
from agent.terminal.process import lock_state_dir
from tests.parts.town import run_agent
from tests.parts.wire import Wire
from tests.store.disk import change_entries

CARD = "em:010063e9ae"
AGENT_TOML = """
town = "borgofiorito"
terminal = "t-1"
state_dir = "state"
reader = []
[broker]
url = "mqtt://127.0.0.1"
"""


class Offline:
    """A terminal that does not run: its ledger and its configuration."""

    def __init__(self, folder: Path) -> None:
        self.wire = Wire(folder)
        self.config = folder / "agent.toml"
        self.config.write_text(AGENT_TOML, encoding="utf-8")
        self.database = folder / "state" / "terminal.db"
        self.database.parent.mkdir()
        self.wire.central.add_account("a-1", cards=(CARD,))
        self.wire.connect()
        self.wire.box.tap(CARD)
        self.wire.settle()
        self.wire.box.tap("em:0100000077")

    def run(self, *words: str | Path, code: int = 0) -> str:
        """Run a command with `-c` on a copy of the ledger as it is now."""
        self.database.unlink(missing_ok=True)
        self.wire.box.db.sql.execute("VACUUM INTO ?", (str(self.database),))
        return run_agent(*words, code=code)


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    terminal = Offline(tmp_path)
    yield terminal
    terminal.wire.close()


AT = "2026-11-23T11:05:00.000Z"


@pytest.fixture
def requests(tmp_path: Path) -> Iterator[list[Request]]:
    """A control socket that records requests and answers each with a meal."""
    received: list[Request] = []

    def answer(request: Request) -> bool:
        received.append(request)
        clock = "held" if request.ask == SetDay(day="2026-11-23") else "synced"
        request.answer(
            seq=7, account="a-1", cents=366, day="2026-11-23", served=1, clock=clock, at=AT
        )
        return True

    (tmp_path / "agent.toml").write_text(AGENT_TOML, encoding="utf-8")
    (tmp_path / "state").mkdir()
    control = ControlSocket(tmp_path / "state" / "control.sock", answer, Watchers())
    control.start()
    yield received
    control.close()


def test_a_wrong_configuration_ends_with_78(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text("town = 1", encoding="utf-8")
    assert "agent.toml" in run_agent("run", "-c", tmp_path / "agent.toml", code=78)
    assert "cannot be read" in run_agent("status", "-c", tmp_path / "none.toml", code=78)


def test_the_ledger_is_listed_without_a_running_agent(offline: Offline) -> None:
    rows = json.loads(offline.run("ledger", "-c", offline.config, "--json"))
    kinds = [(row["kind"], row["acked"]) for row in rows]
    assert kinds == [("meal", True), ("unknown_meal", False)]
    table = offline.run("ledger", "-c", offline.config)
    assert "-3.66" in table and "waiting" in table


def test_the_table_of_the_ledger_has_eight_digits_of_a_token(offline: Offline) -> None:
    token = offline.wire.box.entries()[0].card
    assert token is not None
    table = offline.run("ledger", "-c", offline.config)
    assert token[:8] in table and token[:9] not in table


def test_the_ledger_is_verified_and_a_changed_column_is_reported(offline: Offline) -> None:
    assert "2 entries" in offline.run("ledger", "verify", "-c", offline.config)
    change_entries(offline.wire.box.db, "UPDATE entry SET cents = -1 WHERE seq = 1")
    output = offline.run("ledger", "verify", "-c", offline.config, code=1)
    assert "the columns of entry 1 differ" in output


def test_a_set_aside_message_is_listed_with_the_incidents(offline: Offline) -> None:
    offline.wire.box.handle(Arrived(topic="elsewhere", payload=b"?", receipt=None))
    (row,) = json.loads(offline.run("incidents", "-c", offline.config, "--json"))
    assert row["kind"] == "set aside" and row["detail"].startswith("elsewhere")


def test_the_ledger_is_exported_into_a_file(offline: Offline, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    output = offline.run("ledger", "-c", offline.config, "export", stick)
    assert output == f"{stick}: 2 entries\n" and stick.stat().st_size > 0


def test_salvage_needs_a_terminal_that_does_not_run(offline: Offline, tmp_path: Path) -> None:
    (tmp_path / "old.db").write_bytes(MAGIC)
    words = ("ledger", "-c", offline.config, "salvage", tmp_path / "old.db")
    with lock_state_dir(offline.database.parent):
        assert "another agent is running here" in offline.run(*words, code=1)
    assert "no entry that can be proved" in offline.run(*words, code=1)


# Commands that ask the running agent


@pytest.mark.parametrize("seq", [0, SEQ_MAX + 1, 8_589_934_593, 2**64])
def test_a_storno_beyond_seq_max_is_refused_before_the_agent_is_asked(
    requests: list[Request], tmp_path: Path, seq: int
) -> None:
    output = run_agent("storno", "-c", tmp_path / "agent.toml", str(seq), code=2)
    assert f"1<=x<={SEQ_MAX}" in output and requests == []


def test_a_storno_reports_what_was_undone(requests: list[Request], tmp_path: Path) -> None:
    output = run_agent("storno", "-c", tmp_path / "agent.toml", str(SEQ_MAX))
    assert output == "undone: account a-1, 3.66 euro back (entry 7)\n"
    assert [request.ask for request in requests] == [Storno(seq=SEQ_MAX)]


def test_a_storno_names_its_meal(requests: list[Request], tmp_path: Path) -> None:
    assert "SEQ" in run_agent("storno", "-c", tmp_path / "agent.toml", code=2)
    assert requests == []


def test_a_closing_counts_at_most_trays_max(requests: list[Request], tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    output = run_agent("close", "-c", config, str(TRAYS_MAX + 1), code=2)
    assert f"0<=x<={TRAYS_MAX}" in output and requests == []
    assert "1 meals served" in run_agent("close", "-c", config, str(TRAYS_MAX))


def test_a_meal_and_a_day_are_asked_with_their_arguments(
    requests: list[Request], tmp_path: Path
) -> None:
    config = tmp_path / "agent.toml"
    assert "served: account a-1" in run_agent("meal", "-c", config, "a-1", "--day", "2026-11-20")
    assert "until a time is confirmed" in run_agent("day", "-c", config, "2026-11-23")
    assert f"the time is confirmed: {AT}" in run_agent("day", "-c", config, "2026-11-24")
    assert [request.ask for request in requests] == [
        Meal(account="a-1", day="2026-11-20"),
        SetDay(day="2026-11-23"),
        SetDay(day="2026-11-24"),
    ]


def test_without_a_running_agent_a_command_says_so(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(AGENT_TOML, encoding="utf-8")
    output = run_agent("status", "-c", tmp_path / "agent.toml", code=1)
    assert "no agent answers" in output and "check that it runs" in output


def test_a_serving_agent_loads_no_library_of_commands_only() -> None:
    """Tables, certificates and the inspection of files take 20 MiB, beside 35."""
    code = (
        "import sys, agent.terminal.cli;"
        "print({'rich', 'cryptography', 'sqlite_utils'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n", done.stderr
