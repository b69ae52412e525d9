"""hledger computes every balance of the export again."""

import subprocess
from pathlib import Path

from agent.central.books.postings import Payment, PaymentKey
from agent.central.office.credit import credit
from agent.central.office.hledger import hledger_lines
from tests.conftest import CARD, OTHER_CARD
from tests.parts.process import require
from tests.parts.wire import ZONE, Wire


def check(path: Path, text: str) -> int:
    path.write_text(text, encoding="utf-8")
    command = [require("hledger"), "-f", str(path), "check"]
    return subprocess.run(command, capture_output=True, timeout=60).returncode


def test_hledger_accepts_the_export_and_refuses_a_wrong_balance(wire: Wire, tmp_path: Path) -> None:
    books = wire.central.books
    wire.central.credit("a-1", 2_000, "r-1")
    for card in (CARD, OTHER_CARD):
        wire.box.tap(card)
    wire.settle()
    ahead = Payment("a-1", 1, PaymentKey("desk; 2", "1"))
    credit(books, ahead, at="2027-01-01T00:00:00.000Z")  # by a clock that ran ahead
    wire.central.credit("a-1", -500, "r-2")
    text = "\n".join(hledger_lines(books, ZONE))
    assert check(tmp_path / "town.hledger", text) == 0
    assert "accounts:a-1  -5.00 EUR = 11.35 EUR" in text
    wrong = text.replace("= 11.35 EUR", "= 11.36 EUR")
    assert check(tmp_path / "town.hledger", wrong) != 0
