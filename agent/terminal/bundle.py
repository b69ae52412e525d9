"""One file for support: what a technician would be asked for, and nothing that identifies a child.

Each part is text of a bounded length, made in memory, so that a full disk does not prevent it. No
key, no card number, no token, no label and no database is ever read into it.
"""

import io
import json
import shutil
import subprocess
import tarfile
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import msgspec

from agent.errors import AgentError
from agent.ops.control_client import ask
from agent.readers.plugged import Device
from agent.store import lists
from agent.store.viewing import view
from agent.terminal.config import load_places
from agent.terminal.doctor.look import look

PART_BYTES_MAX = 2_000_000
"""The end of a longer part is kept: the newest lines of a log say most."""
COMMAND_S = 30.0
UNITS = ("canteen-agent", "canteen-screen", "canteen-kiosk", "pcscd")
# Keys of agent.toml whose values are not sent: names of people, and what belongs to a password.
_WITHHELD = ("username", "help")


class Part(NamedTuple):
    """A file of the bundle: its name, and what makes its text."""

    name: str
    text: Callable[[], str]


def parts(config_path: Path, devices: Callable[[], list[Device]]) -> list[Part]:
    """Return the files of a bundle, not made yet."""
    units = [word for unit in UNITS for word in ("-u", unit)]
    # raw bytes of readers have the priority debug, and are left out
    printed = ["journalctl", "--no-pager", "-o", "short-iso", "-p", "info", *units]
    return [
        Part("doctor.json", lambda: _doctor(config_path, devices())),
        Part("status.json", lambda: _status(config_path)),
        Part("incidents.json", lambda: _incidents(config_path)),
        Part("agent.toml.json", lambda: withheld(config_path.read_text(encoding="utf-8"))),
        Part("units.txt", lambda: _printed("systemctl", "status", "--no-pager", "-n", "0", *UNITS)),
        Part("journal-this-boot.txt", lambda: _printed(*printed, "-b", "0")),
        Part("journal-last-boot.txt", lambda: _printed(*printed, "-b", "-1")),
        Part("packages.txt", lambda: _printed("dpkg-query", "-W", "canteen-*", "python3*")),
        Part("disk.txt", lambda: _printed("df", "-h") + _printed("df", "-i")),
        Part("memory.txt", lambda: _printed("free", "-m")),
        Part("usb.txt", lambda: _printed("lsusb")),
    ]


def bundle(files: list[Part]) -> Iterator[bytes]:
    """Yield nothing for each part that is made, and last the whole archive (.tar.gz).

    A part that cannot be made has its reason as text.
    """
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for part in files:
            content = _made(part).encode("utf-8", "replace")[-PART_BYTES_MAX:]
            info = tarfile.TarInfo(f"canteen-bundle/{part.name}")
            info.size, info.mtime = len(content), int(time.time())
            tar.addfile(info, io.BytesIO(content))
            yield b""
    yield archive.getvalue()


def withheld(toml: str) -> str:
    """Return agent.toml as JSON, without values that name a person or belong to a password.

    It is parsed, since TOML has many ways to write a key; so comments are gone, too. Raise
    `ValueError` for a text that is no TOML: then nothing of it is sent. Pure.
    """
    return json.dumps(_withheld(tomllib.loads(toml)), indent=1)


def _withheld(value: object) -> object:
    match value:
        case dict():
            return {
                key: "(withheld)" if key in _WITHHELD else _withheld(inner)
                for key, inner in value.items()
            }
        case list():
            return [_withheld(inner) for inner in value]
        case _:
            return value if isinstance(value, str | int | float) else str(value)


def _made(part: Part) -> str:
    try:
        return part.text()
    except (AgentError, OSError, ValueError) as error:
        return f"not made: {error}\n"


def _doctor(config_path: Path, devices: list[Device]) -> str:
    return json.dumps([asdict(finding) for finding in look(config_path, devices)], indent=1)


def _status(config_path: Path) -> str:
    return json.dumps(ask(load_places(config_path).control_socket, "status"), indent=1)


def _incidents(config_path: Path) -> str:
    with view(load_places(config_path).database) as db:
        return json.dumps(msgspec.to_builtins(lists.incidents(db)), indent=1)


def _printed(*command: str) -> str:
    """Return what a command prints. Raise `OSError` where it is missing or too slow."""
    if shutil.which(command[0]) is None:
        raise FileNotFoundError(f"{command[0]} is not on this machine")
    try:
        done = subprocess.run(command, capture_output=True, timeout=COMMAND_S, check=False)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{command[0]} took more than {COMMAND_S:.0f} s") from None
    return (done.stdout + done.stderr).decode("utf-8", "replace")
