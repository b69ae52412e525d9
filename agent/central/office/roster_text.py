"""What a text for people may be in a roster: class, dish and label. Pure.

A class and a dish go to every terminal of the school, so a card number that slipped into the column
must not. Nor may what Excel makes of a text: a formula, an error, a date.
"""

import re
import unicodedata

from agent.errors import AgentError

TEXT_LENGTH_MAX = 64
"""Characters of a class, dish or label (domain/canteen.py, `Name`)."""
SHOWN_LENGTH_MAX = 40
"""Characters of a cell that an error quotes: a whole line in one cell would hide the sentence."""

MARKS = ".'-/"
"""What a text may hold beside letters, digits and blanks."""
# Excel and Word write these by themselves
_AS_TYPED = str.maketrans({"\N{NO-BREAK SPACE}": " ", "\N{RIGHT SINGLE QUOTATION MARK}": "'"})

_BLANKS = re.compile(" +")

# in Italian, German, French and English
_MONTH = (
    "gen|feb|mar|apr|mag|giu|lug|ago|set|ott|nov|dic"
    "|gennaio|febbraio|marzo|aprile|maggio|giugno|luglio|agosto|settembre|ottobre|novembre|dicembre"
    "|jän|mär|mrz|mai|okt|dez|janv|févr|mars|avr|juin|juil|août|sept|déc"
    "|jan|may|jun|jul|aug|sep|oct|dec"
)
_DATES = re.compile(
    rf"\d{{1,2}}[-/. ]{{1,2}}({_MONTH})\.?([-/. ]\d{{2,4}})?"
    rf"|({_MONTH})\.?[-/]\d{{2,4}}"
    r"|\d{1,2}([-/.])\d{1,2}\4\d{2,4}"
    r"|\d{4}[-/]\d{1,2}[-/]\d{1,2}( .*)?",
    re.IGNORECASE,
)
# as readers and cards write them: 04a1b2c3, 0006547886, 04 a1 b2 c3, 099.59822, 00099.59822
_CARD_NUMBER = re.compile(
    r"[0-9a-f]{8,}|[0-9a-f]{2}([-. /:])[0-9a-f]{2}(\1[0-9a-f]{2}){2,}|\d{3,5}[.,]\d{5}",
    re.IGNORECASE,
)
_WORD = r"[^\W\d_]+(?:['-][^\W\d_]+)*"
_LABEL = re.compile(rf"{_WORD}|{_WORD}(?: {_WORD}){{0,2}} [^\W\d_]\.")


def shown(text: str) -> str:
    """Return a cell's text for an error: quoted, cut, and never what may be a card number."""
    if looks_like_card(text):
        return f"of {len(text)} characters"
    cut = text[:SHOWN_LENGTH_MAX]
    return repr(cut) if cut == text else f"{cut!r}…"


def looks_like_card(text: str) -> bool:
    """Return whether a text has a part like a card's number, or a card id."""
    return any(any(map(str.isdigit, match[0])) for match in _CARD_NUMBER.finditer(text))


def checked_text(column: str, cell: str) -> str | None:
    """Return a class, a dish or a label in one spelling, None if the cell is empty.

    Raise `AgentError` for a text that may not go to a terminal.
    """
    text = unicodedata.normalize("NFC", _BLANKS.sub(" ", cell.translate(_AS_TYPED)).strip(" "))
    if not text:
        return None
    if len(text) > TEXT_LENGTH_MAX:
        raise AgentError(f"{column} is longer than {TEXT_LENGTH_MAX} characters")
    if looks_like_card(text):
        raise AgentError(f"{column} looks like a card number; write cards in the column cards")
    if not all(_is_allowed(char) for char in text):
        raise AgentError(
            f"{column} {shown(text)}: write letters, digits, blanks and {' '.join(MARKS)} only"
        )
    if not text[0].isalnum():
        raise AgentError(f"{column} {shown(text)}: begin with a letter or a digit")
    if _DATES.fullmatch(text):
        raise AgentError(
            f"{column} {shown(text)} looks like a date that Excel has made of it;"
            " format its column as Text and type it again"
        )
    letters = "".join(char for char in text if unicodedata.category(char)[0] != "M")
    if column == "label" and not _LABEL.fullmatch(letters):
        raise AgentError(
            f"label {shown(text)} must be a first name, or end with an initial, as in Anna B."
        )
    return text


def _is_allowed(char: str) -> bool:
    # M: the accents and vowels that some languages write as characters of their own
    return unicodedata.category(char)[0] in "LM" or char in "0123456789 " or char in MARKS
