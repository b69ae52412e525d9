"""The terminal's command line as a person meets it: real processes, sentences, exit codes."""

import json
import sqlite3
from pathlib import Path

from agent.sync.events import Arrived
from tests.parts.town import run_agent
from tests.parts.wire import Wire


def test_a_wrong_configuration_is_78(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text("town = 1", encoding="utf-8")
    assert "agent.toml" in run_agent("run", "-c", tmp_path / "agent.toml", code=78)
    assert "cannot be read" in run_agent("status", "-c", tmp_path / "none.toml", code=78)


def test_the_ledger_is_listed_and_verified_from_the_file_alone(tmp_path: Path) -> None:
    wire = Wire(tmp_path)
    wire.central.add_account("a-1", cards=("em:010063e9ae",))
    wire.connect()
    wire.box.tap("em:010063e9ae")
    wire.settle()
    wire.box.tap("em:0100000077")
    (tmp_path / "state").mkdir()
    wire.box.db.sql.execute("VACUUM INTO ?", (str(tmp_path / "state" / "terminal.db"),))
    config = tmp_path / "agent.toml"
    config.write_text(
        'town = "borgofiorito"\nterminal = "t-1"\nstate_dir = "state"\nreader = []\n[broker]\nurl = "mqtt://127.0.0.1"\n',
        encoding="utf-8",
    )
    rows = json.loads(run_agent("ledger", "-c", config, "--json"))
    assert [(row["kind"], row["acked"]) for row in rows] == [
        ("meal", True),
        ("unknown_meal", False),
    ]
    assert "-3.66" in run_agent("ledger", "-c", config)
    assert "2 entries" in run_agent("ledger", "verify", "-c", config)
    wire.box.handle(Arrived(topic="elsewhere", payload=b"?", receipt=None))
    (tmp_path / "state" / "terminal.db").unlink()
    wire.box.db.sql.execute("VACUUM INTO ?", (str(tmp_path / "state" / "terminal.db"),))
    wire.close()
    (seen,) = json.loads(run_agent("incidents", "-c", config, "--json"))
    assert seen["kind"] == "set aside" and seen["detail"].startswith("elsewhere")
    connection = sqlite3.connect(tmp_path / "state" / "terminal.db", isolation_level=None)
    connection.execute("DROP TRIGGER entry_never_changes")
    connection.execute("UPDATE entry SET cents = -1, body = body WHERE seq = 1")
    connection.close()
    assert "the columns of entry 1 differ" in run_agent("ledger", "verify", "-c", config, code=1)
