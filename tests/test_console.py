"""What commands print, as a table, JSON or CSV, and the exit codes of a program."""

import csv
import io
import json
import logging
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from agent.console import (
    EXIT_BUG,
    FORMULA_BEGINNINGS,
    JSON,
    WIDTH_WITHOUT_TERMINAL,
    Format,
    csv_cell,
    print_table,
    run_command,
    run_guarded,
    show_rows,
    table_format,
)
from agent.errors import AgentError, ConfigError

ROWS = [
    {"account": "a-1", "balance_cents": -366, "online": True, "flags": ["stale"], "note": None},
    {"account": "a-2", "balance_cents": 1_000, "online": False, "flags": [], "note": "x, [/y]"},
]


@click.group()
def program() -> None:
    """A program for these tests."""


@program.command()
@table_format
def rows(table_format: Format) -> None:
    show_rows(ROWS, table_format)


@program.command()
@JSON
def state(as_json: bool) -> None:
    click.echo(f"{as_json}")


@program.command()
@click.argument("kind")
def fail(kind: str) -> int:
    match kind:
        case "no":
            raise AgentError("account a-9: not known")
        case "config":
            raise ConfigError("agent.toml: unknown key 'x'")
        case "abort":
            raise click.Abort
        case "differences":
            return 1
        case _:
            raise KeyError("ours")


@pytest.fixture
def argv() -> Iterator[list[str]]:
    """Return the process's arguments, for a test to change."""
    before = sys.argv[:]
    yield sys.argv
    sys.argv[:] = before


def output(*arguments: str) -> str:
    result = CliRunner().invoke(program, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_table_shows_money_in_euro_and_a_missing_value_as_a_dash() -> None:
    table = output("rows")
    assert "balance" in table and "_cents" not in table
    assert "-3.66" in table and "10.00" in table and " - " in table


def test_a_cell_of_a_table_is_no_markup() -> None:
    assert "x, [/y]" in output("rows")


def test_json_holds_the_rows_as_they_are() -> None:
    assert json.loads(output("rows", "--json")) == ROWS


def test_csv_has_a_header_and_cents_and_an_empty_missing_value() -> None:
    header, first, second = csv.reader(io.StringIO(output("rows", "--csv")))
    assert header == ["account", "balance_cents", "online", "flags", "note"]
    assert first == ["a-1", "-366", "true", '["stale"]', ""]
    assert second == ["a-2", "1000", "false", "[]", "x, [/y]"]


@pytest.mark.parametrize("beginning", FORMULA_BEGINNINGS)
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe(beginning: str) -> None:
    assert csv_cell(f"{beginning}1+1") == f"'{beginning}1+1"
    assert csv_cell(f"a{beginning}") == f"a{beginning}"
    assert csv_cell(-366) == -366


@pytest.mark.parametrize("form", list(Format))
def test_a_row_may_lack_a_column_and_there_may_be_no_row(
    form: Format, capsys: pytest.CaptureFixture[str]
) -> None:
    show_rows([{"a": 1}, {"b": 2}], form)
    printed = capsys.readouterr().out
    assert "1" in printed and "2" in printed and "b" in printed
    show_rows([], form)
    assert capsys.readouterr().out.strip() == "[]" or form is not Format.JSON


def test_a_state_has_json_only() -> None:
    assert output("state", "--json") == "True\n"
    assert CliRunner().invoke(program, ["state", "--csv"]).exit_code == 2


def test_without_a_terminal_a_table_cuts_nothing_below_its_width(
    capsys: pytest.CaptureFixture[str],
) -> None:
    token = "0123456789abcdef" * 11
    assert 80 < len(token) < WIDTH_WITHOUT_TERMINAL - 4
    print_table(["token"], [[token]])
    assert token in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("rows",), 0),
        (("fail", "differences"), 1),
        (("fail", "no"), 1),
        (("fail", "abort"), 1),
        (("fail",), 2),
        (("nothing",), 2),
        (("fail", "bug"), EXIT_BUG),
        (("fail", "config"), 78),
    ],
)
def test_a_program_ends_with_the_exit_code_of_what_happened(
    arguments: tuple[str, ...], code: int, argv: list[str]
) -> None:
    argv[1:] = arguments
    assert run_command(program) == code


def test_a_refusal_is_logged_as_its_sentence_and_a_bug_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse() -> int:
        raise ConfigError("agent.toml: a sentence")

    def fail() -> int:
        raise KeyError("ours")

    caplog.set_level(logging.INFO)
    assert run_guarded(refuse) == 78
    assert caplog.messages == ["agent.toml: a sentence"] and "Traceback" not in caplog.text
    assert run_guarded(fail) == EXIT_BUG
    assert "Traceback" in caplog.text and "All recorded entries are on the disk" in caplog.text
