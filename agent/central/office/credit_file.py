"""A file of credits: what desks, shops, vouchers and transfers sent, as CSV or .xlsx.

All rows are checked before any is booked, and a file with a fault books nothing. A row that was
booked before changes nothing, so the same file may come again.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from agent.central.books import postings
from agent.central.books.database import Books
from agent.central.books.postings import Payment, PaymentKey
from agent.central.office.credit import (
    Credit,
    post_credit,
    require_account,
    require_unreported,
)
from agent.central.office.roster_csv import read_csv
from agent.central.office.roster_sheet import Row
from agent.central.office.roster_xlsx import read_xlsx
from agent.domain.clock import Instant
from agent.domain.money import format_euro, parse_euro
from agent.errors import AgentError, CentralError

COLUMNS = ("channel", "id", "kind", "account", "euro", "reason")
CREDIT_FILE_BYTES_MAX = 8 * 1024 * 1024
"""A city's desks send 20,000 rows a month: 2 MB."""

# The signs that an amount of a kind may have.
_SIGNS = {"top_up": (1,), "voucher": (1,), "refund": (-1,), "transfer": (1, -1),
          "adjustment": (1, -1)}  # fmt: skip
_XLSX = b"PK\x03\x04"


class CreditPlan(NamedTuple):
    """What a file books: its new credits, and how many of its rows were booked before."""

    new: list[Credit]
    booked_before: int


def plan_credits(books: Books, path: Path) -> CreditPlan:
    """Return what a file would book. Raise `CentralError` that names each faulty row."""
    credits, faults = [], []
    for row in credit_rows(path, COLUMNS):
        try:
            credits.append(_credit(books, row))
        except AgentError as error:
            faults.append(f"{row.place}: {error}")
    faults += _unbalanced(credits) if not faults else []
    if faults:
        raise CentralError(f"{path}: nothing is booked: {'; '.join(faults)}")
    new, before = [], 0
    for credit in credits:
        if credit.payment in postings.find_payments(books, credit.payment.key):
            before += 1
        else:
            new.append(credit)
    return CreditPlan(new, before)


def book_credits(books: Books, path: Path, at: Instant) -> CreditPlan:
    """Book a file in one transaction and return what was booked."""
    with books.transaction():
        plan = plan_credits(books, path)
        for credit in plan.new:
            post_credit(books, credit, at=at)
    return plan


def credit_rows(path: Path, columns: Sequence[str]) -> list[Row]:
    """Return the rows after the header, which names the columns in their order."""
    try:
        if path.stat().st_size > CREDIT_FILE_BYTES_MAX:
            raise CentralError(f"{path}: has more than {CREDIT_FILE_BYTES_MAX} bytes; split it")
        data = path.read_bytes()
    except OSError as error:
        raise CentralError(f"{path}: cannot be read: {error.strerror}") from error
    read = read_xlsx(data) if data.startswith(_XLSX) else read_csv(data)
    rows = [row for row in read if not row.is_blank]
    header = [cell.strip().lower() for cell in rows[0].cells] if rows else []
    if header != list(columns):
        raise CentralError(f"{path}: does not begin with the columns {','.join(columns)}")
    return rows[1:]


def _credit(books: Books, row: Row) -> Credit:
    if row.fault or len(row.cells) != len(COLUMNS):
        raise CentralError(row.fault or f"does not have {len(COLUMNS)} cells")
    channel, external, kind, account, euro, reason = (cell.strip() for cell in row.cells)
    if not channel or not external:
        raise CentralError("channel or id is empty")
    if kind not in _SIGNS:
        raise CentralError(f"kind is none of {', '.join(_SIGNS)}")
    cents = parse_euro(euro)
    if not any(cents * sign > 0 for sign in _SIGNS[kind]):
        raise CentralError(f"{format_euro(cents)} euro has not the sign of a {kind}")
    require_account(books, account)
    payment = Payment(account, cents, PaymentKey(channel, external))
    known = postings.find_payments(books, payment.key)
    if known and payment not in known:
        raise CentralError("its id is booked with another amount or account; give it its own id")
    if not known:
        require_unreported(books, payment.key)
    return Credit(payment, kind, reason)


def _unbalanced(credits: list[Credit]) -> Iterator[str]:
    """Yield what is wrong with ids that come several times: only a transfer's parts may, sum 0."""
    groups: dict[PaymentKey, list[Credit]] = {}
    for credit in credits:
        groups.setdefault(credit.payment.key, []).append(credit)
    for key, parts in groups.items():
        is_transfer = all(part.kind == "transfer" for part in parts)
        accounts = {part.payment.account for part in parts}
        if is_transfer and sum(part.payment.cents for part in parts) != 0:
            yield f"transfer {key.external}: its rows do not sum to 0"
        if len(accounts) != len(parts) or (len(parts) > 1 and not is_transfer):
            yield f"id {key.external} comes twice"
