"""The command line of a terminal, `canteen-agent`: one function a subcommand."""

import logging
import sys
from contextlib import closing
from pathlib import Path

import click
import msgspec

from agent.console import (
    JSON,
    Format,
    print_json,
    print_table,
    run_command,
    show_rows,
    table_format,
    text_of,
)
from agent.domain.ledger import SEQ_MAX
from agent.domain.money import format_euro
from agent.ops import journal
from agent.store import reads
from agent.store.database import Database
from agent.store.salvage import salvage
from agent.terminal import control
from agent.terminal import process as app
from agent.terminal.cli_readers import profile, readers
from agent.terminal.config import load_config, load_places
from agent.terminal.export import write_export

CONFIG = click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default="/etc/canteen-agent/agent.toml",
    show_default=True,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="canteen-agent")
@click.option(
    "-v",
    "--verbose",
    count=True,
    help="-v: debugging; -vv: raw bytes of readers as well, which identify children.",
)
def cli(verbose: int) -> None:
    """The canteen agent: one terminal beside its card readers."""
    levels = (logging.INFO, logging.DEBUG, journal.TRAFFIC)
    journal.set_up(level=levels[min(verbose, 2)], program="canteen-agent")


@cli.command()
@CONFIG
def run(config_path: Path) -> int:
    """Run a terminal until it is told to stop."""
    return app.run(load_config(config_path))


@cli.command()
@CONFIG
@JSON
def status(config_path: Path, as_json: bool) -> None:
    """Tell what the running agent is doing."""
    answer = control.ask(load_places(config_path).control_socket, "status")
    readers, other = answer.pop("readers"), answer.pop("other_records")
    if as_json:
        return print_json({**answer, "readers": readers, "other_records": other})
    answer["day"] = answer["day"] or "not known: say it with canteen-agent day"
    rows = [(name.replace("_", " "), text_of(value)) for name, value in answer.items()]
    rows += [(f"reader {name}", state) for name, state in readers.items()]
    rows += [(f"records: {kind}", str(count)) for kind, count in other.items()]
    return print_table(("", "terminal"), rows)


@cli.group(invoke_without_command=True)
@CONFIG
@table_format
@click.option("-n", "--newest", type=click.IntRange(1, 1_000_000), default=20, show_default=True)
@click.pass_context
def ledger(context: click.Context, config_path: Path, table_format: Format, newest: int) -> None:
    """List the newest entries of the terminal's ledger."""
    context.obj = config_path
    if context.invoked_subcommand is not None:
        return None
    with closing(Database(load_places(config_path).database, read_only=True)) as db, db.reading():
        entries = reads.entries(db, newest=newest)
    if table_format is not Format.TABLE:
        members = [
            {"epoch": epoch, **msgspec.to_builtins(entry), "acked": booked, "undone": undone}
            for epoch, entry, booked, undone in entries
        ]
        return show_rows(members, table_format)
    rows = [
        (
            str(entry.seq),
            entry.at,
            entry.kind + (f" ({entry.reason})" if entry.reason else ""),
            entry.account or "-",
            entry.card[:8] if entry.card else "-",
            format_euro(entry.cents),
            f"{entry.day or '-'} {entry.service or ''}",
            ", ".join([*entry.flags, *(["undone"] if undone else [])]),
            "acked" if booked else "waiting",
        )
        for _, entry, booked, undone in entries
    ]
    columns = ("seq", "at", "kind", "account", "card", "euro", "day", "flags", "central")
    return print_table(columns, rows)


@ledger.command()
@click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=None,
    help="As for ledger.",
)
@click.pass_context
def verify(context: click.Context, config_path: Path | None) -> int:
    """Recompute the hash chain and every balance."""
    with (
        closing(Database(load_places(config_path or context.obj).database, read_only=True)) as db,
        db.reading(),
    ):
        differences = list(reads.verify(db))
        here = reads.standing(db)
        accounts = sum(1 for _ in reads.balances(db))
    for difference in differences:
        click.echo(difference)
    if differences:
        return 1
    click.echo(
        f"{here.town}/{here.terminal}: {here.last} entries in epoch {here.epoch}, {accounts} balances: all correct"
    )
    return 0


@ledger.command("salvage")
@click.argument("damaged", type=click.Path(path_type=Path))
@click.pass_obj
def salvage_ledger(config_path: Path, damaged: Path) -> int:
    """Bring what can be read and proved of a DAMAGED ledger into this terminal's own. The agent must not run."""
    places = load_places(config_path)
    with app.lock_state_dir(places.database.parent):
        found = salvage(damaged, places.database, app.new_epoch_bits())
    for one in found:
        first, last = one.base[0] + 1, one.base[0] + len(one.entries)
        click.echo(
            f"epoch {one.epoch}: entries {first} to {last}; {one.lost} places could not be read"
        )
    if not found:
        click.echo(f"{damaged}: nothing that could be proved and is not here already")
    return 0 if found else 1


@ledger.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def export_ledger(config_path: Path, file: Path) -> None:
    """Write the whole ledger into FILE, for a USB stick: the office imports it with central import-ledger."""
    with closing(Database(load_places(config_path).database, read_only=True)) as db, db.reading():
        count = write_export(db, file)
    click.echo(f"{file}: {count} entries")


@cli.command("incidents")
@CONFIG
@table_format
def terminal_incidents(config_path: Path, table_format: Format) -> None:
    """List what someone should look at: incidents, messages set aside, the central's notes on entries."""
    with closing(Database(load_places(config_path).database, read_only=True)) as db, db.reading():
        rows = [
            dict(zip(("at", "kind", "detail"), row, strict=True)) for row in reads.incidents(db)
        ]
    show_rows(rows, table_format)


@cli.command()
@CONFIG
@click.argument("seq", type=click.IntRange(1, SEQ_MAX), required=False)
def storno(config_path: Path, seq: int | None) -> None:
    """Undo meal SEQ of this terminal, or its newest meal."""
    answer = control.ask(load_places(config_path).control_socket, "storno", seq=seq)
    click.echo(
        f"undone: account {answer['account']}, {format_euro(answer['cents'])} euro back (entry {answer['seq']})"
    )


@cli.command()
@CONFIG
@click.argument("account")
@click.option("--day", help="The day it was eaten, as 2026-11-23, for a meal typed in later.")
@click.option("--service", "service_id", help="Which service it was, where there are several.")
def meal(config_path: Path, account: str, day: str | None, service_id: str | None) -> None:
    """Record a meal of ACCOUNT without its card."""
    answer = control.ask(
        load_places(config_path).control_socket,
        "meal",
        account=account,
        day=day,
        service=service_id,
    )
    click.echo(
        f"served: account {answer['account']}, {answer['day']}, {format_euro(answer['cents'])} euro (entry {answer['seq']})"
    )


@cli.command("day")
@CONFIG
@click.argument("day")
def confirm_day(config_path: Path, day: str) -> None:
    """Say that it is DAY, as 2026-11-23, while the clock is wrong: after a start without network."""
    answer = control.ask(load_places(config_path).control_socket, "day", day=day)
    click.echo(f"meals are of {answer['day']} from now on, until the clock is right")


@cli.command("close")
@CONFIG
@click.argument("trays", type=click.IntRange(0, 100_000))
def close_service(config_path: Path, trays: int) -> None:
    """End a service: TRAYS counted by the staff, beside the terminal's own meals."""
    answer = control.ask(load_places(config_path).control_socket, "closing", trays=trays)
    click.echo(
        f"closed: {trays} trays counted, {answer['served']} meals served (entry {answer['seq']})"
    )


for group in (readers, profile):
    cli.add_command(group)


def main() -> None:
    """Run `canteen-agent`."""
    journal.set_up(level=logging.INFO, program="canteen-agent")
    sys.exit(run_command(cli))
