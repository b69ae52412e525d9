"""A fictitious town: its central and its terminals as real processes in one folder."""

import json
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.parts.process import AGENT, CENTRAL, Process, wait_for

TOWN = "borgofiorito"
SITE = "primaria"


def run_agent(*words: str | Path, code: int = 0) -> str:
    """Run canteen-agent, assert its exit code, and return what it printed."""
    return _run(AGENT, *words, code=code)


def run_central(*words: str | Path, code: int = 0) -> str:
    """Run canteen-central, assert its exit code, and return what it printed."""
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

    `pki` is a folder of certificates (`tests/parts/certificates.py`). Without it there is no TLS.
    """

    url: str
    town: str = TOWN
    pki: Path | None = None
    password_file: Path | None = None  # of the user `canteen`

    @property
    def central_options(self) -> list[str]:
        """Return the options of the central's `serve`."""
        options = ["--broker", self.url]
        if self.pki is not None:
            own = self.pki / self.town / "central"
            options += ["--ca", f"{self.pki}/ca.crt"]
            options += ["--certificate", f"{own}.crt", "--key", f"{own}.key"]
        if self.password_file is not None:
            options += ["--username", "canteen", "--password-file", str(self.password_file)]
        return options

    def terminal_settings(self, terminal: str) -> str:
        """Return the table `broker` of a terminal's agent.toml."""
        lines = ["[broker]", f'url = "{self.url}"']
        if self.pki is not None:
            own = self.pki / self.town / "t" / terminal
            lines += [f'ca_file = "{self.pki}/ca.crt"']
            lines += [f'certificate_file = "{own}.crt"', f'key_file = "{own}.key"']
        if self.password_file is not None:
            lines += ['username = "canteen"', f'password_file = "{self.password_file}"']
        return "\n".join([*lines, ""])


class Central:
    """The reference central in `folder`, with a database of its own."""

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

    def add_roster(self, header: str, rows: list[str]) -> None:
        """Import a roster of CSV rows."""
        path = self.folder.parent / "roster.csv"
        path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
        self.office("import-roster", path)

    def serve_lunch_all_day(self) -> None:
        """Make lunch last from midnight to midnight, so a test may run at any hour."""
        hours = ("--opens", "00:00", "--closes", "23:59", "--weekdays", "1234567")
        self.office("service", SITE, "lunch", "--name", "Pranzo", *hours)

    def start(self, *options: str) -> None:
        command: list[str | Path] = [CENTRAL, "--db", self.db, "serve", *options]
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
    """One terminal: its configuration, its process, and its ledger as another process reads it.

    `settings` is agent.toml after the broker's URL: the rest of `[broker]`, then each `[[reader]]`.
    """

    def __init__(
        self, folder: Path, name: str, access: Access, card_key: Path, settings: str
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.folder = folder
        self.config = folder / "agent.toml"
        self.config.write_text(
            f'town = "{access.town}"\nterminal = "{name}"\nstate_dir = "state"\n'
            f'card_key_file = "{card_key}"\n\n{access.terminal_settings(name)}\n{settings}',
            encoding="utf-8",
        )
        self.db = folder / "state" / "terminal.db"
        self.process: Process | None = None

    def start(
        self, enter: list[str] | None = None, environment: dict[str, str] | None = None
    ) -> None:
        """Start the agent. `enter` is a command prefix, such as one that enters a namespace."""
        self.process = Process(
            [*(enter or []), AGENT, "run", "-c", self.config],
            self.folder / "agent.log",
            environment=environment,
        )

    def wait_until_serving(self, reader: str = "counter") -> None:
        """Wait until the agent answers commands and a reader is ready."""
        wait_for(self.answers, f"{self.name} answering")
        wait_for(lambda: self.reader(reader) == "ready", f"the reader {reader!r} of {self.name}")

    def wait_for_account(self, account: str, seconds: float = 20) -> None:
        """Wait until the terminal has received an account's record."""
        wait_for(lambda: self.balance(account) is not None, f"{account} at {self.name}", seconds)

    def stop(self) -> int:
        """End the agent and return its exit code."""
        assert self.process is not None
        return self.process.stop()

    def reader(self, name: str) -> str:
        """Return a reader's state as `status` shows it."""
        return str(self.status()["readers"][name])

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(run_agent("status", "--json", "-c", self.config))
        return status

    def answers(self) -> bool:
        """Return whether the agent answers commands."""
        done = subprocess.run([AGENT, "status", "-c", self.config], capture_output=True, timeout=60)
        return done.returncode == 0

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(f"file:{self.db}?mode=ro", uri=True, timeout=20)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def pending(self) -> int:
        """Return how many entries the central has not acknowledged."""
        if not self.db.exists():
            return 0
        pending = "SELECT count(*) FROM entry WHERE n > (SELECT acked FROM terminal)"
        return int(self.rows(pending)[0][0])

    def balance(self, account: str) -> int | None:
        """Return the balance in cents that the terminal shows, None for an unknown account."""
        own = "SELECT sum(cents) FROM entry WHERE eater = record.id AND n > h AND cents <> 0"
        rows = self.rows(
            f"SELECT body ->> '$.balance' + coalesce(({own}), 0) FROM record"
            " WHERE kind = 'account' AND id = ?",
            account,
        )
        return int(rows[0][0]) if rows else None
