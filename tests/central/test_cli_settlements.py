"""Flows, the treasury's sums and the reconciliation, as the office uses them."""

import json
from pathlib import Path

import pytest

from tests.parts.payment_messages import CREDITOR
from tests.parts.process import ROOT
from tests.parts.settlement_messages import FlowMessage, Movement, Row, cash_book, flow_message
from tests.parts.town import run_central

SETTINGS = (
    f'name = "Borgofiorito"\ncreditor = "{CREDITOR}"\nsegregation = "47"\n'
    'public_url = "https://mensa.example"\n'
)


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "central.db"
    run_central("--db", path, "init", "--town", "borgofiorito")
    hours = ("--opens", "12:00", "--closes", "14:15")
    run_central("--db", path, "service", "primaria", "lunch", *hours)
    run_central("--db", path, "import-roster", ROOT / "demo" / "borgofiorito.csv")
    path.with_name("central.db.payments.toml").write_text(SETTINGS)
    return path


def office(db: Path, *words: str | Path, code: int = 0) -> str:
    return run_central("--db", db, *words, code=code)


def test_the_office_reconciles_a_day_until_nothing_differs(db: Path, tmp_path: Path) -> None:
    notice = json.loads(office(db, "payments", "notice", "a-1001=20.00", "--json"))
    (tmp_path / "flow.xml").write_bytes(flow_message(FlowMessage((Row(notice["iuv"]),))))
    (tmp_path / "sums.xml").write_bytes(cash_book(Movement()))
    assert ": 1 payments, 0 revoked now" in office(db, "settlements", "flow", tmp_path / "flow.xml")
    assert "was taken in before" in office(db, "settlements", "flow", tmp_path / "flow.xml")
    printed = office(db, "settlements", "treasury", tmp_path / "sums.xml")
    assert "1 sums, page 1 of 2" in printed

    assert "no receipt" in office(db, "reconcile", code=1)
    (missing,) = json.loads(office(db, "settlements", "--json"))
    assert missing["amount_cents"] == 2_000
    credited = office(db, "settlements", "credit", missing["receipt"])
    assert f"{missing['receipt']}: credited" in credited
    report = json.loads(office(db, "reconcile", "2026-11-23", "--json"))
    assert report["differences"] == []
    assert report["days"][0]["arrived_cents"] == 2_000
    assert "0 differences" in office(db, "reconcile")
    assert json.loads(office(db, "reconcile", "2026-11-24", "--json"))["days"] == []


def test_a_file_that_is_none_is_a_sentence_with_its_name(db: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"<a/>")
    assert "x: the document has 0 flows" in office(
        db, "settlements", "flow", tmp_path / "x", code=1
    )
    assert "cannot be read" in office(db, "settlements", "treasury", tmp_path / "no", code=1)
    assert "no flow has it" in office(db, "settlements", "credit", "x", code=1)
