"""A real PostgreSQL of its own, in a folder that it removes, on a port of the loopback."""

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Self

import psycopg

from tests.parts.broker import free_port
from tests.parts.process import wait_for

PROGRAMS = "/usr/lib/postgresql"
SETTINGS = {
    "fsync": "on",
    "max_connections": "60",
    "shared_buffers": "'64MB'",
    "unix_socket_directories": "''",
    "listen_addresses": "'127.0.0.1'",
    "autovacuum_naptime": "'1min'",
}
START_S = 60


def program(name: str) -> str:
    """Return the path of a program of the newest installed server."""
    found = sorted(Path(PROGRAMS).glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    assert found, f"{name} is missing; install the package postgresql"
    return str(found[-1])


class Postgres:
    """A server. `superuser` may do everything; commands of the project use roles they are given."""

    def __init__(self, **settings: str) -> None:
        # not in a folder of pytest, which only its user may enter
        self.folder = Path(tempfile.mkdtemp(prefix="canteen-postgres-"))
        self.data = self.folder / "data"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        if os.getuid() == 0:  # the server refuses to run as root
            shutil.chown(self.folder, "postgres")
        self._fill()
        self.configure(port=str(self.port), **{**SETTINGS, **settings})

    def _fill(self) -> None:
        """Make the folder of the data."""
        self._run(
            *(program("initdb"), "--pgdata", str(self.data), "--username", "superuser"),
            *("--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"),
        )

    def configure(self, **settings: str) -> None:
        """Write settings; `restart` lets them take effect."""
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())

    @property
    def address(self) -> str:
        """Return the URL for the superuser."""
        return f"postgresql://superuser@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._as_user(program("postgres"), "-D", str(self.data)),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_for(self._answers, "PostgreSQL answering", START_S)

    def stop(self, number: int = signal.SIGQUIT) -> None:
        """End it: SIGQUIT is the immediate stop, SIGINT the fast, SIGKILL the plug."""
        if self._process is None:
            return
        self._process.send_signal(number)
        self._process.wait(timeout=START_S)
        self._process = None

    def kill(self) -> None:
        """Kill the server with all its processes at once."""
        assert self._process is not None
        # each of them is in a session of its own; without the first none is replaced
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        self._process.send_signal(signal.SIGSTOP)
        others = [int(number) for number in children.read_text().split()]
        for number in (self._process.pid, *others):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        self._process.wait(timeout=START_S)
        self._process = None

    def restart(self) -> None:
        """Stop it at once and start it again."""
        self.stop()
        self.start()

    def connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        """Connect as the superuser."""
        return psycopg.connect(self.address, autocommit=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    @staticmethod
    def _as_user(*command: str) -> list[str]:
        if os.getuid() != 0:
            return list(command)
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]

    def _answers(self) -> bool:
        command = (program("pg_isready"), "-h", "127.0.0.1", "-p", str(self.port), "-t", "1")
        done = subprocess.run(command, capture_output=True, timeout=START_S, check=False)
        return done.returncode == 0

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            self._as_user(*command), capture_output=True, timeout=START_S, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr.decode()}{done.stdout.decode()}"
