"""Writes the books' roster in the form that `roster` reads: importing it again changes nothing.

The books have no card ids, so a card is written as its token. Only a central with the same card key
can use it. Blocked and replaced cards are left out: a roster says whose a card is, nothing else.
"""

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path

from agent.central.books import accounts, cards
from agent.central.books.accounts import Account
from agent.central.books.database import Books
from agent.central.office.roster import NO_PRICE, TEXTS, TOKEN_PREFIX
from agent.central.office.roster_file import COLUMNS
from agent.central.office.roster_plan import FIELDS
from agent.central.office.roster_text import checked_text
from agent.central.office.roster_xlsx import write_xlsx
from agent.domain.canteen import Price
from agent.domain.money import format_euro
from agent.errors import AgentError, CentralError

EXPORT_MODE = 0o600
"""The file has children's names, so only its owner may read it."""
FAULTS_SHOWN_MAX = 20
"""Texts of an error: an older program may have let thousands in."""


def export_roster(books: Books, path: Path) -> int:
    """Write a new .csv or .xlsx file, and return how many accounts it has.

    Raise `CentralError` if the file exists, or if the books hold a text that a roster may not.
    """
    if path.suffix.lower() not in (".csv", ".xlsx"):
        raise CentralError(f"{path}: write a name that ends with .csv or .xlsx")
    rows = list(_rows(books))
    data = write_xlsx(rows) if path.suffix.lower() == ".xlsx" else _csv(rows)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, EXPORT_MODE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
        except OSError:
            path.unlink(missing_ok=True)  # a part of a roster would pass for all of it
            raise
    except FileExistsError:
        raise CentralError(f"{path}: already exists; write another name") from None
    except OSError as error:
        raise CentralError(f"{path}: cannot be written: {error.strerror}") from error
    return len(rows) - 1


def _rows(books: Books) -> Iterator[list[str]]:
    with books.reading():
        every = accounts.all_of_town(books)
        prices = accounts.prices_of(books, [account.id for account in every])
        tokens: dict[str, list[str]] = {}
        for card in cards.active(books):
            tokens.setdefault(card.account, []).append(TOKEN_PREFIX + card.token)
    wrong = [sentence for account in every for sentence in _faults(account)]
    if wrong:
        more = [f"and {len(wrong) - FAULTS_SHOWN_MAX} more"] * (len(wrong) > FAULTS_SHOWN_MAX)
        raise CentralError(
            f"nothing exported: {'; '.join([*wrong[:FAULTS_SHOWN_MAX], *more])}."
            " Correct them with a roster of two columns, account and the one that is named"
        )
    yield list(COLUMNS)
    for account in every:
        cells = {"account": account.id}
        cells |= {column: getattr(account, name) or "" for column, name in FIELDS.items()}
        cells["cards"] = " ".join(tokens.get(account.id, ()))
        cells["prices"] = " | ".join(map(_price, prices.get(account.id, ()))) or NO_PRICE
        yield [cells[column] for column in COLUMNS]


def _faults(account: Account) -> Iterator[str]:
    """Yield which texts of an account no roster may have: they are of an older program."""
    for column in TEXTS:
        text = getattr(account, FIELDS[column])
        try:
            if text is not None and checked_text(column, text) != text:
                yield f"account {account.id}: {column} is not written as a roster would"
        except AgentError as error:
            yield f"account {account.id}: {error}"


def _price(price: Price) -> str:
    return f"{price.service} {price.from_day} {format_euro(price.cents)}"


def _csv(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    # Excel in Italy and most of Europe takes a comma for the decimal point
    csv.writer(text, delimiter=";", lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode("utf-8-sig")
