"""Faults of agent.toml and of the secrets beside it."""

import os
import subprocess
from pathlib import Path

import pytest

from agent.terminal.config import load_file
from agent.terminal.doctor.finding import Finding, Level
from agent.terminal.doctor.settings import look_at_credentials, look_at_file

TOML = """town = "borgofiorito"
terminal = "t-1"
card_key_file = "credential:card-key"
[broker]
url = "mqtts://broker.example:8883"
key_file = "credential:tls-key"
certificate_file = "own.crt"
[[reader]]
name = "counter"
profile = "rdm6300"
port = "/dev/null"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "agent.toml").write_text(TOML, encoding="utf-8")
    return tmp_path / "agent.toml"


def test_a_right_file_is_well_without_its_secrets(config: Path) -> None:
    (finding,) = look_at_file(config)
    assert finding.level is Level.OK and "readers: counter" in finding.seen


@pytest.mark.parametrize(
    ("old", "new", "seen"),
    [
        ("town =", "twon =", "unknown key 'twon'; did you mean 'town'"),
        ('"rdm6300"', '"rdm630"', "rdm630"),
        ('terminal = "t-1"', 'terminal = "t-1"\nzone = "Europe/Roma"', "no time zone"),
        ("[broker]", "[broker", "TOML"),
        ('port = "/dev/null"\n', "", "write port"),
    ],
)
def test_a_wrong_file_is_a_fault_with_the_key(config: Path, old: str, new: str, seen: str) -> None:
    config.write_text(TOML.replace(old, new), encoding="utf-8")
    (finding,) = look_at_file(config)
    assert finding.level is Level.FAULT and seen in finding.seen and str(config) in finding.mend


def test_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    (finding,) = look_at_file(tmp_path / "agent.toml")
    assert finding.level is Level.FAULT and "cannot be read" in finding.seen
    assert finding.mend.startswith("sudo canteen-agent enrol CODE;")


def secrets_of(config: Path, folder: Path) -> list[Finding]:
    return list(look_at_credentials(load_file(config), folder))


def test_a_missing_and_an_empty_secret_are_faults(config: Path, tmp_path: Path) -> None:
    (tmp_path / "tls-key").touch(mode=0o600)
    card_key, tls_key = secrets_of(config, tmp_path)
    assert card_key.level is tls_key.level is Level.FAULT
    assert "card-key is missing" in card_key.seen and "tls-key is empty" in tls_key.seen
    assert "install -m 600" in card_key.mend


def test_a_secret_that_others_may_read_is_a_fault_until_the_line_that_mends_it_ran(
    config: Path, tmp_path: Path
) -> None:
    for name in ("card-key", "tls-key"):
        (tmp_path / name).write_text("x")
        os.chmod(tmp_path / name, 0o644)
    findings = secrets_of(config, tmp_path)
    assert all("mode 0644: others may read it" in finding.seen for finding in findings)
    for finding in findings:
        subprocess.run(finding.mend.removeprefix("sudo ").split(), check=True, timeout=10)
    assert {finding.level for finding in secrets_of(config, tmp_path)} == {Level.OK}
