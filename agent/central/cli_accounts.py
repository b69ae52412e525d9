"""The office's commands for what accounts hold: statements, a year, low balances, the export."""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from agent.central.books import export, statements, town
from agent.central.books.address import Database
from agent.central.books.statements import MealCount
from agent.central.command import now, open_books
from agent.central.office.credit import require_account
from agent.central.office.export_csv import export_csv
from agent.central.office.hledger import hledger_lines
from agent.central.office.letters import Letter, letters
from agent.central.office.private_file import make_folder, write_private
from agent.central.office.repricing import by_account, plan_repricing, reprice
from agent.central.office.roster_xlsx import write_xlsx
from agent.central.office.yearly import families_of
from agent.central.office.yearly import yearly as yearly_of
from agent.central.office.yearly_pdf import Print, yearly_pdf
from agent.central.payments.settings import load_settings, settings_path
from agent.console import Format, show_rows, table_format
from agent.domain.clock import day_of
from agent.domain.money import format_euro, parse_euro
from agent.errors import CentralError


@click.command()
@click.argument("account")
@table_format
@click.pass_obj
def statement(database: Database, account: str, table_format: Format) -> None:
    """List every movement of ACCOUNT with its kind, source and reason, and the balance after it."""
    with open_books(database) as books:
        require_account(books, account)
        lines = statements.of_account(books, account)
    rows = [
        {
            "at": line.at,
            "kind": line.kind,
            "channel": line.channel,
            "external": line.external,
            "amount_cents": line.cents,
            "balance_cents": line.balance_cents,
            "reason": line.reason,
        }
        for line in lines
    ]
    show_rows(rows, table_format)


@click.command()
@click.argument("year", type=click.DateTime(["%Y"]))
@table_format
@click.pass_obj
def yearly(database: Database, year: datetime, table_format: Format) -> None:
    """List what was paid in YEAR for each account, less refunds, without vouchers and transfers."""
    with open_books(database) as books:
        years = yearly_of(books, year.year, ZoneInfo(town.find(books).zone))
    show_rows([part.row._asdict() for part in years], table_format)


@click.command("yearly-pdf")
@click.argument("year", type=click.DateTime(["%Y"]))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--family", help="Only the statement of FAMILY.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="The day on it; today if not given.")
@click.pass_obj
def yearly_pdfs(
    database: Database, year: datetime, folder: Path, family: str | None, day: datetime | None
) -> None:
    """Write the statements of YEAR into FOLDER as PDF, a file for each family.

    An account without a family gets a file of its own. Files of the same name are replaced.
    """
    with open_books(database) as books:
        place = town.find(books)
        years = yearly_of(books, year.year, ZoneInfo(place.zone))
    name, language = place.name, "it"
    if settings_path(database.files).exists():
        settings = load_settings(database.files)
        name, language = settings.name, settings.language
    printed = f"{day:%Y-%m-%d}" if day else day_of(now(), ZoneInfo(place.zone))
    chosen = [part for part in years if family in (None, part.account.family)]
    if family is not None and not chosen:
        raise CentralError(f"family {family!r} has no payment in {year.year}")
    make_folder(folder)
    statements_of_year = families_of(chosen, year.year)
    with click.progressbar(statements_of_year, label="writing", file=sys.stderr) as bar:
        for family_year in bar:
            pdf = yearly_pdf(family_year, Print(name, language, printed))
            write_private(folder / f"{year.year}-{family_year.name}.pdf", [pdf])
    click.echo(f"{folder}: {len(statements_of_year)} statements; they have children's names")


@click.command()
@click.argument("first", type=click.DateTime(["%Y-%m-%d"]))
@click.argument("last", type=click.DateTime(["%Y-%m-%d"]), required=False)
@click.option("--xlsx", type=click.Path(path_type=Path), help="Write them into this .xlsx file.")
@table_format
@click.pass_obj
def meals(
    database: Database,
    first: datetime,
    last: datetime | None,
    xlsx: Path | None,
    table_format: Format,
) -> None:
    """List meals of day FIRST, or to LAST, by site, service, class and dish, for the caterer."""
    with open_books(database) as books:
        rows = statements.meals_of_days(books, f"{first:%Y-%m-%d}", f"{last or first:%Y-%m-%d}")
    if xlsx is None:
        show_rows([row._asdict() for row in rows], table_format)
        return
    cells = [[cell if cell is not None else "" for cell in row] for row in rows]
    write_private(xlsx, [write_xlsx([list(MealCount._fields), *cells], "meals")])
    click.echo(f"{xlsx}: {sum(row.meals for row in rows)} meals in {len(rows)} rows")


@click.command()
@click.option("--below", default="0.00", show_default=True, help="In euro, as 10.00 or -5.00.")
@table_format
@click.pass_obj
def arrears(database: Database, below: str, table_format: Format) -> None:
    """List families with a low balance, as data for letters: one for each, never the list."""
    with open_books(database) as books:
        rows = letters(books, parse_euro(below))
    as_text = table_format is not Format.JSON
    shown = [{**row._asdict(), "accounts": _accounts(row, as_text=as_text)} for row in rows]
    show_rows(shown, table_format)


@click.command("reprice")
@click.argument("since", type=click.DateTime(["%Y-%m-%d"]))
@click.option("--reason", required=True, help="Why, in the office's words.")
@click.option("--dry-run", is_flag=True, help="Show the adjustments, and book nothing.")
@table_format
@click.pass_obj
def reprice_meals(
    database: Database, since: datetime, reason: str, dry_run: bool, table_format: Format
) -> None:
    """Adjust the meals of day SINCE and later to the prices that the roster has now."""
    day = f"{since:%Y-%m-%d}"
    with open_books(database) as books:
        if dry_run:
            credits = plan_repricing(books, day, reason)
        else:
            credits = reprice(books, day, reason, now())
    show_rows([row._asdict() for row in by_account(credits)], table_format)


@click.command("export-csv")
@click.argument("folder", type=click.Path(path_type=Path))
@click.pass_obj
def export_all(database: Database, folder: Path) -> None:
    """Write every table into FOLDER as CSV, a file each; files of the same name are replaced."""
    with ExitStack() as stack:
        books = stack.enter_context(open_books(database))

        def count(rows: int) -> Callable[[int], None]:
            bar = click.progressbar(length=rows, label="writing", file=sys.stderr)
            return stack.enter_context(bar).update

        written = export_csv(books, folder, count)
    rows = sum(table.rows for table in written)
    click.echo(f"{folder}: {len(written)} files, {rows} rows; they have children's names")


@click.command("export-hledger")
@click.pass_obj
def export_hledger(database: Database) -> None:
    """Print every movement in the form of hledger, with the balance after each."""
    # From a copy: a pager that waits for its reader would make the central wait, too.
    part = database.files.with_name(f"{database.files.name}.hledger.part")
    with open_books(database) as books, export.copied(books, part) as copy:
        for line in hledger_lines(copy, ZoneInfo(town.find(copy).zone)):
            click.echo(line)


def _accounts(letter: Letter, *, as_text: bool) -> object:
    """Return a letter's accounts: for people `a-1021 Anna B. 1A: -5.00; …`."""
    if not as_text:
        return [account._asdict() for account in letter.accounts]
    return "; ".join(
        f"{' '.join(filter(None, (account.account, account.label, account.group)))}:"
        f" {format_euro(account.balance_cents)}"
        for account in letter.accounts
    )
