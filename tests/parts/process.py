"""A child process, always ended by its id, and waiting for conditions."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parent.parent.parent
AGENT = Path(sys.executable).with_name("canteen-agent")
CENTRAL = Path(sys.executable).with_name("canteen-central")


def package_of(tool: str) -> str:
    """Return the Debian package that contains a tool, for the error of a test that misses it."""
    return {
        "mosquitto": "mosquitto",
        "mosquitto_passwd": "mosquitto",
        "pcscd": "pcscd",
        "openssl": "openssl",
        "unshare": "util-linux",
        "systemd-analyze": "systemd",
        "faketime": "faketime",
        "gcc": "gcc",
        "git": "git",
        "mkfs.ext4": "e2fsprogs",
        "mount": "mount",
        "umount": "mount",
        "node": "nodejs",
        "chromium": "chromium",
        "hledger": "hledger",
    }[tool]


def require(tool: str) -> str:
    """Return a tool's path. Raise `RuntimeError` that names the missing package."""
    path = shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        raise RuntimeError(
            f"{tool} is missing: apt-get install {package_of(tool)} (or: make setup)"
        )
    return path


def wait_for(condition: Callable[[], object], what: str, seconds: float = 20) -> None:
    """Wait until a condition holds. Raise `TimeoutError` that names `what`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for: {what}")
        time.sleep(0.02)


def listens(port: int) -> bool:
    """Return whether a program on this machine takes connections at a port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def clock_of(time: str) -> list[str]:
    """Return a command prefix under which a process sees another wall clock.

    It names faketime's library. The command faketime would stay between the test and the agent, and
    a kill would not reach the agent.
    """
    command = [require("faketime"), "-f", time, "sh", "-c", "echo $LD_PRELOAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    library = done.stdout.strip()
    return ["env", f"LD_PRELOAD={library}", f"FAKETIME={time}", "FAKETIME_DONT_FAKE_MONOTONIC=1"]


class Process:
    """A child in a process group of its own. `log` receives stdout and stderr.

    The kernel kills the child when the test process dies, even by kill -9.
    """

    def __init__(
        self, command: Sequence[str | Path], log: Path, *, environment: dict[str, str] | None = None
    ) -> None:
        self.log = log
        with open(log, "ab") as output:
            self.child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def is_running(self) -> bool:
        return self.child.poll() is None

    def kill(self) -> None:
        """End the child with kill -9, as a power cut would."""
        self.signal(signal.SIGKILL)
        self.child.wait(timeout=10)

    def stop(self) -> int:
        """Send SIGTERM and return the exit code. Kill the child if it runs on for ten seconds."""
        if self.is_running:
            self.signal(signal.SIGTERM)
        try:
            code = self.child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self.child.returncode
        return code

    def signal(self, number: signal.Signals) -> None:
        if self.is_running:
            os.kill(self.child.pid, number)

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
