"""The command line of a terminal, `canteen-agent`: one function per subcommand."""

import logging
from pathlib import Path

import click
import msgspec

from agent.console import (
    JSON,
    Format,
    print_json,
    print_table,
    show_rows,
    table_format,
    text_of,
)
from agent.domain.ledger import SEQ_MAX
from agent.domain.money import format_euro
from agent.ops import journal
from agent.ops.control_client import ask
from agent.store import lists, reads
from agent.store.lists import LedgerRow
from agent.store.old_card import salvage
from agent.store.standing import standing
from agent.store.verify import verify, verify_deep
from agent.store.viewing import view
from agent.terminal import process
from agent.terminal.cli_bundle import bundle
from agent.terminal.cli_doctor import doctor
from agent.terminal.cli_enrol import enrol, renew
from agent.terminal.cli_readers import profile, readers
from agent.terminal.config import load_config, load_places
from agent.terminal.export import write_export

CONFIG_DEFAULT = "/etc/canteen-agent/agent.toml"
CONFIG = click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path, readable=False),
    default=CONFIG_DEFAULT,
    show_default=True,
    help="The terminal's agent.toml.",
)
TRAYS_MAX = 100_000


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="canteen-agent screen shows the page of the staff; it needs the extra screen.",
)
@click.version_option(package_name="canteen-agent")
@click.option(
    "-v",
    "--verbose",
    count=True,
    help="-v: debug messages; -vv: raw bytes of readers too, which identify children.",
)
def cli(verbose: int) -> None:
    """The canteen agent: one terminal beside its card readers."""
    levels = (logging.INFO, logging.DEBUG, journal.TRAFFIC)
    journal.set_up(level=levels[min(verbose, 2)], program="canteen-agent")


@cli.command()
@CONFIG
def run(config_path: Path) -> int:
    """Run a terminal until it is stopped."""
    return process.run(load_config(config_path))


@cli.command()
@CONFIG
@JSON
def status(config_path: Path, as_json: bool) -> None:
    """Show what the running agent is doing."""
    answer = ask(load_places(config_path).open_socket, "status")
    if as_json:
        return print_json(answer)
    answer["day"] = answer["day"] or "unknown: set it with canteen-agent day"
    groups = {"readers": "reader", "other_records": "records:"}
    tables = {name: msgspec.convert(answer.pop(name), dict[str, object]) for name in groups}
    rows = [(name.replace("_", " "), text_of(value)) for name, value in answer.items()]
    for name, table in tables.items():
        rows += [(f"{groups[name]} {key}", text_of(value)) for key, value in table.items()]
    return print_table(("", "terminal"), rows)


@cli.group(invoke_without_command=True)
@CONFIG
@table_format
@click.option(
    "-n",
    "--newest",
    type=click.IntRange(1, 1_000_000),
    default=20,
    show_default=True,
    help="How many entries to list.",
)
@click.pass_context
def ledger(context: click.Context, config_path: Path, table_format: Format, newest: int) -> None:
    """List the newest entries of the terminal's ledger."""
    context.obj = config_path
    if context.invoked_subcommand is not None:
        return None
    with view(load_places(config_path).database) as db:
        rows = lists.entries(db, newest=newest)
    if table_format is not Format.TABLE:
        return show_rows([msgspec.to_builtins(row) for row in rows], table_format)
    columns = ("seq", "at", "kind", "account", "card", "euro", "day", "flags", "central")
    return print_table(columns, [_ledger_cells(row) for row in rows])


@ledger.command("verify")
@click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path, readable=False),
    default=None,
    help="As for ledger.",
)
@click.option("--deep", is_flag=True, help="Also search the raw bytes of the file and its log.")
@click.pass_context
def verify_ledger(context: click.Context, config_path: Path | None, deep: bool) -> int:
    """Recompute the hash chain, every checksum, every index and every balance."""
    path = load_places(config_path or context.obj).database
    with view(path) as db:
        differences = [*verify(db)]
        if not differences:
            own = standing(db)
            accounts = sum(1 for _ in reads.balances(db))
    differences += verify_deep(path) if deep else ()
    for difference in differences:
        click.echo(difference)
    if differences:
        click.echo(
            "What to do: restart the agent. It keeps a damaged file aside, takes over every entry"
            " that can be proved, and requests the rest from the central."
        )
        return 1
    click.echo(
        f"{own.town}/{own.terminal}: {own.end.seq} entries in epoch {own.epoch},"
        f" {accounts} balances: all correct"
    )
    return 0


@ledger.command("salvage")
@click.argument("damaged", type=click.Path(path_type=Path))
@click.pass_obj
def salvage_ledger(config_path: Path, damaged: Path) -> int:
    """Copy the entries of a DAMAGED ledger that can be proved into this terminal's ledger.

    The agent must not run. Of an epoch that this ledger has, the missing ends are copied. Entries
    before a damaged place are written into files for the office.
    """
    places = load_places(config_path)
    with process.lock_state_dir(places.database.parent):
        taken, exported = salvage(damaged, places.database, process.new_epoch_bits, write_export)
    for copy in taken:
        first, last = copy.base.seq + 1, copy.base.seq + len(copy.entries)
        click.echo(f"epoch {copy.base.epoch}: entries {first} to {last}")
    if exported:
        click.echo(
            f"entries before a damaged place: {', '.join(exported)}; import them at the office with"
            " canteen-central import-ledger"
        )
    if not taken and not exported:
        click.echo(f"{damaged}: no entry that can be proved and is missing in this ledger")
        return 1
    return 0


@ledger.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def export_ledger(config_path: Path, file: Path) -> None:
    """Write the whole ledger into FILE, for a USB stick.

    The office imports it with canteen-central import-ledger.
    """
    path = load_places(config_path).database
    with view(path) as db:
        count = write_export(db, file)
    click.echo(f"{file}: {count} entries")


@cli.command("incidents")
@CONFIG
@table_format
def terminal_incidents(config_path: Path, table_format: Format) -> None:
    """List what someone should look at: incidents, set-aside messages, the central's notes."""
    path = load_places(config_path).database
    with view(path) as db:
        rows = [msgspec.to_builtins(incident) for incident in lists.incidents(db)]
    show_rows(rows, table_format)


@cli.command()
@CONFIG
@click.argument("seq", type=click.IntRange(1, SEQ_MAX))
def storno(config_path: Path, seq: int) -> None:
    """Undo the meal of entry SEQ of this terminal; `ledger` lists the entries."""
    answer = ask(load_places(config_path).control_socket, "storno", seq=seq)
    click.echo(
        f"undone: account {answer['account']}, {_euro(answer)} euro back (entry {answer['seq']})"
    )


@cli.command()
@CONFIG
@click.argument("account")
@click.option("--day", help="The day of the meal, as 2026-11-23, for a meal typed in later.")
@click.option("--service", "service_id", help="Its service, where the site has several.")
def meal(config_path: Path, account: str, day: str | None, service_id: str | None) -> None:
    """Record a meal of ACCOUNT without its card."""
    socket = load_places(config_path).control_socket
    answer = ask(socket, "meal", account=account, day=day, service=service_id)
    click.echo(
        f"served: account {answer['account']}, {answer['day']}, {_euro(answer)} euro"
        f" (entry {answer['seq']})"
    )


@cli.command("day")
@CONFIG
@click.argument("day")
def confirm_day(config_path: Path, day: str) -> None:
    """Set today's date to DAY, as 2026-11-23, until a time is confirmed."""
    answer = ask(load_places(config_path).control_socket, "day", day=day)
    if answer["clock"] == "synced":
        click.echo(f"the time is confirmed: {answer['at']}. {day} counts only if that ends")
    else:
        click.echo(f"meals are recorded for {day} until a time is confirmed, for 12 h at most")


@cli.command("close")
@CONFIG
@click.argument("trays", type=click.IntRange(0, TRAYS_MAX))
def close_service(config_path: Path, trays: int) -> None:
    """End a service: TRAYS counted by the staff, beside the terminal's own meals."""
    answer = ask(load_places(config_path).control_socket, "closing", trays=trays)
    click.echo(
        f"closed: {trays} trays counted, {answer['served']} meals served (entry {answer['seq']})"
    )


for group in (readers, profile, doctor, bundle, enrol, renew):
    cli.add_command(group)


def _ledger_cells(row: LedgerRow) -> list[str]:
    return [
        str(row.seq),
        row.at,
        row.kind + (f" ({row.reason})" if row.reason else ""),
        row.account or "-",
        row.card[:8] if row.card else "-",
        format_euro(row.cents),
        f"{row.day or '-'} {row.service or ''}",
        ", ".join(filter(None, (row.flags, "undone" if row.undone else ""))),
        "acked" if row.acked else "waiting",
    ]


def _euro(answer: dict[str, object]) -> str:
    return format_euro(msgspec.convert(answer["cents"], int))
