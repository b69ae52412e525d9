"""The unit is accepted by systemd, and the wheel brings its profiles."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.parts.process import AGENT, ROOT, require


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "canteen-agent.service"
    text = (ROOT / "systemd" / "canteen-agent.service").read_text(encoding="utf-8")
    assert "/opt/canteen-agent/bin/canteen-agent" in text
    unit.write_text(
        text.replace("/opt/canteen-agent/bin/canteen-agent", str(AGENT)), encoding="utf-8"
    )
    done = subprocess.run(
        [require("systemd-analyze"), "verify", unit], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_unit_promises_what_the_agent_does() -> None:
    unit = (ROOT / "systemd" / "canteen-agent.service").read_text(encoding="utf-8")
    for line in (
        "Type=notify", "WatchdogSec=30", "User=canteen-agent", "StateDirectory=canteen-agent",
        "LoadCredential=card-key:/etc/canteen-agent/card-key", "RestartPreventExitStatus=78", "Restart=always",
    ):  # fmt: skip
        assert line in unit.splitlines()


def test_the_unit_lets_the_agent_ask_whether_the_clock_is_right() -> None:
    unit = (ROOT / "systemd" / "canteen-agent.service").read_text(encoding="utf-8").splitlines()
    assert "ProtectClock=yes" not in unit
    allowed: set[str] = set()
    for line in unit:
        if line.startswith("SystemCallFilter="):
            words = line.removeprefix("SystemCallFilter=")
            calls = {call for word in words.lstrip("~").split() for call in _system_calls(word)}
            allowed = allowed - calls if words.startswith("~") else allowed | calls
    assert {"adjtimex", "clock_adjtime", "fdatasync", "flock", "connect", "ppoll"} <= allowed


def _system_calls(name: str) -> set[str]:
    """Return the system calls of a group of systemd's, groups within it opened."""
    if not name.startswith("@"):
        return {name}
    listed = subprocess.run(
        [require("systemd-analyze"), "syscall-filter", name],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    words = [
        line.strip()
        for line in listed.splitlines()[1:]
        if line.strip() and not line.strip().startswith("#")
    ]
    return {call for word in words for call in _system_calls(word)}


def test_an_installed_wheel_finds_its_profiles(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(
        ROOT, source, ignore=shutil.ignore_patterns(".venv", ".git", ".make", "*cache*")
    )
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-build-isolation",
            "--no-deps",
            "--wheel-dir",
            tmp_path,
            source,
        ],
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    shutil.rmtree(source)
    imports = "from agent.readers.profile import profiles_dir; from agent.readers.profile_rules import load_profile"
    code = f"{imports}; print(profiles_dir(), load_profile('rdm6300').id)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "installed")},
    )
    assert done.stdout.split() == [
        str(tmp_path / "installed" / "agent" / "firmware-profiles"),
        "rdm6300",
    ], done.stderr
