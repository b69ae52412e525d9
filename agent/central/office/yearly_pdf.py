"""The wall to fpdf2: a family's yearly statement as a PDF, in the town's language.

The same statement has the same bytes: the day that is printed on it is an argument, and no clock is
read. A letter that the font lacks is printed as `?`; the account's id names the pupil all the same.
"""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agent.central.office.yearly import AccountYear, FamilyYear
from agent.domain.clock import Day
from agent.domain.money import format_euro
from agent.errors import CentralError

if TYPE_CHECKING:
    from fpdf import FPDF

FONTS = Path("/usr/share/fonts/truetype/dejavu")
"""Of Debian's package fonts-dejavu-core: a PDF has its font inside, and must have all letters."""
_STYLES = {"": "DejaVuSans.ttf", "B": "DejaVuSans-Bold.ttf"}
_FONT = "text"
_COLUMNS_MM = (24, 30, 102, 24)

_NOTES = (
    "These are the payments of the year less refunds, without vouchers and transfers.",
    "A payment counts in the year in which it was paid.",
)
_ITALIAN = {
    "School canteen: payments of {year}": "Mensa scolastica: pagamenti del {year}",
    "Account": "Conto",
    "class": "classe",
    "Day": "Giorno",
    "Channel": "Canale",
    "Payment": "Pagamento",
    "Euro": "Euro",
    "Paid": "Versato",
    "Refunded": "Rimborsato",
    "Total": "Totale",
    "Total of the family": "Totale della famiglia",
    _NOTES[0]: "Sono i pagamenti dell'anno meno i rimborsi, senza buoni e trasferimenti.",
    _NOTES[1]: "Un pagamento conta nell'anno in cui è stato fatto.",
    "Printed on {day}": "Stampato il {day}",
}


class Print(NamedTuple):
    """How a statement is printed: the town's name, `it` or `en`, the day on it, and the fonts."""

    town: str
    language: str
    day: Day
    fonts: Path = FONTS


def yearly_pdf(statement: FamilyYear, how: Print) -> bytes:
    """Return a statement as PDF. Raise `CentralError` where libraries or fonts are missing."""
    pdf = _blank(how)
    words = _ITALIAN if how.language == "it" else {}
    title = _word(words, "School canteen: payments of {year}").format(year=statement.year)
    pdf.set_title(title)
    pdf.set_font(_FONT, size=11)
    _line(pdf, how.town)
    pdf.set_font(_FONT, "B", 15)
    _line(pdf, title)
    pdf.ln(4)
    for part in statement.accounts:
        _account(pdf, part, how.language, words)
    if len(statement.accounts) > 1:
        net = sum(part.row.net_cents for part in statement.accounts)
        pdf.set_font(_FONT, "B", 11)
        _line(pdf, f"{_word(words, 'Total of the family')}: {_euro(net, how.language)} €")
    pdf.set_font(_FONT, size=9)
    pdf.ln(4)
    for sentence in _NOTES:
        _line(pdf, _word(words, sentence))
    _line(pdf, _word(words, "Printed on {day}").format(day=_day(how.day, how.language)))
    return bytes(pdf.output())


def _blank(how: Print) -> "FPDF":
    try:
        from fpdf import FPDF  # imported late: it takes a fifth of a second
    except ImportError:
        raise CentralError(
            "a PDF needs more libraries;"
            " install the central with its extra: pip install 'canteen-agent[central]'"
        ) from None
    # it logs letters that a font lacks, which are of a child's name
    logging.getLogger("fpdf").setLevel(logging.ERROR)
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    pdf = FPDF(format="A4")
    pdf.set_creation_date(datetime.fromisoformat(how.day).replace(tzinfo=UTC))
    for style, name in _STYLES.items():
        try:
            pdf.add_font(_FONT, style, how.fonts / name)
        except FileNotFoundError:
            raise CentralError(
                f"{how.fonts / name}: is missing; install it with: apt install fonts-dejavu-core"
            ) from None
    pdf.set_margin(15)
    pdf.add_page()
    return pdf


def _account(pdf: "FPDF", part: AccountYear, language: str, words: dict[str, str]) -> None:
    from fpdf.enums import WrapMode

    account, row = part.account, part.row
    group = f"{_word(words, 'class')} {account.group}" if account.group else None
    names = ", ".join(filter(None, (account.label, group, account.site)))
    pdf.set_font(_FONT, "B", 11)
    _line(pdf, f"{_word(words, 'Account')} {account.id}: {names}")
    pdf.set_font(_FONT, size=9)
    sums = {"Paid": row.paid_cents, "Refunded": -row.refunded_cents, "Total": row.net_cents}
    with pdf.table(
        width=sum(_COLUMNS_MM),
        col_widths=_COLUMNS_MM,
        text_align=("LEFT", "LEFT", "LEFT", "RIGHT"),
        wrapmode=WrapMode.CHAR,
    ) as table:
        table.row([_word(words, name) for name in ("Day", "Channel", "Payment", "Euro")])
        for day, line in part.lines:
            cells = (_day(day, language), line.channel or "", line.external or "")
            table.row([*(_shown(pdf, cell) for cell in cells), _euro(line.cents, language)])
        for name, cents in sums.items():
            table.row(["", "", _word(words, name), _euro(cents, language)])
    pdf.ln(4)


def _word(words: dict[str, str], english: str) -> str:
    return words.get(english, english)


def _line(pdf: "FPDF", text: str) -> None:
    pdf.multi_cell(0, text=_shown(pdf, text), new_x="LMARGIN", new_y="NEXT")


def _shown(pdf: "FPDF", text: str) -> str:
    """Return a text with `?` for each letter that the font lacks."""
    letters = pdf.fonts[_FONT].cmap  # type: ignore[union-attr]
    return "".join(letter if ord(letter) in letters else "?" for letter in text)


def _euro(cents: int, language: str) -> str:
    text = format_euro(cents)
    return text.replace(".", ",") if language == "it" else text


def _day(day: Day, language: str) -> str:
    return "/".join(reversed(day.split("-"))) if language == "it" else day
