"""A fictitious town for tests: its central and its terminals as real processes in one folder."""

import json
import sqlite3
import subprocess
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Access:
    """How a town reaches its broker.

    `pki` is a folder of certificates from docs/broker/certificates.sh. Without it there is no TLS.
    """

    url: str
    town: str = TOWN
    pki: Path | None = None

    @property
    def central_options(self) -> list[str]:
        """Return the options of the central's `serve`."""
        options = ["--broker", self.url]
        if self.pki is not None:
            own = self.pki / self.town / "central"
            options += ["--ca", f"{self.pki}/ca.crt"]
            options += ["--certificate", f"{own}.crt", "--key", f"{own}.key"]
        return options

    def terminal_settings(self, terminal: str) -> str:
        """Return the table `broker` of a terminal's agent.toml."""
        lines = ["[broker]", f'url = "{self.url}"']
        if self.pki is not None:
            own = self.pki / self.town / "t" / terminal
            lines += [f'ca_file = "{self.pki}/ca.crt"']
            lines += [f'certificate_file = "{own}.crt"', f'key_file = "{own}.key"']
        return "\n".join([*lines, ""])


class Central:
    """The reference central on a database of its own."""

    def __init__(self, folder: Path, access: Access) -> None:
        self.folder = folder
        self.db = folder / "central.db"
        self.card_key = folder / "central.db.card-key"
        self._access = access
        self.process: Process | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.office("init", "--town", access.town)

    def office(self, *words: str | Path, code: int = 0) -> str:
        return run_central("--db", self.db, *words, code=code)

    def start(self) -> None:
        command: list[str | Path] = [CENTRAL, "--db", self.db, "serve"]
        command += self._access.central_options
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
        self, folder: Path, name: str, access: Access, card_key: Path, readers: str
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.folder = folder
        self.config = folder / "agent.toml"
        self.config.write_text(
            f'town = "{access.town}"\nterminal = "{name}"\nstate_dir = "state"\n'
            f'card_key_file = "{card_key}"\n\n{access.terminal_settings(name)}\n{readers}',
            encoding="utf-8",
        )
        self.db = folder / "state" / "terminal.db"
        self.process: Process | None = None

    def start(
        self, enter: list[str] | None = None, environment: dict[str, str] | None = None
    ) -> None:
        """Start the agent. `enter` is a command prefix that enters a namespace."""
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
        """Return whether the agent answers on its control socket."""
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
            "SELECT body ->> '$.balance' + coalesce((SELECT sum(cents) FROM entry"
            " WHERE eater = record.id AND n > h AND cents <> 0), 0)"
            " FROM record WHERE kind = 'account' AND id = ?",
            account,
        )
        return int(rows[0][0]) if rows else None
