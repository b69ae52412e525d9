"""The commands of the roster: import a file of accounts, showing first what changes, and export.

What people must look at is printed before anything is written. Without their consent the import is
refused, and nothing is written.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import msgspec
from msgspec import Struct
from rich.console import Console
from rich.status import Status

from agent.central.books import town
from agent.central.books.address import Database
from agent.central.books.database import Books
from agent.central.command import card_key, now, open_books
from agent.central.corrections import book_waiting_meals
from agent.central.office import roster_export
from agent.central.office.roster import Complaints, Line, read_roster
from agent.central.office.roster_apply import apply_plan, read_standing
from agent.central.office.roster_plan import (
    LEADING_ZEROS,
    MOVE_CARDS,
    PAST_PRICES,
    Change,
    Plan,
    Standing,
    make_plan,
)
from agent.console import JSON, print_json, print_table, text_of
from agent.domain.clock import day_of
from agent.errors import CentralError

ROWS_SHOWN_MAX = 50
"""Rows of a table of changes: more scroll away; `--json` lists all."""
ACCOUNTS_NAMED_MAX = 10
"""Accounts in the sentence after an import: they fill one line."""


class _Table(Struct, frozen=True):
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@click.command("import-roster")
@click.argument("roster", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option(
    "--move-cards", is_flag=True, help="Let cards move to the account that the file names."
)
@click.option(
    "--allow",
    "allowed",
    multiple=True,
    type=click.Choice([LEADING_ZEROS, PAST_PRICES]),
    help="Allow what else is refused; may be given several times.",
)
@JSON
@click.pass_obj
def import_roster(
    database: Database,
    roster: Path,
    dry_run: bool,
    move_cards: bool,
    allowed: tuple[str, ...],
    as_json: bool,
) -> None:
    """Import accounts, cards, prices and classes from an .xlsx or CSV file.

    See docs/office/roster.md. What would change is shown first if it must be allowed.
    """
    with _busy("reading"):
        lines = read_roster(roster, card_key(database))
    with open_books(database) as books:
        standing = read_standing(books, lines)
        plan = _plan(books, roster, lines, standing)
        risks = plan.risks()
        if as_json:
            print_json(_members(plan))
        elif dry_run or risks:
            _show(plan)
        consent = {*allowed, *([MOVE_CARDS] if move_cards else [])}
        refused = [sentence for risk, sentence in risks.items() if risk not in consent]
        if refused and not dry_run:
            raise CentralError(f"{roster}: nothing imported. {'. '.join(refused)}")
        if not dry_run:
            with _busy("writing"):
                apply_plan(books, lines, plan, standing)
                book_waiting_meals(books, at=now())
    if not as_json:
        _show_end(plan, "would be " if dry_run else "")
        for sentence in refused:
            click.echo(f"the import would be refused: {sentence}")


@click.command("export-roster")
@click.argument("roster", type=click.Path(path_type=Path))
@click.pass_obj
def export_roster(database: Database, roster: Path) -> None:
    """Write all accounts to a new file, .xlsx or .csv, in the form that import-roster reads.

    Cards are written as their tokens. Importing the file again changes nothing.
    """
    with open_books(database) as books:
        count = roster_export.export_roster(books, roster)
    click.echo(f"{roster}: {count} accounts; it has children's names, keep it safe")


def _busy(what: str) -> Status:
    """Return a moving sign for a person who waits; it prints nothing into a file or pipe."""
    return Console(stderr=True).status(what)


def _plan(books: Books, roster: Path, lines: Sequence[Line], standing: Standing) -> Plan:
    complaints = Complaints(roster)
    today = day_of(now(), ZoneInfo(town.find(books).zone))
    plan = make_plan(lines, standing, today, complaints)
    complaints.raise_any()
    return plan


def _members(plan: Plan) -> dict[str, object]:
    """Return what `--json` prints."""
    return {
        "read": plan.read,
        "new": [account.id for account in plan.new],
        "changed": msgspec.to_builtins(plan.changes),
        "cards_moved": msgspec.to_builtins(plan.card_moves),
        "leading_zeros": msgspec.to_builtins(plan.likenesses),
        "past_prices": msgspec.to_builtins(plan.past_prices),
        "without_price": plan.without_price,
        "to_allow": plan.risks(),
    }


def _show(plan: Plan) -> None:
    for table in _tables(plan):
        if not table.rows:
            continue
        click.echo(f"{table.title}: {len(table.rows)}")
        print_table(table.columns, table.rows[:ROWS_SHOWN_MAX])
        if len(table.rows) > ROWS_SHOWN_MAX:
            click.echo(f"and {len(table.rows) - ROWS_SHOWN_MAX} more; --json lists all")


def _show_end(plan: Plan, would_be: str) -> None:
    click.echo(
        f"{plan.read} accounts read: {len(plan.new)} {would_be}new,"
        f" {plan.changed_count} {would_be}changed"
    )
    if plan.without_price:
        first = ", ".join(plan.without_price[:ACCOUNTS_NAMED_MAX])
        more = ", …" * (len(plan.without_price) > ACCOUNTS_NAMED_MAX)
        click.echo(f"accounts without a price today: {len(plan.without_price)} ({first}{more})")


def _tables(plan: Plan) -> Iterator[_Table]:
    change = ("line", "account", "what", "before", "after")
    yield _Table(
        "new accounts",
        ("account", "site", "category", "class", "label", "family"),
        [
            (
                *(new.id, new.site, new.category),
                *map(text_of, (new.group, new.label, new.family)),
            )
            for new in plan.new
        ],
    )
    yield _Table("changes", change, [_change_row(row) for row in plan.changes])
    yield _Table(
        "cards that move",
        ("line", "card", "from account", "to account"),
        [(move.place, move.card, move.before, move.after) for move in plan.card_moves],
    )
    yield _Table(
        "new accounts that differ only by zeros",
        ("line", "account", "like account"),
        [(row.place, row.account, row.like) for row in plan.likenesses],
    )
    yield _Table("prices of past days", change, [_change_row(row) for row in plan.past_prices])
    yield _Table(
        "accounts without a price today",
        ("account",),
        [(account,) for account in plan.without_price],
    )


def _change_row(change: Change) -> Sequence[str]:
    return (
        change.place,
        change.account,
        change.field,
        text_of(change.before),
        text_of(change.after),
    )
