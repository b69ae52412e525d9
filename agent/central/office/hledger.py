"""All movements in the text form of hledger, which proves them: a balance after each movement.

A pupil's account is positive while it has credit, as on the screen. `hledger check` computes every
balance again.
"""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from agent.central.books import statements
from agent.central.books.database import Books
from agent.central.books.statements import StatementLine
from agent.domain.clock import Day, day_of
from agent.domain.money import format_euro


def hledger_lines(books: Books, zone: ZoneInfo) -> Iterator[str]:
    """Yield the lines of the export."""
    yield "commodity 1000.00 EUR"
    yield ""
    newest: Day = ""
    for line in statements.of_all(books):
        # hledger sorts by day: after a clock that ran ahead, days would be in another order
        newest = max(newest, day_of(line.at, zone))
        yield from _transaction(line, newest)


def _transaction(line: StatementLine, day: Day) -> Iterator[str]:
    source = f" {line.channel}" if line.channel else ""
    yield f"{day} {line.kind}{source}  ; n:{line.n}, at:{line.at}"
    amount, balance = format_euro(line.cents), format_euro(line.balance_cents)
    yield f"    accounts:{line.account}  {amount} EUR = {balance} EUR"
    yield f"    {_other_side(line)}"
    yield ""


def _other_side(line: StatementLine) -> str:
    if line.channel is None:
        return "meals"
    return f"{line.kind}:{''.join(c if c.isalnum() else '-' for c in line.channel)}"
