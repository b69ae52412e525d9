"""The office's commands for boxes: authority, codes, certificates, broker."""

import json
import stat
from pathlib import Path

import pytest

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
    printed = run_central("--db", db, *words, code=1)
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
