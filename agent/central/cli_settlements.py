"""The office's commands for settlement flows, the treasury's sums, and the reconciliation."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import msgspec

from agent.central.books import settlements as stored
from agent.central.books import town
from agent.central.books.address import Database
from agent.central.command import now, open_books
from agent.central.payments.reconciling import Today, day_rows, differences
from agent.central.payments.settings import load_settings
from agent.central.payments.settlement import FLOW_BYTES_MAX
from agent.central.payments.settling import credit_missing, take_flow, take_treasury
from agent.console import JSON, Format, print_json, show_rows, table_format
from agent.domain.clock import day_of
from agent.errors import CentralError


@click.group(invoke_without_command=True)
@table_format
@click.pass_context
def settlements(context: click.Context, table_format: Format) -> None:
    """List settled payments of which no receipt came."""
    if context.invoked_subcommand is not None:
        return
    with open_books(context.obj) as books:
        rows = stored.missing(books)
    shown = [
        {"receipt": row.external, "iuv": row.iuv, "day": row.day, "amount_cents": row.cents}
        for row in rows
    ]
    show_rows(shown, table_format)


@settlements.command("flow")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.pass_obj
def settlements_flow(database: Database, files: tuple[Path, ...]) -> None:
    """Take in settlement flows from XML FILES; a revision that is known changes nothing."""
    creditor = load_settings(database.files).creditor
    with open_books(database) as books:
        for file in files:
            try:
                flow = take_flow(books, _read(file), creditor, now())
            except CentralError as error:
                raise CentralError(f"{file}: {error}") from error
            state = f"{flow.rows} payments" if flow.is_new else "was taken in before"
            click.echo(f"{file}: flow {flow.flow}: {state}, {flow.revoked} revoked now")


@settlements.command("treasury")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.pass_obj
def settlements_treasury(database: Database, files: tuple[Path, ...]) -> None:
    """Take in the treasury's sums from FILES: its cash book in OPI's XML, or CSV."""
    with open_books(database) as books:
        for file in files:
            try:
                book = take_treasury(books, _read(file))
            except CentralError as error:
                raise CentralError(f"{file}: {error}") from error
            page = f", page {book.page} of {book.pages}" if book.pages > 1 else ""
            click.echo(f"{file}: {len(book.sums)} sums{page}")


@settlements.command("credit")
@click.argument("receipt")
@click.pass_obj
def settlements_credit(database: Database, receipt: str) -> None:
    """Credit the settled payment RECEIPT, of which no receipt came."""
    with open_books(database) as books:
        ruling = credit_missing(books, receipt, now())
    click.echo(f"{receipt}: {ruling.result}{': ' * bool(ruling.reason)}{ruling.reason}")


@click.command()
@click.argument("day", type=click.DateTime(["%Y-%m-%d"]), required=False)
@JSON
@click.pass_obj
def reconcile(database: Database, day: datetime | None, as_json: bool) -> int:
    """Compare paid, credited, settled and arrived, on DAY or on all; ends with 1 on differences."""
    with open_books(database) as books, books.reading():
        zone = ZoneInfo(town.find(books).zone)
        rows = day_rows(books, zone)
        differing = list(differences(books, Today(day_of(now(), zone), zone)))
    if day is not None:
        rows = [row for row in rows if row.day == f"{day:%Y-%m-%d}"]
    if as_json:
        print_json(msgspec.to_builtins({"days": rows, "differences": differing}))
    else:
        show_rows(msgspec.to_builtins(rows), Format.TABLE)
        for difference in differing:
            click.echo(f"{difference.what}\n    {difference.do}")
        click.echo(f"{len(differing)} differences")
    return 1 if differing else 0


def _read(file: Path) -> bytes:
    """Return a file's bytes, as many as show that it is too large."""
    try:
        with open(file, "rb") as opened:
            return opened.read(FLOW_BYTES_MAX + 1)
    except OSError as error:
        raise CentralError(f"cannot be read: {error.strerror}") from error
