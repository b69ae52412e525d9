"""Opening balances and the close-out, as the office uses them."""

import json
from pathlib import Path

import pytest

from tests.parts.process import ROOT
from tests.parts.town import run_central


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "central.db"
    run_central("--db", path, "init", "--town", "borgofiorito")
    hours = ("--opens", "12:00", "--closes", "14:15")
    run_central("--db", path, "service", "primaria", "lunch", *hours)
    run_central("--db", path, "import-roster", ROOT / "demo" / "borgofiorito.csv")
    return path


def test_older_cards_are_taken_over_and_shown_first(db: Path, tmp_path: Path) -> None:
    file = tmp_path / "old.csv"
    file.write_text("account,euro\na-1001,12.30\na-1002,0.00\n")
    words = ("import-balances", file, "--total", "12.30")
    shown = run_central("--db", db, *words, "--dry-run")
    assert "1 balances would be booked, 12.30 euro; 0 were booked before, 1 are zero" in shown
    assert (
        "a-1001" in shown
        and json.loads(run_central("--db", db, "statement", "a-1001", "--json")) == []
    )
    assert "1 balances booked, 12.30 euro" in run_central("--db", db, *words)
    assert "0 balances booked, 0.00 euro; 1 were" in run_central("--db", db, *words)
    assert "not to the total" in run_central("--db", db, *words[:2], "--total", "9.00", code=1)


def test_a_pupil_who_leaves_is_closed_out(db: Path, tmp_path: Path) -> None:
    run_central("--db", db, "credit", "a-1001", "8.20", "--id", "1")
    assert "0 closed accounts hold or owe" in run_central("--db", db, "close-out")
    roster = tmp_path / "leavers.csv"
    roster.write_text("account,status\na-1001,closed\n")
    run_central("--db", db, "import-roster", roster)
    (left,) = json.loads(run_central("--db", db, "close-out", "--json"))
    assert (left["account"], left["balance_cents"], left["why"]) == ("a-1001", 820, "it has credit")
    refund = ("close-out", "--how", "refund")
    shown = run_central("--db", db, *refund, "--dry-run")
    assert "1 accounts would come to 0, they hold 8.20 euro in sum" in shown
    assert "write why, with --reason" in run_central("--db", db, *refund, code=1)
    reason = ("--reason", "left school")
    assert "1 accounts came to 0, they held 8.20 euro in sum; 0 stay" in run_central(
        "--db", db, *refund, *reason
    )
    assert "0 accounts came to 0" in run_central("--db", db, *refund, *reason)
    (past,) = json.loads(run_central("--db", db, "close-out", "--past", "--json"))
    assert (past["account"], past["amount_cents"], past["reason"]) == (
        "a-1001",
        -820,
        "left school",
    )
    assert json.loads(run_central("--db", db, "close-out", "--past", "a-1002", "--json")) == []
    lines = json.loads(run_central("--db", db, "statement", "a-1001", "--json"))
    assert [(line["kind"], line["amount_cents"]) for line in lines] == [
        ("top_up", 820),
        ("refund", -820),
    ]
