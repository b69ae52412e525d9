"""Statements, a year, low balances and the export, as the office uses them."""

import json
import subprocess
from pathlib import Path

import pytest
from openpyxl import load_workbook

from tests.parts.process import CENTRAL, ROOT
from tests.parts.town import run_central


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "central.db"
    run_central("--db", path, "init", "--town", "borgofiorito")
    hours = ("--opens", "12:00", "--closes", "14:15")
    run_central("--db", path, "service", "primaria", "lunch", *hours)
    run_central("--db", path, "import-roster", ROOT / "demo" / "borgofiorito.csv")
    run_central("--db", path, "credit", "a-1001", "20.00", "--id", "1", "--reason", "cash")
    run_central("--db", path, "credit", "--id", "2", "--", "a-1002", "-5.00")
    return path


def test_an_account_has_a_statement(db: Path) -> None:
    (line,) = json.loads(run_central("--db", db, "statement", "a-1001", "--json"))
    assert (line["kind"], line["channel"], line["reason"]) == ("top_up", "desk", "cash")
    assert (line["amount_cents"], line["balance_cents"]) == (2_000, 2_000)
    assert "does not exist" in run_central("--db", db, "statement", "a-9", code=1)


def test_a_year_is_listed_for_the_tax_return(db: Path) -> None:
    (line,) = json.loads(run_central("--db", db, "statement", "a-1001", "--json"))
    rows = json.loads(run_central("--db", db, "yearly", line["at"][:4], "--json"))
    # a-1002 was given 5 euro back that nobody had paid
    assert [(row["account"], row["net_cents"]) for row in rows] == [("a-1001", 2_000)]
    assert json.loads(run_central("--db", db, "yearly", "2020", "--json")) == []


def test_low_balances_are_listed(db: Path) -> None:
    (letter,) = json.loads(run_central("--db", db, "arrears", "--json"))
    assert (letter["family"], letter["owed_cents"]) == (None, 500)
    assert [account["account"] for account in letter["accounts"]] == ["a-1002"]
    assert "a-1002 Bruno B. 1A: -5.00" in run_central("--db", db, "arrears")
    assert len(json.loads(run_central("--db", db, "arrears", "--below", "20.01", "--json"))) > 10


def test_every_movement_is_exported(db: Path) -> None:
    printed = run_central("--db", db, "export-hledger")
    assert "accounts:a-1001  20.00 EUR = 20.00 EUR" in printed


def test_an_export_that_is_read_slowly_keeps_nobody_from_writing(db: Path, tmp_path: Path) -> None:
    """As in a pager. It is longer than a pipe, so the command waits in the middle of it."""
    credits = tmp_path / "credits.csv"
    rows = "".join(f"desk-2,r-{n},top_up,a-1001,1.00,cash\n" for n in range(2_000))
    credits.write_text(f"channel,id,kind,account,euro,reason\n{rows}", encoding="utf-8")
    run_central("--db", db, "import-credits", credits)
    command: list[str | Path] = [CENTRAL, "--db", db, "export-hledger"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as exporting:
        assert exporting.stdout is not None and exporting.stderr is not None
        assert exporting.stdout.readline().startswith(b"commodity")
        run_central("--db", db, "credit", "a-1002", "5.00", "--id", "meanwhile")
        assert exporting.poll() is None
        exporting.stdout.close()  # the reader has seen enough
        assert exporting.stderr.read() == b""
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []


def test_a_repricing_without_meals_adjusts_nothing(db: Path) -> None:
    words = ("reprice", "2026-01-01", "--reason", "new fares", "--json")
    assert json.loads(run_central("--db", db, *words, "--dry-run")) == []
    assert json.loads(run_central("--db", db, *words)) == []
    assert "--reason" in run_central("--db", db, "reprice", "2026-01-01", code=2)


def test_the_caterers_meals_are_counted(db: Path) -> None:
    assert json.loads(run_central("--db", db, "meals", "2026-11-23", "2026-11-30", "--json")) == []


def test_each_family_gets_its_statement_as_pdf(db: Path, tmp_path: Path) -> None:
    roster = tmp_path / "families.csv"
    roster.write_text("account,family\na-1001,f-1\na-1003,f-1\n")
    run_central("--db", db, "import-roster", roster)
    run_central("--db", db, "credit", "a-1002", "30.00", "--id", "r-30")
    (line,) = json.loads(run_central("--db", db, "statement", "a-1001", "--json"))
    year, folder = line["at"][:4], tmp_path / "statements"
    words = ("yearly-pdf", year, folder, "--day", "2027-01-15")
    assert "2 statements" in run_central("--db", db, *words)
    assert sorted(file.name for file in folder.iterdir()) == [
        f"{year}-account-a-1002.pdf",
        f"{year}-family-f-1.pdf",
    ]
    first = (folder / f"{year}-family-f-1.pdf").read_bytes()
    assert "1 statements" in run_central("--db", db, *words, "--family", "f-1")
    assert (folder / f"{year}-family-f-1.pdf").read_bytes() == first
    refused = run_central("--db", db, *words, "--family", "f-2", code=1)
    assert "family 'f-2' has no payment in" in refused


def test_the_caterers_meals_are_written_as_a_workbook(db: Path, tmp_path: Path) -> None:
    book = tmp_path / "meals.xlsx"
    shown = run_central("--db", db, "meals", "2026-11-23", "--xlsx", book)
    assert "0 meals in 0 rows" in shown
    (header,) = load_workbook(book).worksheets[0].iter_rows(values_only=True)
    assert header == ("day", "site", "service", "group", "dish", "meals")


def test_everything_is_exported_as_csv(db: Path, tmp_path: Path) -> None:
    shown = run_central("--db", db, "export-csv", tmp_path / "out")
    assert "18 files" in shown and "children's names" in shown
    assert "Alba A." in (tmp_path / "out" / "account.csv").read_text("utf-8-sig")
