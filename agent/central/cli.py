"""The command line of the central, `canteen-central`: one function a subcommand.

`--db` names the central's database. The office's commands are in the files `cli_*`.
"""

import secrets
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

import click
import msgspec

from agent.central import (
    cli_accounts,
    cli_balances,
    cli_credits,
    cli_enrol,
    cli_office,
    cli_payments,
    cli_roster,
    cli_settlements,
    cli_terminals,
    cli_towns,
    cli_watch,
    cli_web,
)
from agent.central.books import accounts as books_accounts
from agent.central.books import entries, lists
from agent.central.books.address import Database, parse
from agent.central.books.checks import require_whole
from agent.central.books.file import FileBooks
from agent.central.books.postings import Payment, PaymentKey
from agent.central.books.town import Town, initialise
from agent.central.command import (
    authority_folder,
    checked_id,
    checked_zone,
    now,
    open_books,
)
from agent.central.enrolment.addresses import load_addresses
from agent.central.office.card_key import card_key_path, create_card_key
from agent.central.office.check import check as check_books
from agent.central.office.credit import credit as book_credit
from agent.central.office.terminals import new_generation
from agent.central.server import Exchange
from agent.central.server import serve as serve_central
from agent.central.sole_server import sole_server
from agent.console import Format, show_rows, table_format
from agent.domain.money import format_euro, parse_euro
from agent.errors import AgentError
from agent.sync.broker import Broker
from agent.sync.ledger_file import read_export
from agent.sync.topics import Topics, identity_fault


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="canteen-agent")
@click.option(
    "--db",
    "database",
    default="central.db",
    show_default=True,
    help="The central's database: a file, or postgresql://USER@HOST/DATABASE?town=TOWN.",
)
@click.pass_context
def cli(context: click.Context, database: str) -> None:
    """The reference central: its server, and the office's commands."""
    context.obj = parse(database)


for _command in (
    cli_accounts.arrears,
    cli_accounts.export_all,
    cli_accounts.export_hledger,
    cli_accounts.meals,
    cli_accounts.reprice_meals,
    cli_accounts.statement,
    cli_accounts.yearly,
    cli_accounts.yearly_pdfs,
    cli_balances.close_out,
    cli_balances.import_balances,
    cli_credits.import_credits,
    cli_credits.takings,
    cli_credits.transfer,
    cli_enrol.broker_config,
    cli_enrol.ca,
    cli_enrol.enrol,
    cli_office.card,
    cli_office.policy,
    cli_office.service,
    cli_payments.payments,
    cli_roster.export_roster,
    cli_roster.import_roster,
    cli_settlements.reconcile,
    cli_settlements.settlements,
    cli_terminals.terminals,
    cli_towns.town,
    cli_watch.watch_folder,
    cli_web.web,
):
    cli.add_command(_command)


@cli.command()
@click.option("--town", required=True, help="The town's id, as in agent.toml.")
@click.option("--zone", default="Europe/Rome", show_default=True, help="The town's time zone.")
@click.pass_obj
def init(database: Database, town: str, zone: str) -> None:
    """Create the central of a town: its database and its card key."""
    key_path = card_key_path(database.files)
    new = Town(checked_id(town), checked_zone(zone))
    fault = identity_fault(Topics(town).central_identity)
    if fault is not None:
        raise AgentError(f"town {town!r} is not created: {fault}")
    if database.server is not None:
        raise AgentError("init makes a file; on a server use: canteen-central town add")
    if database.files.exists():
        raise AgentError(f"{database}: already exists; init creates a new central")
    create_card_key(key_path)
    with closing(FileBooks(database.files, create=True)) as books:
        initialise(books, new, secrets.token_hex(16), at=now())
    click.echo(
        f"{database}: central of {town}\n"
        f"{key_path}: the town's card key; copy it to every terminal and to nobody else"
    )


@cli.command()
@click.option(
    "--broker",
    help="mqtts://host:8883, or mqtt://host:1883 without encryption; that of ca init if not given.",
)
@click.option(
    "--ca", type=click.Path(path_type=Path), help="The CA that signed the broker's certificate."
)
@click.option(
    "--certificate", type=click.Path(path_type=Path), help="The central's own certificate."
)
@click.option("--key", type=click.Path(path_type=Path), help="The key of that certificate.")
@click.option("--username", help="The user name, for a broker that wants one.")
@click.option(
    "--password-file", type=click.Path(path_type=Path), help="The file with its password."
)
@click.option(
    "--metrics",
    "metrics_port",
    type=click.IntRange(1024, 65_535),
    help="Answer Prometheus at this port of 127.0.0.1.",
)
@click.option(
    "--towns", help="On a server: all, or the ids of the towns to serve, with commas between."
)
@click.pass_obj
def serve(
    database: Database,
    broker: str | None,
    ca: Path | None,
    certificate: Path | None,
    key: Path | None,
    username: str | None,
    password_file: Path | None,
    metrics_port: int | None,
    towns: str | None,
) -> None:
    """Book what terminals send, and send them changes, until stopped by a signal.

    Over mqtts without --ca, --certificate and --key it uses those of canteen-central ca init.
    Of several processes on a PostgreSQL server each serves some of the towns.
    """

    def link(of: Database) -> Broker:
        own = authority_folder(of)
        url = broker or load_addresses(own).broker
        has_own = url.startswith("mqtts:") and not (ca or certificate or key) and own.is_dir()
        pem = own / "central.pem"
        return Broker(
            url=url,
            ca_file=own / "ca.crt" if has_own else ca,
            certificate_file=pem if has_own else certificate,
            key_file=pem if has_own else key,
            username=username,
            password_file=password_file,
        )

    if database.server is not None:
        from agent.central.many_towns import serve_towns

        chosen = _chosen_towns(database, towns)
        with _metrics(database, metrics_port):
            serve_towns(database.server, lambda town: link(database.of_town(town)), now, chosen)
        return
    if towns is not None:
        raise AgentError(f"{database}: is a file, and has one town; --towns is for a server")
    with open_books(database) as books, sole_server(database.files):
        require_whole(books)
        with _metrics(database, metrics_port):
            serve_central(books, link(database), now=now)


def _chosen_towns(database: Database, towns: str | None) -> frozenset[str] | None:
    """Return the towns that a process may serve, None for all of a server."""
    if towns is None:
        return frozenset({database.required_town()})
    return None if towns == "all" else frozenset(checked_id(town) for town in towns.split(","))


def _metrics(database: Database, port: int | None) -> AbstractContextManager[None]:
    if port is None:
        return nullcontext()
    if database.server is not None:
        database.required_town()
    from agent.central.metrics import exported

    return exported(database, port, now)


@cli.command("import-ledger")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def import_ledger(database: Database, file: Path) -> None:
    """Book a terminal's exported ledger or its mirror; entries that are booked change nothing."""
    with open_books(database) as books:
        before = entries.count(books)
        exchange = Exchange(books, new_generation=lambda: secrets.token_hex(16))
        for line in read_export(file):
            topic = exchange.topics.of(line.terminal, line.leaf)
            exchange.receive(topic, bytes(line.payload), now())
        new = entries.count(books) - before
    click.echo(f"{file}: {new} new entries booked")


@cli.command()
@click.argument("account")
@click.argument("euro")
@click.option("--channel", default="desk", show_default=True, help="Where it was paid.")
@click.option(
    "--id",
    "external",
    required=True,
    help="The payment's own id in its channel: the same id is booked once.",
)
@click.option("--reason", default="", help="Why it is booked, in the office's words.")
@click.pass_obj
def credit(
    database: Database, account: str, euro: str, channel: str, external: str, reason: str
) -> None:
    """Add EURO paid to ACCOUNT; a refund is negative, after --."""
    payment = Payment(account, parse_euro(euro), PaymentKey(channel, external))
    with open_books(database) as books:
        is_new = book_credit(books, payment, at=now(), reason=reason)
        balance = books_accounts.balance_cents(books, account)
    click.echo(
        f"account {account}: {'booked' if is_new else 'was booked before'},"
        f" balance {format_euro(balance)} euro"
    )


@cli.command()
@table_format
@click.pass_obj
def accounts(database: Database, table_format: Format) -> None:
    """List the accounts with balances and meals."""
    with open_books(database) as books:
        rows = lists.accounts(books)
    show_rows(msgspec.to_builtins(rows), table_format)


@cli.command()
@table_format
@click.pass_obj
def incidents(database: Database, table_format: Format) -> None:
    """List what someone should look at.

    That is: incidents, messages set aside, entries flagged or set aside.
    """
    with open_books(database) as books:
        rows = lists.incidents(books)
    show_rows(msgspec.to_builtins(rows), table_format)


@cli.command("entries")
@click.option("--account", help="Only those of ACCOUNT.")
@click.option("--terminal", help="Only those of TERMINAL.")
@click.option(
    "--newest", type=click.IntRange(1), default=50, show_default=True, help="How many, at most."
)
@table_format
@click.pass_obj
def list_entries(
    database: Database, account: str | None, terminal: str | None, newest: int, table_format: Format
) -> None:
    """List what terminals recorded: meals, corrections, refusals, closings, and by whom."""
    with open_books(database) as books:
        rows = lists.entries(books, newest=newest, account=account, terminal=terminal)
    show_rows(msgspec.to_builtins(rows), table_format)


@cli.command()
@click.pass_obj
def check(database: Database) -> int:
    """Compute every balance and every terminal's chain again, and list what differs."""
    with open_books(database) as books:
        differences = list(check_books(books))
        balances, checked = books_accounts.count(books), entries.count(books)
    for difference in differences:
        click.echo(difference)
    if differences:
        return 1
    click.echo(f"{balances} balances, {checked} entries: all correct")
    return 0


@cli.command("new-generation")
@click.option("--reason", required=True, help="Why the backup was restored.")
@click.pass_obj
def central_new_generation(database: Database, reason: str) -> None:
    """Declare that this database was restored from a backup: terminals send lost entries again."""
    with open_books(database) as books:
        new_generation(books, secrets.token_hex(16), at=now(), reason=reason)
    click.echo("every terminal compares all records again and sends lost entries")
