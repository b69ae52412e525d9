"""The office's commands for credits from a file, and for the totals of a day."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from agent.central.books import accounts, town
from agent.central.books.address import Database
from agent.central.books.postings import PaymentKey
from agent.central.command import now, open_books
from agent.central.office.credit import Transfer
from agent.central.office.credit import transfer as book_transfer
from agent.central.office.credit_file import book_credits, plan_credits
from agent.central.office.takings import takings as takings_of
from agent.console import Format, show_rows, table_format
from agent.domain.clock import day_of
from agent.domain.money import format_euro, parse_euro

TRANSFERS = "transfer"
"""The channel of transfers: an id is one transfer's, at whatever desk it is booked."""


@click.command("import-credits")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show what would be booked, and book nothing.")
@click.pass_obj
def import_credits(database: Database, file: Path, dry_run: bool) -> None:
    """Book credits, vouchers, transfers and refunds from a CSV or .xlsx FILE, each once."""
    with open_books(database) as books:
        plan = plan_credits(books, file) if dry_run else book_credits(books, file, now())
    cents = sum(credit.payment.cents for credit in plan.new)
    state = "would be booked" if dry_run else "booked"
    click.echo(
        f"{file}: {len(plan.new)} credits {state}, {format_euro(cents)} euro;"
        f" {plan.booked_before} were booked before"
    )


@click.command()
@click.argument("source")
@click.argument("target")
@click.argument("euro")
@click.option("--id", "external", required=True, help="The same id is booked once.")
@click.option("--reason", required=True, help="Why, in the office's words.")
@click.option("--any-family", is_flag=True, help="Also to an account of another family.")
@click.pass_obj
def transfer(
    database: Database,
    source: str,
    target: str,
    euro: str,
    external: str,
    reason: str,
    any_family: bool,
) -> None:
    """Move EURO from account SOURCE to account TARGET, as to a sister."""
    key = PaymentKey(TRANSFERS, external)
    move = Transfer(source, target, parse_euro(euro), key, any_family)
    with open_books(database) as books:
        is_new = book_transfer(books, move, at=now(), reason=reason)
        left, right = accounts.balance_cents(books, source), accounts.balance_cents(books, target)
    click.echo(
        f"{'booked' if is_new else 'was booked before'}: {source} has {format_euro(left)} euro,"
        f" {target} has {format_euro(right)}"
    )


@click.command()
@click.argument("day", type=click.DateTime(["%Y-%m-%d"]), required=False)
@table_format
@click.pass_obj
def takings(database: Database, day: datetime | None, table_format: Format) -> None:
    """List what was booked on DAY by each channel, today if not given: a cash desk's close."""
    with open_books(database) as books:
        zone = ZoneInfo(town.find(books).zone)
        rows = takings_of(books, f"{day:%Y-%m-%d}" if day else day_of(now(), zone), zone)
    show_rows([row._asdict() for row in rows], table_format)
