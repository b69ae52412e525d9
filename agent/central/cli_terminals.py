"""The commands for terminals: list, watch, add, retire, order."""

import sys
from collections.abc import Sequence

import click
import msgspec

from agent.central.books.address import Database
from agent.central.command import checked_id, now, open_books
from agent.central.office.fleet import Condition, FleetRow, fleet
from agent.central.office.terminals import add_terminal, order, retire_terminal
from agent.central.terminal_faults import duration
from agent.console import Format, print_table, show_rows, table_format, text_of, watch_table

WATCH_EVERY_S = 2
COLUMNS = (
    *("terminal", "site", "condition", "contact", "pending", "last tap", "readers", "clock"),
    *("disk", "°C", "version", "booked", "order"),
)


@click.group(invoke_without_command=True)
@table_format
@click.option("--watch", is_flag=True, help="Show the list until Ctrl-C, and renew it.")
@click.pass_context
def terminals(context: click.Context, table_format: Format, watch: bool) -> None:
    """List the terminals, those with a fault first, and how far each is booked.

    Contact, pending and last tap are ages. --json prints every member.
    """
    if context.invoked_subcommand is not None:
        return
    if watch and (table_format is not Format.TABLE or not sys.stdout.isatty()):
        raise click.UsageError("--watch is for a person's terminal; --json prints a snapshot")
    with open_books(context.obj) as books:
        if watch:
            watch_table(COLUMNS, lambda: _cells(fleet(books, now())), WATCH_EVERY_S)
            return
        rows = fleet(books, now())
    if table_format is Format.TABLE:
        print_table(COLUMNS, _cells(rows))
    else:
        show_rows(msgspec.to_builtins(rows), table_format)


@terminals.command("add")
@click.argument("terminal")
@click.argument("site")
@click.pass_obj
def terminal_add(database: Database, terminal: str, site: str) -> None:
    """Register TERMINAL at SITE, or move it there; a wiped one gets work again."""
    with open_books(database) as books:
        add_terminal(books, checked_id(terminal), checked_id(site))
    click.echo(f"terminal {terminal} at site {site}")


@terminals.command("retire")
@click.argument("terminal")
@click.pass_obj
def terminal_retire(database: Database, terminal: str) -> None:
    """Retire TERMINAL, also a stolen one: it deletes all accounts once its entries are booked."""
    with open_books(database) as books:
        retire_terminal(books, terminal)
    click.echo(f"terminal {terminal} retired")


@terminals.command("order")
@click.argument("terminal")
@click.argument("do", type=click.Choice(["resync", "new_epoch"]))
@click.pass_obj
def terminal_order(database: Database, terminal: str, do: str) -> None:
    """Order TERMINAL to compare all records again, or to begin a new epoch.

    A resync also gives work to a wiped terminal again.
    """
    with open_books(database) as books:
        click.echo(f"order {order(books, terminal, do)} for terminal {terminal}: {do}")


def _cells(rows: Sequence[FleetRow]) -> list[list[str]]:
    return [
        [
            row.id,
            text_of(row.site),
            _condition(row),
            _age(row.contact_s),
            _pending(row),
            _age(row.last_tap_s),
            ", ".join(f"{name} {word}" for name, word in row.readers.items()) or "-",
            text_of(row.clock),
            "-" if row.disk_free_mb is None else f"{row.disk_free_mb:,} MB",
            text_of(row.temperature_c),
            text_of(row.software),
            "-" if row.booked is None else f"{row.booked} of {text_of(row.last)}",
            text_of(row.waiting_order),
        ]
        for row in rows
    ]


def _condition(row: FleetRow) -> str:
    match row.condition:
        case Condition.FAULT:
            return "; ".join(f"{fault}: {words}" for fault, words in row.faults.items())
        case Condition.NEW:
            return "new: no hello yet"
        case Condition.RETIRED if row.wiped:
            return "retired, wiped"
        case _:
            return row.condition.value


def _age(seconds: int | None) -> str:
    return "-" if seconds is None else duration(1000 * seconds)


def _pending(row: FleetRow) -> str:
    if not row.pending or row.oldest_pending_s is None:
        return text_of(row.pending)
    return f"{row.pending}, oldest {_age(row.oldest_pending_s)}"
