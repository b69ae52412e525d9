"""The office's commands for the first and the last balance of accounts."""

from pathlib import Path

import click

from agent.central.books.address import Database
from agent.central.command import now, open_books
from agent.central.office.close_out import Choice, How, Left, past_close_outs, plan_close_out
from agent.central.office.close_out import close_out as do_close_out
from agent.central.office.opening import OpeningPlan, book_opening, plan_opening
from agent.console import Format, show_rows, table_format
from agent.domain.money import format_euro, parse_euro
from agent.errors import CentralError


@click.command("import-balances")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--total", required=True, help="The sum that the older card system states, in euro.")
@click.option("--dry-run", is_flag=True, help="Show what would be booked, and book nothing.")
@click.pass_obj
def import_balances(database: Database, file: Path, total: str, dry_run: bool) -> None:
    """Take over the credit of older cards from a CSV or .xlsx FILE, once for each account."""
    cents = parse_euro(total)
    with open_books(database) as books:
        if dry_run:
            plan = plan_opening(books, file, cents)
        else:
            plan = book_opening(books, file, cents, now())
    if dry_run:
        show_rows([row._asdict() for row in plan.new], Format.TABLE)
    click.echo(_summary(file, plan, "would be booked" if dry_run else "booked"))


@click.command("close-out")
@click.argument("accounts", nargs=-1)
@click.option(
    "--how",
    type=click.Choice([how.value for how in How]),
    help="What is done; without it: only a list.",
)
@click.option("--reason", help="Why, in the office's words.")
@click.option("--dry-run", is_flag=True, help="Show what would be booked, and book nothing.")
@click.option("--anyway", is_flag=True, help="Also where a terminal may still hold meals.")
@click.option("--past", is_flag=True, help="List what earlier close-outs booked, and do nothing.")
@table_format
@click.pass_obj
def close_out(
    database: Database,
    accounts: tuple[str, ...],
    how: str | None,
    reason: str | None,
    dry_run: bool,
    anyway: bool,
    past: bool,
    table_format: Format,
) -> None:
    """List what closed ACCOUNTS still hold or owe, all if none is named, and bring it to 0.

    An account stays as it is while a terminal of its site holds entries that are not booked, or
    was silent for a day.
    """
    choice = Choice(How(how) if how else None, accounts, anyway)
    with open_books(database) as books:
        if past:
            booked = [row._asdict() for row in past_close_outs(books, accounts)]
            return show_rows(booked, table_format)
        if dry_run or choice.how is None:
            plan = plan_close_out(books, choice, now())
        elif not reason:
            raise CentralError("nothing is booked: write why, with --reason")
        else:
            plan = do_close_out(books, choice, reason, now())
    show_rows([left._asdict() for left in plan], table_format)
    if table_format is Format.TABLE:
        click.echo(_close_out_summary(plan, choice.how, dry_run=dry_run))
    return None


def _close_out_summary(plan: list[Left], how: How | None, *, dry_run: bool) -> str:
    if how is None:
        return f"{len(plan)} closed accounts hold or owe money; --how says what is done"
    done = [left for left in plan if left.kind is not None]
    cents = sum(left.balance_cents for left in done)
    state = "would come to 0, they hold" if dry_run else "came to 0, they held"
    return (
        f"{len(done)} accounts {state} {format_euro(cents)} euro in sum;"
        f" {len(plan) - len(done)} stay as they are"
    )


def _summary(file: Path, plan: OpeningPlan, state: str) -> str:
    cents = sum(row.amount_cents for row in plan.new)
    return (
        f"{file}: {len(plan.new)} balances {state}, {format_euro(cents)} euro;"
        f" {plan.booked_before} were booked before, {plan.zero} are zero"
    )
