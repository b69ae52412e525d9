"""The output of commands (tables for people, JSON and CSV for programs) and the exit codes.

Exit codes: 0 done, 1 refused with a sentence, 2 usage, 3 our bug, 78 configuration (systemd does
not restart on it). The only broad `except` of the project is in `run_guarded`.
"""

import csv
import io
import json
import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

import click

from agent.domain.money import format_euro
from agent.errors import AgentError

if TYPE_CHECKING:
    from rich.table import Table

WIDTH_WITHOUT_TERMINAL = 200
"""Columns of a table in a file or pipe: rich would cut it at 80, and a cut id cannot be copied."""
EXIT_BUG = 3
CENTS = "_cents"
"""The end of the name of a column of money. A table shows it in euro; JSON and CSV keep cents."""

FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the begin of a formula."""

log = logging.getLogger("agent.console")

JSON = click.option("--json", "as_json", is_flag=True, help="JSON for programs.")

_Command = TypeVar("_Command", bound=Callable[..., object])


class Format(StrEnum):
    """How a command prints its rows."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def table_format(command: _Command) -> _Command:
    """Give a command `--json` and `--csv`; its parameter `table_format` becomes a `Format`."""
    for chosen, help_text in (
        (Format.CSV, "CSV for spreadsheets."),
        (Format.JSON, "JSON for programs."),
    ):
        command = click.option(
            f"--{chosen}",
            "table_format",
            flag_value=chosen,
            type=Format,
            callback=_table_unless_chosen,
            help=help_text,
        )(command)
    return command


def _table_unless_chosen(
    _context: click.Context, _parameter: click.Parameter, chosen: Format | None
) -> Format:
    """Return the chosen format. As a default, click 8.1 would take the first option for chosen."""
    return chosen or Format.TABLE


def run_command(command: click.Command) -> int:
    """Run a program's command line and return its exit code."""
    return run_guarded(lambda: _run_click(command))


def run_guarded(work: Callable[[], int]) -> int:
    """Return what `work` returns, or the exit code of what it raised.

    Logs an `AgentError` as its sentence and any other exception with its traceback.
    """
    try:
        return work()
    except AgentError as error:
        log.error("%s", error)
        return error.exit_code
    except Exception:
        log.exception("Stopped by a bug. All recorded entries are on the disk.")
        return EXIT_BUG


def _run_click(command: click.Command) -> int:
    try:
        return command(standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Abort:
        return 1
    except UnicodeEncodeError:
        raise AgentError("an argument is not UTF-8 text") from None


def show_rows(rows: Sequence[Mapping[str, object]], table_format: Format) -> None:
    """Print rows as a table, JSON or CSV. A column that a row lacks is empty there."""
    match table_format:
        case Format.JSON:
            print_json([dict(row) for row in rows])
        case Format.CSV:
            _print_csv(rows)
        case Format.TABLE:
            columns = _columns(rows)
            print_table(
                [column.removesuffix(CENTS).replace("_", " ") for column in columns],
                [[_cell(column, row.get(column)) for column in columns] for row in rows],
            )


def print_json(value: object) -> None:
    """Print a value as indented JSON."""
    click.echo(json.dumps(value, indent=1))


def print_table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table as wide as the terminal, else `WIDTH_WITHOUT_TERMINAL` columns."""
    from rich.console import Console  # late: a serving agent draws no table

    width = None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
    Console(width=width).print(_table(columns, rows))


def watch_table(
    columns: Sequence[str], rows: Callable[[], Iterable[Iterable[str]]], every_s: int
) -> None:
    """Show a table on the whole screen, and renew its rows, until Ctrl-C."""
    from rich.live import Live

    with suppress(KeyboardInterrupt), Live(screen=True, auto_refresh=False) as live:
        while True:
            live.update(_table(columns, rows()), refresh=True)
            time.sleep(every_s)


def text_of(value: object) -> str:
    """Return a value as a cell of a table; a missing one is `-`."""
    return "-" if value is None else str(value)


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns)
    for row in rows:
        # Text: rich would take [/x] in a sentence for markup, and stop or swallow it
        table.add_row(*map(Text, row))
    return table


def _print_csv(rows: Sequence[Mapping[str, object]]) -> None:
    columns = _columns(rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([columns, *([csv_cell(row.get(name)) for name in columns] for row in rows)])
    click.echo(text.getvalue(), nl=False)


def _columns(rows: Sequence[Mapping[str, object]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row)) or ["nothing to list"]


def csv_cell(value: object) -> object:
    """Return a value as a cell of CSV. A spreadsheet would run a text like =1+1 as a formula."""
    if isinstance(value, list | dict | bool):
        return json.dumps(value)
    if isinstance(value, str) and value.startswith(FORMULA_BEGINNINGS):
        return f"'{value}"
    return value


def _cell(column: str, value: object) -> str:
    if column.endswith(CENTS) and isinstance(value, int):
        return format_euro(value)
    return text_of(value)
