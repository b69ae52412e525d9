"""What commands print, and how a program ends: tables for people, JSON for programs, exit codes.

Exit codes: 0 done, 1 refused with a sentence, 2 usage, 3 our bug, 78 configuration (systemd does not
restart on it). The only broad `except` of the project is in `run_guarded`.
"""

import json
import logging
import sys
from collections.abc import Callable, Iterable
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from agent.domain.money import format_euro
from agent.errors import AgentError

JSON = click.option(
    "--json", "as_json", is_flag=True, help="For programs: JSON instead of a table."
)
WIDTH_WITHOUT_TERMINAL = 200
EXIT_BUG = 3

log = logging.getLogger("agent.console")


def run_command(command: click.Group) -> int:
    """Run a program's command line and return its exit code."""
    return run_guarded(lambda: _run_click(command))


def run_guarded(work: Callable[[], int]) -> int:
    """Return what `work` returns. An `AgentError` is logged as its sentence, any other exception with its traceback."""
    try:
        return work()
    except AgentError as error:
        log.error("%s", error)
        return error.exit_code
    except Exception:
        log.exception("Stopped by a bug. All recorded entries are on the disk.")
        return EXIT_BUG


def _run_click(command: click.Group) -> int:
    try:
        return command(standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Abort:
        return 1
    except UnicodeEncodeError:
        raise AgentError("an argument is not UTF-8 text") from None


def show_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        return print_json(rows)
    for row in rows:
        if "balance" in row:
            row["balance"] = format_euro(row["balance"])
    columns = tuple(rows[0]) if rows else ("nothing",)
    return print_table(
        [name.replace("_", " ") for name in columns],
        [[text_of(value) for value in row.values()] for row in rows],
    )


def print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=1))


def print_table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    table = Table(*columns)
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL).print(table)


def text_of(value: object) -> str:
    return "-" if value is None else str(value)
