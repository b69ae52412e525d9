"""The office's commands for payments: notices, what is parked, receipts from files."""

import secrets
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from agent.central.books import payments as stored
from agent.central.books import town
from agent.central.books.address import Database
from agent.central.books.database import Books
from agent.central.books.payments import Arrival, StoredPayment
from agent.central.books.references import Share
from agent.central.command import now, open_books
from agent.central.payments.doors import receive_file, set_aside
from agent.central.payments.giving_out import give_out_notice
from agent.central.payments.intake import assign, close
from agent.central.payments.receipt import Whose
from agent.central.payments.receipt_files import receipt_files
from agent.central.payments.reported import WORDS, Park
from agent.central.payments.retention import old_messages, remove_old_messages
from agent.central.payments.settings import load_settings
from agent.console import JSON, Format, print_json, show_rows, table_format
from agent.domain.money import format_euro, parse_euro
from agent.errors import AgentError, CentralError

_REASON = click.option("--reason", required=True, help="Why, in the office's words.")


@click.group(invoke_without_command=True)
@table_format
@click.pass_context
def payments(context: click.Context, table_format: Format) -> None:
    """List the payments that wait for the office, with what to do."""
    if context.invoked_subcommand is not None:
        return
    with open_books(context.obj) as books:
        rows = stored.open_payments(books)
    _show(rows, table_format)


@payments.command("list")
@table_format
@click.pass_obj
def payments_list(database: Database, table_format: Format) -> None:
    """List the newest payments in any state."""
    with open_books(database) as books:
        rows = stored.newest(books)
    _show(rows, table_format)


@payments.command("notice")
@click.argument("shares", nargs=-1, required=True, metavar="ACCOUNT=EURO...")
@JSON
@click.pass_obj
def payments_notice(database: Database, shares: tuple[str, ...], as_json: bool) -> None:
    """Give out a notice that pays EURO to ACCOUNT, or to several accounts of one family."""
    settings = load_settings(database.files)
    with open_books(database) as books:
        notice = give_out_notice(
            books, settings.segregation, _shares(shares), secrets.randbelow, now()
        )
    link = f"{settings.public_url}/notice/{notice.notice}"
    if as_json:
        print_json({"notice": notice.notice, "iuv": notice.id, "cents": notice.cents, "link": link})
    else:
        click.echo(f"notice {notice.notice}: {format_euro(notice.cents)} euro, {link}")


@payments.command("assign")
@click.argument("number", type=int)
@click.argument("shares", nargs=-1, required=True, metavar="ACCOUNT=EURO...")
@_REASON
@click.pass_obj
def payments_assign(database: Database, number: int, shares: tuple[str, ...], reason: str) -> None:
    """Credit the parked payment NUMBER to ACCOUNT, or to several."""
    with open_books(database) as books:
        payment = assign(books, number, _shares(shares), now(), reason)
    click.echo(f"payment {number}: {format_euro(payment.cents)} euro credited")


@payments.command("refund")
@click.argument("number", type=int)
@_REASON
@click.pass_obj
def payments_refund(database: Database, number: int, reason: str) -> None:
    """Record that the parked payment NUMBER was paid back outside of the canteen."""
    _close(database, number, "refunded", reason)


@payments.command("reject")
@click.argument("number", type=int)
@_REASON
@click.pass_obj
def payments_reject(database: Database, number: int, reason: str) -> None:
    """Record that the parked payment NUMBER is no money of the canteen."""
    _close(database, number, "rejected", reason)


@payments.command("receipts")
@click.argument("path", type=click.Path(path_type=Path))
@click.pass_obj
def payments_receipts(database: Database, path: Path) -> int:
    """Take in pagoPA receipts from an XML file, a folder or a zip; ends with 1 if any is unread."""
    settings = load_settings(database.files)
    counts: dict[str, int] = {}
    with open_books(database) as books:
        whose = Whose(settings.creditor, ZoneInfo(town.find(books).zone))
        for file in receipt_files(path):
            result = _receive(books, file.data, whose)
            if isinstance(result, CentralError):
                click.echo(f"{file.name}: set aside: {result}")
            word = "set aside" if isinstance(result, CentralError) else result
            counts[word] = counts.get(word, 0) + 1
    click.echo(f"{path}: " + (", ".join(f"{n} {word}" for word, n in counts.items()) or "no XML"))
    return 1 if "set aside" in counts else 0


@payments.command("prune")
@click.option("--dry-run", is_flag=True, help="Count them, and remove nothing.")
@click.pass_obj
def payments_prune(database: Database, dry_run: bool) -> None:
    """Remove the text of messages older than ten years; what they did stays."""
    with open_books(database) as books:
        old = (old_messages if dry_run else remove_old_messages)(books, now())
    state = "would be removed" if dry_run else "removed"
    click.echo(f"texts {state}: {len(old.arrivals)} of payments, {len(old.set_aside)} set aside")


def _receive(books: Books, data: bytes, whose: Whose) -> str | CentralError:
    """Return the result of a receipt, or why it was set aside."""
    at = now()
    try:
        return receive_file(books, data, whose, at).result.value
    except CentralError as error:
        set_aside(books, Arrival(at, data), "receipt file", error)
        return error


def _shares(texts: tuple[str, ...]) -> list[Share]:
    shares: dict[str, int] = {}
    for text in texts:
        account, _, euro = text.rpartition("=")
        cents = parse_euro(euro)
        if not account or cents <= 0 or account in shares:
            raise AgentError(f"{text!r}: write each account once, as a-1001=20.00")
        shares[account] = cents
    return [Share(account, cents) for account, cents in shares.items()]


def _close(database: Database, number: int, state: str, reason: str) -> None:
    with open_books(database) as books:
        payment = close(books, number, state, reason)
    click.echo(f"payment {number}: {format_euro(payment.cents)} euro {state}")


def _show(rows: list[StoredPayment], table_format: Format) -> None:
    shown = []
    for row in rows:
        members = row._asdict()
        members["amount_cents"] = members.pop("cents")
        members["reason"] = WORDS[Park(row.reason)] if row.reason in set(Park) else row.reason
        shown.append(members)
    show_rows(shown, table_format)
