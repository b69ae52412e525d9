"""What the command line prints: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from agent.domain.money import format_euro

JSON = click.option("--json", "as_json", is_flag=True, help="For programs: JSON instead of a table.")
WIDTH_WITHOUT_TERMINAL = 200


def show_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        return print_json(rows)
    for row in rows:
        if "balance" in row:
            row["balance"] = format_euro(row["balance"])
    columns = tuple(rows[0]) if rows else ("nothing",)
    return print_table([name.replace("_", " ") for name in columns], [[text_of(value) for value in row.values()] for row in rows])


def print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=1))


def print_table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    table = Table(*columns)
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL).print(table)


def text_of(value: object) -> str:
    return "-" if value is None else str(value)
