"""The office's command line as a person meets it: real processes, sentences, exit codes."""

import json
from pathlib import Path

import pytest

from tests.parts.process import ROOT
from tests.parts.town import run_central


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "central.db"
    run_central("--db", path, "init", "--town", "borgofiorito")
    return path


def office(db: Path, *words: str | Path, code: int = 0) -> str:
    return run_central("--db", db, *words, code=code)


def test_the_office_does_its_day(db: Path) -> None:
    assert "42 new" in office(db, "import-roster", ROOT / "demo" / "borgofiorito.csv")
    office(db, "terminals", "add", "t-1", "primaria")
    assert json.loads(office(db, "terminals", "--json"))[0]["site"] == "primaria"
    assert "booked, balance 20.00" in office(db, "credit", "a-1001", "20.00", "--id", "r-1")
    assert "was booked before, balance 20.00" in office(
        db, "credit", "a-1001", "20.00", "--id", "r-1"
    )
    assert "balance 15.00" in office(db, "credit", "--id", "r-2", "--", "a-1001", "-5.00")
    assert "a-1001" in office(db, "card", "block", "a:04b0a100c2d3e4")
    assert "a-1001" in office(db, "card", "replace", "a:04b0a100c2d3e4", "a:04b0a1ffc2d3e4")
    office(db, "card", "assign", "em:0900000001", "a-1002")
    office(
        db,
        "service",
        "primaria",
        "lunch",
        "--opens",
        "12:00",
        "--closes",
        "14:15",
        "--closed-day",
        "2026-12-08",
    )
    assert "refuse" in office(
        db, "policy", "--shortage", "refuse", "--floor", "-10.00", "--from", "2027-01-01"
    )
    assert "-1000" in office(db, "policy", "--from", "2027-01-01")
    accounts = {row["id"]: row for row in json.loads(office(db, "accounts", "--json"))}
    assert accounts["a-1001"]["balance_cents"] == 1_500
    assert "all correct" in office(db, "check")
    office(db, "new-generation", "--reason", "backup of last night")
    assert "new_generation" in office(db, "incidents")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("credit", "a-1", "3.6", "--id", "x"), "write it as 3.66"),
        (("credit", "nobody", "3.60", "--id", "x"), "there is no account 'nobody'"),
        (("card", "block", "04a1"), "not a card id"),
        (("card", "block", "em:0900000001"), "no account has card"),
        (("service", "primaria", "lunch", "--opens", "12", "--closes", "14:15"), "service lunch"),
        (
            ("service", "primaria", "lunch", "--opens", "15:00", "--closes", "14:15"),
            "is not before",
        ),
        (("terminals", "add", "t/1", "primaria"), "is no id: write letters"),
        (("terminals", "retire", "t-1"), "there is no terminal 't-1'"),
        (("import-roster", "nowhere.csv"), "cannot be read"),
        (("init", "--town", "other"), "is there already"),
    ],
)
def test_a_no_is_a_sentence_and_exit_code_1(
    db: Path, words: tuple[str, ...], sentence: str
) -> None:
    said = office(db, *words, code=1)
    assert sentence in said and "Traceback" not in said


def test_a_wrong_word_is_usage_and_exit_code_2(db: Path) -> None:
    assert "No such command" in office(db, "dance", code=2)
    assert "Missing option '--id'" in office(db, "credit", "a-1", "1.00", code=2)
