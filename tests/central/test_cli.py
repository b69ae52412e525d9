"""The central's command line as a person uses it: real processes, sentences, exit codes."""

import json
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from tests.parts.process import ROOT
from tests.parts.town import run_central


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "central.db"
    run_central("--db", path, "init", "--town", "borgofiorito")
    return path


HOURS = ("--opens", "12:00", "--closes", "14:15")


def office(db: Path, *words: str | Path, code: int = 0) -> str:
    return run_central("--db", db, *words, code=code)


def test_a_new_central_has_a_card_key_for_its_owner_alone(db: Path) -> None:
    key = db.with_name("central.db.card-key")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "already exists" in office(db, "init", "--town", "other", code=1)


def test_the_office_does_a_days_work(db: Path) -> None:
    closed = (*HOURS, "--closed-day", "2026-12-08")
    printed = office(db, "service", "primaria", "lunch", *closed)
    assert "lunch at primaria: 12:00 to 14:15" in printed
    assert "42 new" in office(db, "import-roster", ROOT / "demo" / "borgofiorito.csv")
    office(db, "terminals", "add", "t-1", "primaria")
    assert json.loads(office(db, "terminals", "--json"))[0]["site"] == "primaria"
    first, again = (office(db, "credit", "a-1001", "20.00", "--id", "r-1") for _ in range(2))
    assert "a-1001: booked, balance 20.00 euro" in first
    assert "was booked before, balance 20.00 euro" in again
    assert "balance 15.00" in office(db, "credit", "--id", "r-2", "--", "a-1001", "-5.00")
    assert "a-1001" in office(db, "card", "block", "a:04b0a100c2d3e4")
    assert "a-1001" in office(db, "card", "replace", "a:04b0a100c2d3e4", "a:04b0a1ffc2d3e4")
    office(db, "card", "assign", "em:0900000001", "a-1002")
    accounts = {row["id"]: row for row in json.loads(office(db, "accounts", "--json"))}
    assert accounts["a-1001"]["balance_cents"] == 1_500
    assert "all correct" in office(db, "check")
    office(db, "new-generation", "--reason", "backup of last night")
    assert "new_generation" in office(db, "incidents")


def test_check_ends_with_1_and_names_each_difference(db: Path) -> None:
    office(db, "service", "primaria", "lunch", *HOURS)
    office(db, "import-roster", ROOT / "demo" / "borgofiorito.csv")
    office(db, "credit", "a-1001", "20.00", "--id", "r-1")
    with closing(sqlite3.connect(db, isolation_level=None)) as other:
        other.execute("UPDATE account SET balance = 1 WHERE id = 'a-1001'")
    assert "account a-1001: balance is 1 cents" in office(db, "check", code=1)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("credit", "a-1", "3.6", "--id", "x"), "write it as 3.66"),
        (("credit", "nobody", "3.60", "--id", "x"), "account 'nobody' does not exist"),
        (("card", "block", "04a1"), "not a card id"),
        (("card", "block", "em:0900000001"), "belongs to no account"),
        (("service", "primaria", "lunch", "--opens", "12", "--closes", "14:15"), "service lunch"),
        (
            ("service", "primaria", "lunch", "--opens", "15:00", "--closes", "14:15"),
            "is not before",
        ),
        (("terminals", "add", "t/1", "primaria"), "is not an id: write letters"),
        (("terminals", "retire", "t-1"), "terminal 't-1' does not exist"),
        (("import-roster", "nowhere.csv"), "cannot be read"),
        (("import-ledger", "nowhere.ledger"), "cannot be read"),
        (("init", "--town", "other"), "already exists"),
        (("init", "--town", "a/b"), "is not an id"),
        (("init", "--town", "x" * 57), "has 65 characters"),
        (("init", "--town", "x", "--zone", "Europe/Barletta"), "does not exist"),
    ],
)
def test_a_refused_command_is_a_sentence_and_exit_code_1(
    db: Path, words: tuple[str, ...], sentence: str
) -> None:
    printed = office(db, *words, code=1)
    assert sentence in printed and "Traceback" not in printed


def test_a_missing_database_names_the_command_that_creates_it(tmp_path: Path) -> None:
    printed = office(tmp_path / "nowhere.db", "accounts", code=1)
    assert "create it with: canteen-central init" in printed


def test_a_missing_card_key_is_a_configuration_error(db: Path) -> None:
    db.with_name("central.db.card-key").unlink()
    printed = office(db, "card", "block", "em:0900000001", code=78)
    assert "restore the file from a backup" in printed


def test_a_wrong_word_is_usage_and_exit_code_2(db: Path) -> None:
    assert "No such command" in office(db, "dance", code=2)
    assert "Missing option '--id'" in office(db, "credit", "a-1", "1.00", code=2)
