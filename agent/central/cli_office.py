"""The office's commands: cards, rules, serving times."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click
import msgspec

from agent.central.books import rules, town
from agent.central.books.address import Database
from agent.central.command import card_key, checked_id, now, open_books, token_of
from agent.central.office.cards import assign_card, block_card, find_cards, replace_card
from agent.central.office.rules import set_policy, set_service
from agent.console import Format, print_table, show_rows, table_format, text_of
from agent.domain.canteen import PolicyRecord, ServiceRecord
from agent.domain.clock import day_of, format_instant
from agent.domain.money import parse_euro
from agent.domain.printed import candidates
from agent.errors import AgentError


@click.group()
def card() -> None:
    """Assign, block and replace cards. Write a card as a:04a1b2c3d4e5f6 or em:010063e9ae."""


@card.command("assign")
@click.argument("card_id")
@click.argument("account")
@click.pass_obj
def card_assign(database: Database, card_id: str, account: str) -> None:
    """Assign a card to ACCOUNT, and book meals it was served as an unknown card."""
    with open_books(database) as books:
        meals = assign_card(books, token_of(database, card_id), account, at=now())
    click.echo(
        f"assigned to account {account}" + (f"; {meals} earlier meals booked" if meals else "")
    )


@card.command("block")
@click.argument("card_id")
@click.pass_obj
def card_block(database: Database, card_id: str) -> None:
    """Block a lost card."""
    with open_books(database) as books:
        account = block_card(books, token_of(database, card_id))
    click.echo(f"blocked; it belongs to account {account}")


@card.command("replace")
@click.argument("old_card_id")
@click.argument("new_card_id")
@click.pass_obj
def card_replace(database: Database, old_card_id: str, new_card_id: str) -> None:
    """Replace a card of an account by a new one; the old card is refused from then on."""
    with open_books(database) as books:
        old, new = token_of(database, old_card_id), token_of(database, new_card_id)
        account = replace_card(books, old, new, at=now())
    click.echo(f"replaced for account {account}")


@card.command("find")
@click.argument("numbers", nargs=-1, required=True)
@table_format
@click.pass_obj
def card_find(database: Database, numbers: tuple[str, ...], table_format: Format) -> None:
    """Find cards by the NUMBERS printed on them, as in 0006547886 099,59822.

    Two cards may have the same number: all are listed.
    """
    with open_books(database) as books:
        matches = find_cards(books, candidates(" ".join(numbers)), card_key(database))
    show_rows(msgspec.to_builtins(matches), table_format)


@click.command()
@click.option(
    "--from",
    "from_day",
    type=click.DateTime(["%Y-%m-%d"]),
    default=None,
    help="Day of effect; today if not given.",
)
@click.option(
    "--shortage",
    type=click.Choice(["serve", "refuse"]),
    help="What happens when the credit does not cover the meal.",
)
@click.option("--floor", "floor_euro", help="Lowest balance after a meal, in euro, as -10.00.")
@click.option(
    "--unknown-card",
    type=click.Choice(["serve", "refuse"]),
    help="Whether an unknown card gets a meal.",
)
@click.option(
    "--double-meal",
    type=click.Choice(["give_back", "keep"]),
    help="Whether the price of a second meal of one day is given back.",
)
@click.option(
    "--stale-after-h",
    type=click.IntRange(1, 10_000),
    help="Hours without contact after which a terminal refuses nobody for lack of credit.",
)
@click.option(
    "--serve-all-until",
    type=click.DateTime(["%Y-%m-%dT%H:%M"]),
    help="Until then everybody is served, in UTC.",
)
@click.option(
    "--undo-min",
    type=click.IntRange(0, 1_440),
    help="Minutes in which a terminal may undo a meal.",
)
@click.option(
    "--keep-days",
    type=click.IntRange(1, 3_660),
    help="Days for which a terminal keeps booked entries.",
)
@click.option(
    "--labels",
    type=click.Choice(["none", "short"]),
    help="Whether first names leave the central.",
)
@click.pass_obj
def policy(
    database: Database,
    /,
    from_day: datetime | None,
    floor_euro: str | None,
    double_meal: str | None,
    **given: str | int | datetime | None,
) -> None:
    """Set the town's rules from a day on; a rule that is not given stays as it was.

    Without options: show the rules.
    """
    changes: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    if floor_euro is not None:
        changes["floor"] = parse_euro(floor_euro)
    if isinstance(until := given.get("serve_all_until"), datetime):
        changes["serve_all_until"] = format_instant(until.replace(tzinfo=UTC))
    with open_books(database) as books:
        day = f"{from_day:%Y-%m-%d}" if from_day else day_of(now(), ZoneInfo(town.find(books).zone))
        present, present_double = rules.rules_on(books, day)
        new = msgspec.convert({**msgspec.to_builtins(present), **changes}, PolicyRecord)
        new_double = double_meal or present_double
        if changes or double_meal:
            set_policy(books, new, new_double, at=now())
    shown = {**msgspec.structs.asdict(new), "double_meal": new_double}
    print_table(
        ("rule", f"from {day}"),
        [(name, text_of(value)) for name, value in shown.items() if name not in ("from_day", "p")],
    )


@click.command()
@click.argument("site")
@click.argument("service_id")
@click.option("--name", default=None, help="The name for people; SERVICE_ID if not given.")
@click.option("--opens", required=True, help="HH:MM in the town's time zone.")
@click.option("--closes", required=True, help="HH:MM in the town's time zone.")
@click.option("--weekdays", default="12345", show_default=True, help="1 is Monday.")
@click.option(
    "--closed-day",
    "closed_days",
    multiple=True,
    type=click.DateTime(["%Y-%m-%d"]),
    help="A day without this service, as 2026-12-08; may be given several times.",
)
@click.pass_obj
def service(
    database: Database,
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
    if record.opens >= record.closes:
        raise AgentError(
            f"service {service_id}: opens at {record.opens}, which is not before {record.closes}"
        )
    with open_books(database) as books:
        set_service(books, checked_id(site), record)
    click.echo(f"{service_id} at {site}: {record.opens} to {record.closes}")
