"""A child process that is always ended by its id, and conditions that are waited for."""

import os
import shutil
import signal
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
    """Return the Debian package that brings a tool, for the message of a test that misses it."""
    return {
        "mosquitto": "mosquitto",
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
    }[tool]


def require(tool: str) -> str:
    """Return a tool's path, or fail with the package that is missing."""
    found = shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        raise RuntimeError(
            f"{tool} is missing: apt-get install {package_of(tool)} (or: make setup)"
        )
    return found


def wait_for(condition: Callable[[], object], what: str, seconds: float = 20) -> None:
    """Wait until a condition holds. Raise `TimeoutError` naming what was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for: {what}")
        time.sleep(0.02)


class Process:
    """A child in a process group of its own; `log` takes both its outputs. It dies with us even if we are killed."""

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
        """End it as a pulled plug would: kill -9."""
        self.signal(signal.SIGKILL)
        self.child.wait(timeout=10)

    def stop(self) -> int:
        """Ask it to end and return its exit code; kill it if it does not within ten seconds."""
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
