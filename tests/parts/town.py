"""A fictitious town for tests: its central and its terminals as real processes in one folder."""

import json
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

from tests.parts.process import AGENT, CENTRAL, Process

TOWN = "borgofiorito"
SITE = "primaria"


def run_agent(*words: str | Path, code: int = 0) -> str:
    """Run canteen-agent, expect an exit code, and return what it printed."""
    return _run(AGENT, *words, code=code)


def run_central(*words: str | Path, code: int = 0) -> str:
    """Run canteen-central, expect an exit code, and return what it printed."""
    return _run(CENTRAL, *words, code=code)


def _run(program: Path, *words: str | Path, code: int) -> str:
    command = [str(program), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    printed = done.stdout + done.stderr
    assert done.returncode == code, f"{' '.join(command)} ended with {done.returncode}:\n{printed}"
    return done.stdout if code == 0 else printed


class Central:
    """The reference central on a database of its own."""

    def __init__(self, folder: Path, broker_url: str, *options: str | Path) -> None:
        self.folder = folder
        self.db = folder / "central.db"
        self._broker_url = broker_url
        self._options = options
        self.process: Process | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.office("init", "--town", TOWN)

    def office(self, *words: str | Path, code: int = 0) -> str:
        return run_central("--db", self.db, *words, code=code)

    def start(self) -> None:
        command = [
            CENTRAL,
            "--db",
            self.db,
            "serve",
            "--broker",
            self._broker_url,
            *self._options,
        ]
        self.process = Process(command, self.folder / "central.log")

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()
            self.process = None

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.db, timeout=20)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def balance(self, account: str) -> int:
        return int(self.rows("SELECT balance FROM account WHERE id = ?", account)[0][0])


class Terminal:
    """One terminal: its configuration, its process, and its ledger read from outside."""

    def __init__(
        self,
        folder: Path,
        name: str,
        broker_url: str,
        card_key: Path,
        readers: str,
        *,
        broker_extra: str = "",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.folder = folder
        self.config = folder / "agent.toml"
        self.config.write_text(
            f'town = "{TOWN}"\nterminal = "{name}"\nstate_dir = "state"\ncard_key_file = "{card_key}"\n\n'
            f'[broker]\nurl = "{broker_url}"\n{broker_extra}\n{readers}',
            encoding="utf-8",
        )
        self.db = folder / "state" / "terminal.db"
        self.process: Process | None = None

    def start(
        self, enter: list[str] | None = None, environment: dict[str, str] | None = None
    ) -> None:
        """Start the agent; `enter` is a prefix that puts it into a namespace."""
        self.process = Process(
            [*(enter or []), AGENT, "run", "-c", self.config],
            self.folder / "agent.log",
            environment=environment,
        )

    def stop(self) -> int:
        assert self.process is not None
        return self.process.stop()

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(run_agent("status", "--json", "-c", self.config))
        return status

    def answers(self) -> bool:
        """Return whether the agent is up far enough to answer."""
        done = subprocess.run([AGENT, "status", "-c", self.config], capture_output=True, timeout=60)
        return done.returncode == 0

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(f"file:{self.db}?mode=ro", uri=True, timeout=20)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def pending(self) -> int:
        if not self.db.exists():
            return 0
        return int(
            self.rows("SELECT count(*) FROM entry WHERE n > (SELECT acked FROM terminal)")[0][0]
        )

    def balance(self, account: str) -> int | None:
        rows = self.rows(
            "SELECT body ->> '$.balance' + coalesce((SELECT sum(cents) FROM entry WHERE eater = record.id AND n > h"
            " AND cents <> 0), 0) FROM record WHERE kind = 'account' AND id = ?",
            account,
        )
        return int(rows[0][0]) if rows else None
