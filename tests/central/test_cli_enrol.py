"""The office's commands for boxes: authority, codes, certificates, broker."""

import json
import os
import pwd
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.central.enrolment.authority import load_authority, store_revocations
from tests.parts.process import CENTRAL, clock_of
from tests.parts.town import TOWN, run_central

ADDRESSES = ("--enrol", "127.0.0.1:8884", "--broker", "mqtts://127.0.0.1:8883")


@pytest.fixture
def db(tmp_path: Path) -> Path:
    db = tmp_path / "central.db"
    run_central("--db", db, "init", "--town", TOWN)
    return db


def test_the_authority_is_made_once(db: Path) -> None:
    run_central("--db", db, "ca", "init", *ADDRESSES)
    folder = db.with_name("central.db.ca")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(before) == ["addresses.toml", "ca.crt", "ca.key", "central.pem"]
    printed = run_central("--db", db, "ca", "init", *ADDRESSES, code=1)
    assert "ends all its certificates" in printed
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_command_that_was_killed_before_the_key_was_written_is_given_again(db: Path) -> None:
    run_central("--db", db, "ca", "init", *ADDRESSES)
    db.with_name("central.db.ca").joinpath("ca.key").unlink()
    run_central("--db", db, "ca", "init", *ADDRESSES)
    assert "enrol " in run_central("--db", db, "enrol", "new", "t-1", "--site", "primaria")


@pytest.mark.parametrize(
    "words", [("enrol", "new", "t-1", "--site", "primaria"), ("enrol", "serve"), ("broker-config",)]
)
def test_without_an_authority_the_commands_name_what_makes_it(db: Path, words: list[str]) -> None:
    printed = run_central("--db", db, *words, code=78)
    assert "canteen-central ca init" in printed


def test_a_terminal_without_a_site_gets_no_code(db: Path) -> None:
    run_central("--db", db, "ca", "init", *ADDRESSES)
    assert "--site" in run_central("--db", db, "enrol", "new", "t-1", code=1)
    assert run_central("--db", db, "enrol", "list", "--json").strip() == "[]"


def test_a_code_that_waits_is_listed_and_revoke_ends_it(db: Path) -> None:
    run_central("--db", db, "ca", "init", *ADDRESSES)
    run_central("--db", db, "enrol", "new", "t-1", "--site", "primaria")
    (row,) = json.loads(run_central("--db", db, "enrol", "list", "--json"))
    assert row["code_until"] is not None and row["serial"] is None
    printed = run_central("--db", db, "enrol", "revoke", "t-1")
    assert "0 certificates of t-1" in printed and "broker-config" in printed
    (row,) = json.loads(run_central("--db", db, "enrol", "list", "--json"))
    assert row["code_until"] is None


def test_an_authority_is_not_made_while_the_clock_is_unset(db: Path) -> None:
    """It would have ended before it is used."""
    command: list[str | Path] = [
        *clock_of("@1970-01-02 00:00:00"),
        CENTRAL,
        "--db",
        db,
        "ca",
        "init",
        *ADDRESSES,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "clock of this machine is not set" in done.stderr
    assert not db.with_name("central.db.ca").exists()


def test_what_was_revoked_stays_revoked_after_a_restore(db: Path, tmp_path: Path) -> None:
    run_central("--db", db, "ca", "init", *ADDRESSES)
    folder = db.with_name("central.db.ca")
    authority = load_authority(folder)
    store_revocations(folder, authority, ["abc"], datetime.now(UTC))
    run_central("--db", db, "terminals", "add", "t-1", "primaria")
    run_central("--db", db, "enrol", "revoke", "t-1")
    settings = tmp_path / "mosquitto" / "conf.d"
    user = pwd.getpwuid(os.geteuid()).pw_name
    run_central("--db", db, "broker-config", settings, "--user", user)
    for path in (folder / "revoked.pem", settings.parent / "canteen" / "revoked.pem"):
        assert authority.revoked_serials(path.read_text()) == ["abc"]


def test_files_for_another_machine_name_its_folders(db: Path, tmp_path: Path) -> None:
    run_central("--db", db, "ca", "init", *ADDRESSES)
    user = pwd.getpwuid(os.geteuid()).pw_name
    words = ("--user", user, "--as", "/etc/mosquitto/conf.d")
    run_central("--db", db, "broker-config", tmp_path / "copy" / "conf.d", *words)
    text = (tmp_path / "copy" / "conf.d" / "canteen.conf").read_text()
    assert "acl_file /etc/mosquitto/canteen/acl" in text and str(tmp_path) not in text
