"""The command line of the central, `canteen-central`: one function a subcommand.

`--db` names the central's database; every command but `init` needs one.
"""

import logging
import secrets
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
import msgspec
from rich.console import Console
from rich.progress import Progress

from agent.central.books import file
from agent.central.office import desk as office
from agent.central.office import lists
from agent.central.office import roster as rosters
from agent.central.office.check import check as check_books
from agent.central.office.desk import card_key_path
from agent.central.server import Exchange
from agent.central.server import serve as serve_central
from agent.console import Format, print_table, run_command, show_rows, table_format, text_of
from agent.domain.canteen import Id, PolicyRecord, ServiceRecord
from agent.domain.card import Token, card_token, parse_card_id, parse_card_key
from agent.domain.clock import day_of, format_instant
from agent.domain.money import format_euro, parse_euro
from agent.domain.printed import candidates
from agent.errors import AgentError, ConfigError
from agent.ops import journal
from agent.sync.ledger_file import read_export
from agent.sync.mqtt import Broker


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="canteen-agent")
@click.option(
    "--db", "db_path", type=click.Path(path_type=Path), default="central.db", show_default=True
)
@click.pass_context
def cli(context: click.Context, db_path: Path) -> None:
    """The reference central: its server, and what the office does."""
    context.obj = db_path


@cli.command()
@click.option("--town", required=True)
@click.option("--zone", default="Europe/Rome", show_default=True)
@click.pass_obj
def init(db_path: Path, town: str, zone: str) -> None:
    """Begin the central of a town: its database and its card key."""
    key_path = office.card_key_path(db_path)
    town, zone = _checked_id(town), _zone(zone)
    if db_path.exists():
        raise AgentError(f"{db_path}: is there already; init makes a new central")
    office.write_card_key(key_path, secrets.token_hex(office.CARD_KEY_BYTES))
    with closing(file.Books(db_path, create=True)) as new:
        file.initialise(new, town=town, zone=zone, generation=secrets.token_hex(16), at=_now())
    click.echo(
        f"{db_path}: central of {town}\n{key_path}: the town's card key; every terminal gets a copy, nobody else"
    )


@cli.command()
@click.option(
    "--broker", required=True, help="mqtts://host:8883, or mqtt://host:1883 in the clear."
)
@click.option("--ca", type=click.Path(path_type=Path))
@click.option("--certificate", type=click.Path(path_type=Path))
@click.option("--key", type=click.Path(path_type=Path))
@click.pass_obj
def serve(
    db_path: Path, broker: str, ca: Path | None, certificate: Path | None, key: Path | None
) -> None:
    """Book what terminals send and tell them what changes, until told to stop."""
    with _central(db_path) as books:
        serve_central(
            books,
            Broker(url=broker, ca_file=ca, certificate_file=certificate, key_file=key),
            now=_now,
        )


@cli.command("import-roster")
@click.argument("roster", type=click.Path(path_type=Path))
@click.pass_obj
def import_roster(db_path: Path, roster: Path) -> None:
    """Import accounts, cards, prices and classes from a CSV file (docs/ROSTER.md)."""
    with _central(db_path) as books:
        lines = rosters.read_roster(roster, _card_key(db_path))
        with Progress(
            console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
        ) as bar:
            task = bar.add_task("accounts", total=len(lines))
            new, changed = rosters.import_roster(books, lines, lambda: bar.advance(task), at=_now())
    click.echo(f"{len(lines)} accounts read: {new} new, {changed} changed")


@cli.command("import-ledger")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def import_ledger(db_path: Path, file: Path) -> None:
    """Take in a terminal's exported ledger or its mirror, as if the broker had brought it. What is known already changes nothing."""
    with _central(db_path) as books:
        (before,) = books.only_row("SELECT count(*) FROM entry")
        exchange = Exchange(books, new_generation=lambda: secrets.token_hex(16))
        for line in read_export(file):
            exchange.receive(
                exchange.topics.of(line.terminal, line.leaf), bytes(line.payload), _now()
            )
        (after,) = books.only_row("SELECT count(*) FROM entry")
    click.echo(f"{file}: {after - before} new entries booked")


@cli.command()
@click.argument("account")
@click.argument("euro")
@click.option("--channel", default="desk", show_default=True, help="Where it was paid.")
@click.option("--id", "external", required=True, help="The payment's own id there: twice is once.")
@click.option("--reason", default="")
@click.pass_obj
def credit(
    db_path: Path, account: str, euro: str, channel: str, external: str, reason: str
) -> None:
    """Add EURO paid to ACCOUNT; a refund is negative, after --."""
    cents = parse_euro(euro)
    with _central(db_path) as books:
        booked = office.credit(
            books,
            account=account,
            cents=cents,
            channel=channel,
            external=external,
            at=_now(),
            reason=reason,
        )
        balance = lists.balance_cents(books, account)
    click.echo(
        f"account {account}: {'booked' if booked else 'was booked before'}, balance {format_euro(balance)} euro"
    )


@cli.group()
def card() -> None:
    """Assign, block and replace cards. A card is written as a:04a1b2c3d4e5f6 or em:010063e9ae."""


@card.command("assign")
@click.argument("card_id")
@click.argument("account")
@click.pass_obj
def card_assign(db_path: Path, card_id: str, account: str) -> None:
    """Let a card point at ACCOUNT."""
    with _central(db_path) as books:
        meals = office.assign_card(books, _token(db_path, card_id), account, at=_now())
    click.echo(
        f"assigned to account {account}"
        + (f"; {meals} meals it was served before are booked" if meals else "")
    )


@card.command("block")
@click.argument("card_id")
@click.pass_obj
def card_block(db_path: Path, card_id: str) -> None:
    """Block a lost card."""
    with _central(db_path) as books:
        account = office.block_card(books, _token(db_path, card_id))
    click.echo(f"blocked; it belonged to account {account}")


@card.command("replace")
@click.argument("old_card_id")
@click.argument("new_card_id")
@click.pass_obj
def card_replace(db_path: Path, old_card_id: str, new_card_id: str) -> None:
    """Give the account of an old card a new one."""
    with _central(db_path) as books:
        account = office.replace_card(
            books, _token(db_path, old_card_id), _token(db_path, new_card_id), at=_now()
        )
    click.echo(f"replaced for account {account}")


@card.command("find")
@click.argument("numbers", nargs=-1, required=True)
@table_format
@click.pass_obj
def card_find(db_path: Path, numbers: tuple[str, ...], table_format: Format) -> None:
    """Find cards by the NUMBERS printed on them, as 0006547886 099,59822. Two cards may carry one number: all are listed."""
    with _central(db_path) as books:
        show_rows(
            lists.cards_with(books, candidates(" ".join(numbers)), _card_key(db_path)), table_format
        )


@cli.command()
@click.option(
    "--from",
    "from_day",
    type=click.DateTime(["%Y-%m-%d"]),
    default=None,
    help="Day of effect; today if not given.",
)
@click.option("--shortage", type=click.Choice(["serve", "refuse"]))
@click.option("--floor", "floor_euro", help="Lowest balance after a meal, in euro, as -10.00.")
@click.option("--unknown-card", type=click.Choice(["serve", "refuse"]))
@click.option("--double-meal", type=click.Choice(["give_back", "keep"]))
@click.option("--stale-after-h", type=click.IntRange(1, 10_000))
@click.option("--serve-all-until", type=click.DateTime(["%Y-%m-%dT%H:%M"]), help="In UTC.")
@click.option("--undo-min", type=click.IntRange(0, 1_440))
@click.option("--keep-days", type=click.IntRange(1, 3_660))
@click.option("--labels", type=click.Choice(["none", "short"]))
@click.pass_obj
def policy(
    db_path: Path,
    /,
    from_day: datetime | None,
    floor_euro: str | None,
    double_meal: str | None,
    **given: Any,
) -> None:
    """Set the town's rules from a day on; what is not given stays as it was. Without options: show them."""
    members = {name: value for name, value in given.items() if value is not None}
    if floor_euro is not None:
        members["floor"] = parse_euro(floor_euro)
    if isinstance(until := members.get("serve_all_until"), datetime):
        members["serve_all_until"] = format_instant(until.replace(tzinfo=UTC))
    with _central(db_path) as books:
        zone = lists.zone(books)
        day = f"{from_day:%Y-%m-%d}" if from_day else day_of(_now(), zone)
        before, double_before = office.policy_for(books, day)
        new = msgspec.convert({**msgspec.to_builtins(before), **members}, PolicyRecord)
        if members or double_meal:
            office.set_policy(books, new, double_meal or double_before, at=_now())
    shown = {
        name: value for name, value in msgspec.to_builtins(new).items() if name not in ("k", "p")
    }
    defaults = msgspec.structs.asdict(PolicyRecord(from_day=day, p=0))
    rows = {
        **{
            name: text_of(value)
            for name, value in defaults.items()
            if name not in ("from_day", "p")
        },
        **shown,
    }
    rows["double_meal"] = double_meal or double_before
    print_table(
        ("rule", f"from {day}"),
        [(name, str(value)) for name, value in rows.items() if name != "from"],
    )


@cli.command()
@click.argument("site")
@click.argument("service_id")
@click.option("--name", default=None)
@click.option("--opens", required=True, help="HH:MM in the town's time zone.")
@click.option("--closes", required=True)
@click.option("--weekdays", default="12345", show_default=True, help="1 is Monday.")
@click.option("--closed-day", "closed_days", multiple=True, type=click.DateTime(["%Y-%m-%d"]))
@click.pass_obj
def service(
    db_path: Path,
    site: str,
    service_id: str,
    name: str | None,
    opens: str,
    closes: str,
    weekdays: str,
    closed_days: tuple[datetime, ...],
) -> None:
    """Set when a service is open at SITE."""
    members = {
        "k": "service",
        "id": service_id,
        "p": 0,
        "name": name or service_id,
        "opens": opens,
        "closes": closes,
        "weekdays": [int(digit) if digit.isdigit() else 0 for digit in weekdays],
        "closed_days": [f"{day:%Y-%m-%d}" for day in closed_days],
    }
    try:
        record = msgspec.convert(members, ServiceRecord)
    except msgspec.ValidationError as error:
        raise AgentError(f"service {service_id}: {error}") from None
    if opens >= closes:
        raise AgentError(f"service {service_id}: opens at {opens}, which is not before {closes}")
    with _central(db_path) as books:
        office.set_service(books, _checked_id(site), record)
    click.echo(f"{service_id} at {site}: {opens} to {closes}")


@cli.group(invoke_without_command=True)
@table_format
@click.pass_context
def terminals(context: click.Context, table_format: Format) -> None:
    """List the terminals, and how far each is booked."""
    if context.invoked_subcommand is not None:
        return
    with _central(context.obj) as books:
        rows = lists.terminals(books)
    show_rows(rows, table_format)


@terminals.command("add")
@click.argument("terminal")
@click.argument("site")
@click.pass_obj
def terminal_add(db_path: Path, terminal: str, site: str) -> None:
    """Register TERMINAL at SITE, or move it there."""
    with _central(db_path) as books:
        office.add_terminal(books, _checked_id(terminal), _checked_id(site))
    click.echo(f"terminal {terminal} at site {site}")


@terminals.command("retire")
@click.argument("terminal")
@click.pass_obj
def terminal_retire(db_path: Path, terminal: str) -> None:
    """Let a stolen or retired TERMINAL forget all children once its entries are booked."""
    with _central(db_path) as books:
        office.retire_terminal(books, terminal)
    click.echo(f"terminal {terminal} retired")


@terminals.command("order")
@click.argument("terminal")
@click.argument("do", type=click.Choice(["resync", "new_epoch"]))
@click.pass_obj
def terminal_order(db_path: Path, terminal: str, do: str) -> None:
    """Order TERMINAL to compare everything again, or to begin a new epoch."""
    with _central(db_path) as books:
        click.echo(f"order {office.order(books, terminal, do)} for terminal {terminal}: {do}")


@cli.command()
@table_format
@click.pass_obj
def accounts(db_path: Path, table_format: Format) -> None:
    """List the accounts with balances and meals."""
    with _central(db_path) as books:
        rows = lists.accounts(books)
    show_rows(rows, table_format)


@cli.command()
@table_format
@click.pass_obj
def incidents(db_path: Path, table_format: Format) -> None:
    """List what someone should look at: incidents, messages set aside, entries flagged or set aside."""
    with _central(db_path) as books:
        rows = lists.incidents(books)
    show_rows(rows, table_format)


@cli.command()
@click.pass_obj
def check(db_path: Path) -> int:
    """Recompute every balance from entries and credits, and every terminal's chain."""
    with _central(db_path) as books:
        differences = list(check_books(books))
        balances, entries = lists.sizes(books)
    for difference in differences:
        click.echo(difference)
    if differences:
        return 1
    click.echo(f"{balances} balances, {entries} entries: all correct")
    return 0


@cli.command("new-generation")
@click.option("--reason", required=True)
@click.pass_obj
def central_new_generation(db_path: Path, reason: str) -> None:
    """Say that this database was restored from a backup: terminals give back what it lost."""
    with _central(db_path) as books:
        office.new_generation(books, secrets.token_hex(16), at=_now(), reason=reason)
    click.echo("every terminal compares everything again")


def main() -> None:
    """Run `canteen-central`."""
    journal.set_up(level=logging.INFO, program="canteen-central")
    sys.exit(run_command(cli))


@contextmanager
def _central(db_path: Path) -> Iterator[Any]:
    """The central's books, with `msgspec`'s complaints about an argument as sentences."""
    with closing(file.Books(db_path)) as books:
        try:
            yield books
        except msgspec.ValidationError as error:
            raise AgentError(str(error)) from None


def _checked_id(text: str) -> str:
    try:
        return msgspec.convert(text, Id)
    except msgspec.ValidationError:
        raise AgentError(
            f"{text!r} is no id: write letters, digits, . _ or -, at most 64"
        ) from None


def _card_key(db_path: Path) -> bytes:
    path = card_key_path(db_path)
    try:
        return parse_card_key(path.read_text(encoding="ascii"), where=str(path))
    except OSError as error:
        raise ConfigError(
            f"{path}: the town's card key cannot be read: {error.strerror}"
        ) from error


def _token(db_path: Path, card_id: str) -> Token:
    return card_token(_card_key(db_path), parse_card_id(card_id))


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise AgentError(f"no time zone {name!r}; write one like Europe/Rome") from None


def _now() -> str:
    return format_instant(datetime.now(UTC))
