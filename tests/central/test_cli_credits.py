"""Credits from a file and a day's totals, as the office uses them."""

import json
from pathlib import Path

from tests.parts.process import ROOT
from tests.parts.town import run_central

CREDITS = """channel,id,kind,account,euro,reason
desk-2,r-1,top_up,a-1001,20.00,cash
desk-2,r-2,top_up,a-1002,15.50,cash
municipality,v-1,voucher,a-1001,40.00,first child
"""


def test_a_desk_sends_its_day_and_closes_with_totals(tmp_path: Path) -> None:
    db = tmp_path / "central.db"
    run_central("--db", db, "init", "--town", "borgofiorito")
    hours = ("--opens", "12:00", "--closes", "14:15")
    run_central("--db", db, "service", "primaria", "lunch", *hours)
    run_central("--db", db, "import-roster", ROOT / "demo" / "borgofiorito.csv")
    file = tmp_path / "day.csv"
    file.write_text(CREDITS)
    shown = run_central("--db", db, "import-credits", file, "--dry-run")
    assert "3 credits would be booked, 75.50 euro; 0 were booked before" in shown
    assert "3 credits booked" in run_central("--db", db, "import-credits", file)
    assert "0 credits booked, 0.00 euro; 3 were" in run_central("--db", db, "import-credits", file)
    rows = json.loads(run_central("--db", db, "takings", "--json"))
    assert rows == [
        {"channel": "desk-2", "kind": "top_up", "number": 2, "amount_cents": 3_550},
        {"channel": "municipality", "kind": "voucher", "number": 1, "amount_cents": 4_000},
    ]
    assert json.loads(run_central("--db", db, "takings", "2020-01-01", "--json")) == []
    file.write_text(CREDITS.replace("15.50", "15.5"))
    assert "nothing is booked: line 3" in run_central("--db", db, "import-credits", file, code=1)


def test_the_office_moves_credit_to_a_sister(tmp_path: Path) -> None:
    db = tmp_path / "central.db"
    run_central("--db", db, "init", "--town", "borgofiorito")
    hours = ("--opens", "12:00", "--closes", "14:15")
    run_central("--db", db, "service", "primaria", "lunch", *hours)
    run_central("--db", db, "import-roster", ROOT / "demo" / "borgofiorito.csv")
    run_central("--db", db, "credit", "a-1001", "20.00", "--id", "1")
    words = ("transfer", "a-1001", "a-1002", "5.00", "--id", "t-1", "--reason", "to the sister")
    shown = run_central("--db", db, *words)
    assert shown == "booked: a-1001 has 15.00 euro, a-1002 has 5.00\n"
    assert "was booked before" in run_central("--db", db, *words)
    (line,) = json.loads(run_central("--db", db, "statement", "a-1002", "--json"))
    assert (line["kind"], line["reason"]) == ("transfer", "to the sister")
