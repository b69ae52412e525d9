"""The office's commands for payments, as a person uses them."""

import json
from pathlib import Path

import pytest

from tests.parts.payment_messages import CREDITOR, OldReceipt, Receipt, old_receipt, soap_receipt
from tests.parts.process import ROOT
from tests.parts.town import run_central

SETTINGS = f"""name = "Comune di Borgofiorito"
creditor = "{CREDITOR}"
segregation = "47"
public_url = "https://mensa.example"
"""


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "central.db"
    run_central("--db", path, "init", "--town", "borgofiorito")
    office(path, "service", "primaria", "lunch", "--opens", "12:00", "--closes", "14:15")
    office(path, "import-roster", ROOT / "demo" / "borgofiorito.csv")
    path.with_name("central.db.payments.toml").write_text(SETTINGS)
    return path


def office(db: Path, *words: str | Path, code: int = 0) -> str:
    return run_central("--db", db, *words, code=code)


def test_the_office_gives_out_a_notice_and_takes_in_its_receipts(db: Path, tmp_path: Path) -> None:
    notice = json.loads(office(db, "payments", "notice", "a-1001=12.50", "a-1002=7.50", "--json"))
    assert notice["link"] == f"https://mensa.example/notice/{notice['notice']}"
    folder = tmp_path / "RT"
    folder.mkdir()
    (folder / "1.xml").write_bytes(soap_receipt(Receipt(notice["iuv"])))
    (folder / "2.xml").write_bytes(old_receipt(OldReceipt(notice["iuv"])))
    (folder / "3.xml").write_bytes(soap_receipt(Receipt(notice["iuv"], "receipt-2")))
    (folder / "4.xml").write_bytes(soap_receipt(Receipt("nobody", "receipt-3")))
    printed = office(db, "payments", "receipts", folder)
    assert "1 credited, 1 duplicate, 2 parked" in printed
    accounts = {row["id"]: row for row in json.loads(office(db, "accounts", "--json"))}
    assert accounts["a-1001"]["balance_cents"] == 1_250
    assert accounts["a-1002"]["balance_cents"] == 750

    second, unknown = json.loads(office(db, "payments", "--json"))
    assert "its notice is already paid" in second["reason"] and second["amount_cents"] == 2_000
    assert "no reference of this town" in unknown["reason"]
    number = str(second["n"])
    refund = office(db, "payments", "refund", number, "--reason", "paid back on Friday")
    assert f"payment {number}: 20.00 euro refunded" in refund
    words = ("assign", str(unknown["n"]), "a-1003=20.00", "--reason", "his mother came")
    assert "20.00 euro credited" in office(db, "payments", *words)
    assert json.loads(office(db, "payments", "--json")) == []
    states = [row["state"] for row in json.loads(office(db, "payments", "list", "--json"))]
    assert states == ["credited", "refunded", "credited"]
    assert "all correct" in office(db, "check")


def test_a_file_that_cannot_be_read_is_set_aside_and_ends_with_1(db: Path, tmp_path: Path) -> None:
    (tmp_path / "x.xml").write_bytes(b"<a/>")
    printed = office(db, "payments", "receipts", tmp_path / "x.xml", code=1)
    assert "x.xml: set aside:" in printed
    assert "message set aside" in office(db, "incidents")


def test_a_payment_that_is_not_the_canteens_is_rejected(db: Path, tmp_path: Path) -> None:
    (tmp_path / "x.xml").write_bytes(soap_receipt(Receipt("nobody")))
    office(db, "payments", "receipts", tmp_path / "x.xml")
    assert "20.00 euro rejected" in office(db, "payments", "reject", "1", "--reason", "no pupil")
    assert "is rejected, not parked" in office(
        db, "payments", "reject", "1", "--reason", "again", code=1
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("a-1001",), "not an amount"),
        (("a-1001=0.00",), "as a-1001=20.00"),
        (("a-1001=1.00", "a-1001=2.00"), "write each account once"),
        (("nobody=1.00",), "account 'nobody' does not exist"),
    ],
)
def test_a_wrong_share_is_refused(db: Path, words: tuple[str, ...], sentence: str) -> None:
    assert sentence in office(db, "payments", "notice", *words, code=1)


def test_missing_settings_are_a_configuration_error(db: Path) -> None:
    db.with_name("central.db.payments.toml").unlink()
    printed = office(db, "payments", "notice", "a-1001=1.00", code=78)
    assert "central.db.payments.toml: cannot be read" in printed


def test_texts_of_recent_messages_are_not_removed(db: Path, tmp_path: Path) -> None:
    (tmp_path / "1.xml").write_bytes(soap_receipt(Receipt("nobody")))
    office(db, "payments", "receipts", tmp_path / "1.xml")
    shown = office(db, "payments", "prune", "--dry-run")
    assert shown == "texts would be removed: 0 of payments, 0 set aside\n"
    assert office(db, "payments", "prune") == "texts removed: 0 of payments, 0 set aside\n"
