"""A yearly statement as PDF: its words as a PDF reader reads them, and the same bytes each time."""

import logging
import re
import subprocess
from pathlib import Path

import pytest

from agent.central.books.accounts import Account
from agent.central.books.statements import PaidLine
from agent.central.office.yearly import AccountYear, FamilyYear, YearlyLine
from agent.central.office.yearly_pdf import Print, yearly_pdf
from agent.errors import CentralError

ITALIAN = Print("Comune di Borgofiorito", "it", "2027-01-15")
ENGLISH = ITALIAN._replace(language="en")
AT = "2026-11-23T11:05:00.000Z"


def line(day: str, cents: int, external: str) -> YearlyLine:
    return YearlyLine(day, PaidLine("a-1", cents, AT, None, "pagopa", external))


def statement(label: str = "Nora K.", lines: int = 1) -> FamilyYear:
    nora = Account("a-1", "primaria", "pupil", "active", "1A", label, family="f-1")
    ivo = Account("a-2", "primaria", "pupil", "active", "3B", "Ivo K.", family="f-1")
    paid = [line("2026-10-02", 123_450, f"r-{n}") for n in range(lines)]
    refund = line("2026-12-01", -334, "80012345678/" + "9" * 60)
    return FamilyYear(
        "family-f-1",
        2026,
        [AccountYear(nora, [*paid, refund]), AccountYear(ivo, [line("2026-11-23", 2_000, "r-x")])],
    )


def text_of(pdf: bytes, folder: Path) -> str:
    """Return a PDF's text as pdftotext of poppler reads it."""
    file = folder / "s.pdf"
    file.write_bytes(pdf)
    command = ["pdftotext", "-layout", str(file), "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def test_a_statement_has_each_payment_and_the_sums_in_italian(tmp_path: Path) -> None:
    text = text_of(yearly_pdf(statement(), ITALIAN), tmp_path)
    assert "Comune di Borgofiorito" in text
    assert "Mensa scolastica: pagamenti del 2026" in text
    assert "Conto a-1: Nora K., classe 1A, primaria" in text
    assert "Conto a-2: Ivo K., classe 3B, primaria" in text
    assert re.search(r"02/10/2026 +pagopa +r-0 +1234,50", text)
    # a long id goes on on the next line, whole
    assert re.search(r"01/12/2026 +pagopa +-3,34", text) and "80012345678/999" in text
    assert sum(row.count("9") for row in text.splitlines() if "9" * 5 in row) == 60
    for word, euro in (("Versato", "1234,50"), ("Rimborsato", "-3,34"), ("Totale", "1231,16")):
        assert re.search(rf"{word} +{euro}", text)
    assert "Totale della famiglia: 1251,16 €" in text
    assert "senza buoni e trasferimenti" in text and "Stampato il 15/01/2027" in text


def test_a_statement_is_also_in_english(tmp_path: Path) -> None:
    text = text_of(yearly_pdf(statement(), ENGLISH), tmp_path)
    assert "School canteen: payments of 2026" in text and "Printed on 2027-01-15" in text
    assert "Total of the family: 1251.16 €" in text and "Account a-1: Nora K., class 1A" in text


def test_the_same_statement_has_the_same_bytes() -> None:
    first = yearly_pdf(statement(), ITALIAN)
    assert first == yearly_pdf(statement(), ITALIAN)
    assert first != yearly_pdf(statement(), ITALIAN._replace(day="2027-01-16"))


def test_a_long_year_goes_on_on_the_next_page(tmp_path: Path) -> None:
    text = text_of(yearly_pdf(statement(lines=100), ITALIAN), tmp_path)
    assert text.count("\f") > 1 and "r-99" in text


def test_a_letter_that_the_font_lacks_is_a_question_mark_and_in_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        text = text_of(yearly_pdf(statement("\N{CJK UNIFIED IDEOGRAPH-4F60}đ"), ITALIAN), tmp_path)
    assert "Conto a-1: ?đ, classe 1A" in text
    assert "\N{CJK UNIFIED IDEOGRAPH-4F60}" not in caplog.text


def test_a_missing_font_is_named_with_its_package(tmp_path: Path) -> None:
    with pytest.raises(CentralError, match="apt install fonts-dejavu-core"):
        yearly_pdf(statement(), ITALIAN._replace(fonts=tmp_path))
