"""The command line: one function a subcommand, and the only place that prints.

Exit codes: 0 done, 1 said no (with a sentence), 2 usage, 3 our bug, 78 configuration (systemd does not restart on it).
"""

import json
import logging
import secrets
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from agent import app
from agent.config import load_config, load_places
from agent.domain.canteen import Id, PolicyRecord, ServiceRecord
from agent.domain.card import Token, card_token, parse_card_id, parse_card_key
from agent.domain.clock import day_of, format_instant
from agent.domain.money import format_euro, parse_euro
from agent.errors import AgentError, ConfigError
from agent.ops import control, journal
from agent.store import reads
from agent.store.database import Database

CONFIG = click.option(
    "-c", "--config", "config_path", type=click.Path(path_type=Path), default="/etc/canteen-agent/agent.toml", show_default=True
)
JSON = click.option("--json", "as_json", is_flag=True, help="For programs: JSON instead of a table.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="canteen-agent")
@click.option("-v", "--verbose", count=True, help="-v: debugging; -vv: raw bytes of readers as well, which identify children.")
def cli(verbose: int) -> None:
    """The canteen agent and its reference central."""
    journal.set_up(level=(logging.INFO, logging.DEBUG, journal.TRAFFIC)[min(verbose, 2)])


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
        return _print_json({**answer, "readers": readers, "other_records": other})
    rows = [(name.replace("_", " "), _text(value)) for name, value in answer.items()]
    rows += [(f"reader {name}", state) for name, state in readers.items()]
    rows += [(f"records: {kind}", str(count)) for kind, count in other.items()]
    return _print_table(("", "terminal"), rows)


@cli.group(invoke_without_command=True)
@CONFIG
@JSON
@click.option("-n", "--newest", type=click.IntRange(1, 1_000_000), default=20, show_default=True)
@click.pass_context
def ledger(context: click.Context, config_path: Path, as_json: bool, newest: int) -> None:
    """List the newest entries of the terminal's ledger."""
    context.obj = config_path
    if context.invoked_subcommand is not None:
        return
    with closing(Database(load_places(config_path).database, read_only=True)) as db, db.reading():
        entries = reads.entries(db, newest=newest)
    if as_json:
        _print_json(
            [{"epoch": epoch, **msgspec.to_builtins(entry), "acked": booked, "undone": undone} for epoch, entry, booked, undone in entries]
        )
        return
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
    _print_table(("seq", "at", "kind", "account", "card", "euro", "day", "flags", "central"), rows)


@ledger.command()
@click.option("-c", "--config", "config_path", type=click.Path(path_type=Path), default=None, help="As for ledger.")
@click.pass_context
def verify(context: click.Context, config_path: Path | None) -> int:
    """Recompute the hash chain and every balance."""
    with closing(Database(load_places(config_path or context.obj).database, read_only=True)) as db, db.reading():
        differences = list(reads.verify(db))
        here = reads.standing(db)
        accounts = sum(1 for _ in reads.balances(db))
    for difference in differences:
        click.echo(difference)
    if differences:
        return 1
    click.echo(f"{here.town}/{here.terminal}: {here.last} entries in epoch {here.epoch}, {accounts} balances: all correct")
    return 0


@cli.command("incidents")
@CONFIG
@JSON
def terminal_incidents(config_path: Path, as_json: bool) -> None:
    """List what someone should look at: incidents, messages set aside, the central's notes on entries."""
    with closing(Database(load_places(config_path).database, read_only=True)) as db, db.reading():
        rows = [dict(zip(("at", "kind", "detail"), row, strict=True)) for row in reads.incidents(db)]
    _show(rows, as_json)


@cli.command()
@CONFIG
@click.argument("seq", type=click.IntRange(1, 2**53), required=False)
def storno(config_path: Path, seq: int | None) -> None:
    """Undo meal SEQ of this terminal, or its newest meal."""
    answer = control.ask(load_places(config_path).control_socket, "storno", seq=seq)
    click.echo(f"undone: account {answer['account']}, {format_euro(answer['cents'])} euro back (entry {answer['seq']})")


@cli.command()
@CONFIG
@click.argument("account")
@click.option("--day", help="The day it was eaten, as 2026-11-23, for a meal typed in later.")
@click.option("--service", "service_id", help="Which service it was, where there are several.")
def meal(config_path: Path, account: str, day: str | None, service_id: str | None) -> None:
    """Record a meal of ACCOUNT without its card."""
    answer = control.ask(load_places(config_path).control_socket, "meal", account=account, day=day, service=service_id)
    click.echo(f"served: account {answer['account']}, {answer['day']}, {format_euro(answer['cents'])} euro (entry {answer['seq']})")


@cli.command("close")
@CONFIG
@click.argument("trays", type=click.IntRange(0, 100_000))
def close_service(config_path: Path, trays: int) -> None:
    """End a service: TRAYS counted by the staff, beside the terminal's own meals."""
    answer = control.ask(load_places(config_path).control_socket, "closing", trays=trays)
    click.echo(f"closed: {trays} trays counted, {answer['served']} meals served (entry {answer['seq']})")


@cli.group()
@click.option("--db", "db_path", type=click.Path(path_type=Path), default="central.db", show_default=True)
@click.pass_context
def central(context: click.Context, db_path: Path) -> None:
    """The reference central: its server, and what the office does."""
    context.obj = db_path


@central.command()
@click.option("--town", required=True)
@click.option("--zone", default="Europe/Rome", show_default=True)
@click.pass_obj
def init(db_path: Path, town: str, zone: str) -> None:
    """Begin the central of a town: its database and its card key."""
    from agent.central import ledger as books
    from agent.central import office

    key_path = office.card_key_path(db_path)
    town, zone = _checked_id(town), _zone(zone)
    if db_path.exists():
        raise AgentError(f"{db_path}: is there already; init makes a new central")
    office.write_card_key(key_path, secrets.token_hex(office.CARD_KEY_BYTES))
    with closing(books.Ledger(db_path, create=True)) as new:
        books.found(new, town=town, zone=zone, journal=secrets.token_hex(16), at=_now())
    click.echo(f"{db_path}: central of {town}\n{key_path}: the town's card key; every terminal gets a copy, nobody else")


@central.command()
@click.option("--broker", required=True, help="mqtts://host:8883, or mqtt://host:1883 in the clear.")
@click.option("--ca", type=click.Path(path_type=Path))
@click.option("--certificate", type=click.Path(path_type=Path))
@click.option("--key", type=click.Path(path_type=Path))
@click.pass_obj
def serve(db_path: Path, broker: str, ca: Path | None, certificate: Path | None, key: Path | None) -> None:
    """Book what terminals send and tell them what changes, until told to stop."""
    from agent.central.link import serve as serve_central
    from agent.sync.mqtt import Broker

    with _central(db_path) as books:
        serve_central(books, Broker(url=broker, ca_file=ca, certificate_file=certificate, key_file=key), now=_now)


@central.command("import-roster")
@click.argument("roster", type=click.Path(path_type=Path))
@click.pass_obj
def import_roster(db_path: Path, roster: Path) -> None:
    """Import accounts, cards, prices and classes from a CSV file (docs/ROSTER.md)."""
    from agent.central import roster as rosters

    with _central(db_path) as books:
        lines = rosters.read_roster(roster, _card_key(db_path))
        with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task("accounts", total=len(lines))
            new, changed = rosters.import_roster(books, lines, lambda: bar.advance(task), at=_now())
    click.echo(f"{len(lines)} accounts read: {new} new, {changed} changed")


@central.command()
@click.argument("account")
@click.argument("euro")
@click.option("--channel", default="desk", show_default=True, help="Where it was paid.")
@click.option("--id", "external", required=True, help="The payment's own id there: twice is once.")
@click.option("--reason", default="")
@click.pass_obj
def credit(db_path: Path, account: str, euro: str, channel: str, external: str, reason: str) -> None:
    """Add EURO paid to ACCOUNT; a refund is negative, after --."""
    from agent.central import office

    cents = parse_euro(euro)
    with _central(db_path) as books:
        booked = office.credit(books, account=account, cents=cents, channel=channel, external=external, at=_now(), reason=reason)
        (balance,) = books.sql.execute("SELECT balance FROM account WHERE id = ?", (account,)).fetchone()
    click.echo(f"account {account}: {'booked' if booked else 'was booked before'}, balance {format_euro(balance)} euro")


@central.group()
def card() -> None:
    """Assign, block and replace cards. A card is written as a:04a1b2c3d4e5f6 or em:010063e9ae."""


@card.command("assign")
@click.argument("card_id")
@click.argument("account")
@click.pass_obj
def card_assign(db_path: Path, card_id: str, account: str) -> None:
    """Let a card point at ACCOUNT."""
    from agent.central import office

    with _central(db_path) as books:
        meals = office.assign_card(books, _token(db_path, card_id), account, at=_now())
    click.echo(f"assigned to account {account}" + (f"; {meals} meals it was served before are booked" if meals else ""))


@card.command("block")
@click.argument("card_id")
@click.pass_obj
def card_block(db_path: Path, card_id: str) -> None:
    """Block a lost card."""
    from agent.central import office

    with _central(db_path) as books:
        account = office.block_card(books, _token(db_path, card_id))
    click.echo(f"blocked; it belonged to account {account}")


@card.command("replace")
@click.argument("old_card_id")
@click.argument("new_card_id")
@click.pass_obj
def card_replace(db_path: Path, old_card_id: str, new_card_id: str) -> None:
    """Give the account of an old card a new one."""
    from agent.central import office

    with _central(db_path) as books:
        account = office.replace_card(books, _token(db_path, old_card_id), _token(db_path, new_card_id), at=_now())
    click.echo(f"replaced for account {account}")


@central.command()
@click.option("--from", "from_day", type=click.DateTime(["%Y-%m-%d"]), default=None, help="Day of effect; today if not given.")
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
def policy(db_path: Path, /, from_day: datetime | None, floor_euro: str | None, double_meal: str | None, **given: Any) -> None:
    """Set the town's rules from a day on; what is not given stays as it was. Without options: show them."""
    from agent.central import office

    members = {name: value for name, value in given.items() if value is not None}
    if floor_euro is not None:
        members["floor"] = parse_euro(floor_euro)
    if isinstance(until := members.get("serve_all_until"), datetime):
        members["serve_all_until"] = format_instant(until.replace(tzinfo=UTC))
    with _central(db_path) as books:
        zone = ZoneInfo(books.sql.execute("SELECT zone FROM central").fetchone()["zone"])
        day = f"{from_day:%Y-%m-%d}" if from_day else day_of(_now(), zone)
        before, double_before = office.policy_for(books, day)
        new = msgspec.convert({**msgspec.to_builtins(before), **members}, PolicyRecord)
        if members or double_meal:
            office.set_policy(books, new, double_meal or double_before)
    shown = {name: value for name, value in msgspec.to_builtins(new).items() if name not in ("k", "p")}
    defaults = msgspec.structs.asdict(PolicyRecord(from_day=day, p=0))
    rows = {**{name: _text(value) for name, value in defaults.items() if name not in ("from_day", "p")}, **shown}
    rows["double_meal"] = double_meal or double_before
    _print_table(("rule", f"from {day}"), [(name, str(value)) for name, value in rows.items() if name != "from"])


@central.command()
@click.argument("site")
@click.argument("service_id")
@click.option("--name", default=None)
@click.option("--opens", required=True, help="HH:MM in the town's time zone.")
@click.option("--closes", required=True)
@click.option("--weekdays", default="12345", show_default=True, help="1 is Monday.")
@click.option("--closed-day", "closed_days", multiple=True, type=click.DateTime(["%Y-%m-%d"]))
@click.pass_obj
def service(
    db_path: Path, site: str, service_id: str, name: str | None, opens: str, closes: str, weekdays: str, closed_days: tuple[datetime, ...]
) -> None:
    """Set when a service is open at SITE."""
    from agent.central import office

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


@central.group(invoke_without_command=True)
@JSON
@click.pass_context
def terminals(context: click.Context, as_json: bool) -> None:
    """List the terminals, and how far each is booked."""
    if context.invoked_subcommand is not None:
        return
    with _central(context.obj) as books:
        rows = _rows(
            books.sql,
            "SELECT t.id, t.site, c.epoch, c.seq AS booked, t.hello ->> '$.last' AS last, t.hello_at, t.forked,"
            " t.order_do AS waiting_order, t.state ->> '$.online' AS online FROM terminal t LEFT JOIN chain c ON c.terminal = t.id"
            " AND c.seen = (SELECT max(seen) FROM chain WHERE terminal = t.id) ORDER BY t.id",
        )
    _show(rows, as_json)


@terminals.command("add")
@click.argument("terminal")
@click.argument("site")
@click.pass_obj
def terminal_add(db_path: Path, terminal: str, site: str) -> None:
    """Register TERMINAL at SITE, or move it there."""
    from agent.central import office

    with _central(db_path) as books:
        office.add_terminal(books, _checked_id(terminal), _checked_id(site))
    click.echo(f"terminal {terminal} at site {site}")


@terminals.command("retire")
@click.argument("terminal")
@click.pass_obj
def terminal_retire(db_path: Path, terminal: str) -> None:
    """Let a stolen or retired TERMINAL forget all children once its entries are booked."""
    from agent.central import office

    with _central(db_path) as books:
        office.retire_terminal(books, terminal)
    click.echo(f"terminal {terminal} retired")


@terminals.command("order")
@click.argument("terminal")
@click.argument("do", type=click.Choice(["resync", "new_epoch"]))
@click.pass_obj
def terminal_order(db_path: Path, terminal: str, do: str) -> None:
    """Order TERMINAL to compare everything again, or to begin a new epoch."""
    from agent.central import office

    with _central(db_path) as books:
        click.echo(f"order {office.order(books, terminal, do)} for terminal {terminal}: {do}")


@central.command()
@JSON
@click.pass_obj
def accounts(db_path: Path, as_json: bool) -> None:
    """List the accounts with balances and meals."""
    with _central(db_path) as books:
        rows = _rows(
            books.sql,
            "SELECT a.id, a.site, a.class, a.status, a.balance, (SELECT count(*) FROM entry m WHERE m.account = a.id"
            " AND m.kind IN ('meal', 'unknown_meal') AND NOT EXISTS (SELECT 1 FROM entry s WHERE s.terminal = m.terminal"
            " AND s.undoes_epoch = m.epoch AND s.undoes_seq = m.seq AND s.undoes_hash = m.hash)) AS meals FROM account a ORDER BY a.id",
        )
    _show(rows, as_json)


@central.command()
@JSON
@click.pass_obj
def incidents(db_path: Path, as_json: bool) -> None:
    """List what someone should look at: incidents, messages set aside, entries flagged or set aside."""
    with _central(db_path) as books:
        rows = _rows(
            books.sql,
            "SELECT at, terminal, kind, detail FROM incident UNION ALL SELECT at, '', 'message set aside', topic || ': ' || reason"
            " FROM set_aside UNION ALL SELECT at, terminal, status, 'entry ' || seq || ': ' || reason FROM entry"
            " WHERE status <> 'applied' ORDER BY 1",
        )
    _show(rows, as_json)


@central.command()
@click.pass_obj
def check(db_path: Path) -> int:
    """Recompute every balance from entries and credits, and every terminal's chain."""
    from agent.central.check import check as check_books

    with _central(db_path) as books:
        differences = list(check_books(books))
        count = books.sql.execute("SELECT (SELECT count(*) FROM account), (SELECT count(*) FROM entry)").fetchone()
    for difference in differences:
        click.echo(difference)
    if differences:
        return 1
    click.echo(f"{count[0]} balances, {count[1]} entries: all correct")
    return 0


@central.command("new-journal")
@click.option("--reason", required=True)
@click.pass_obj
def central_new_journal(db_path: Path, reason: str) -> None:
    """Say that this database was restored from a backup: terminals give back what it lost."""
    from agent.central import office

    with _central(db_path) as books:
        office.new_journal(books, secrets.token_hex(16), at=_now(), reason=reason)
    click.echo("every terminal compares everything again")


def main() -> None:
    """The program's entry."""
    journal.set_up(level=logging.INFO)
    sys.exit(app.guarded(_run_click))


def _run_click() -> int:
    try:
        return cli(standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Abort:
        return 1
    except UnicodeEncodeError:
        raise AgentError("an argument is not UTF-8 text") from None


@contextmanager
def _central(db_path: Path) -> Iterator[Any]:
    """The central's books, with `msgspec`'s complaints about an argument as sentences."""
    from agent.central.ledger import Ledger

    with closing(Ledger(db_path)) as books:
        try:
            yield books
        except msgspec.ValidationError as error:
            raise AgentError(str(error)) from None


def _checked_id(text: str) -> str:
    try:
        return msgspec.convert(text, Id)
    except msgspec.ValidationError:
        raise AgentError(f"{text!r} is no id: write letters, digits, . _ or -, at most 64") from None


def _card_key(db_path: Path) -> bytes:
    from agent.central.office import card_key_path

    path = card_key_path(db_path)
    try:
        return parse_card_key(path.read_text(encoding="ascii"), where=str(path))
    except OSError as error:
        raise ConfigError(f"{path}: the town's card key cannot be read: {error.strerror}") from error


def _token(db_path: Path, card_id: str) -> Token:
    return card_token(_card_key(db_path), parse_card_id(card_id))


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise AgentError(f"no time zone {name!r}; write one like Europe/Rome") from None


def _now() -> str:
    return format_instant(datetime.now(UTC))


def _rows(connection: sqlite3.Connection, sql: str) -> list[dict[str, Any]]:
    from sqlite_utils import Database as Inspection

    return list(Inspection(connection).query(sql))


def _show(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        return _print_json(rows)
    for row in rows:
        if "balance" in row:
            row["balance"] = format_euro(row["balance"])
    columns = tuple(rows[0]) if rows else ("nothing",)
    return _print_table([name.replace("_", " ") for name in columns], [[_text(value) for value in row.values()] for row in rows])


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=1))


def _print_table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    table = Table(*columns)
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _text(value: object) -> str:
    return "-" if value is None else str(value)
