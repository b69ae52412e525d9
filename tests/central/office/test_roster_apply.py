"""A plan is written whole or not at all, and holds other commands for a moment only."""

import contextlib
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

import pytest

from agent.central.books import accounts, tombstones, town
from agent.central.books.accounts import Account
from agent.central.books.address import parse
from agent.central.books.file import FileBooks
from agent.central.command import open_books
from agent.central.office.cards import block_card
from agent.central.office.check import check
from agent.central.office.roster import read_roster
from agent.central.office.roster_apply import apply_plan, read_standing
from agent.central.office.rules import set_service
from agent.domain.card import card_token, parse_card_id
from agent.errors import CentralError
from agent.readers.events import Signal
from tests.parts.foreign_terminal import ForeignTerminal, meal
from tests.parts.process import CENTRAL, ROOT, Process, wait_for
from tests.parts.roster import load_roster, lunch, plan_roster
from tests.parts.wire import KEY, SITE, Wire

HEADER = "account,site,category,class,label,dish,cards,prices\n"
GOOD = (
    "a-10,primaria,pupil,1A,Nora K.,,a:04010203040506 em:0100000001,"
    "lunch 2026-09-01 3.66 | lunch 2027-01-01 3.80\n"
)
LINES = 20_000


@pytest.fixture
def path(wire: Wire, tmp_path: Path) -> Path:
    """A file to write to; there is a second school."""
    set_service(wire.central.books, "media", lunch())
    return tmp_path / "r.csv"


def test_a_roster_reaches_the_terminals_and_twice_changes_nothing(wire: Wire, path: Path) -> None:
    assert len(load_roster(wire, path, HEADER + GOOD).new) == 1
    position = town.standing(wire.central.books).position
    load_roster(wire, path)
    assert town.standing(wire.central.books).position == position
    wire.settle()
    assert wire.box.tap("em:0100000001") is Signal.SERVED
    assert wire.box.entries()[-1].cents == -366


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("1A", "2A", {"group": "2A"}),
        ("Nora K.", "", {"label": None}),
        (",,a:04", ",no-pork,a:04", {"dish": "no-pork"}),
        ("pupil", "guest", {"category": "guest"}),
    ],
)
def test_a_changed_particular_is_written_and_sent(
    wire: Wire, path: Path, old: str, new: str, changed: dict[str, Any]
) -> None:
    load_roster(wire, path, HEADER + GOOD)
    before = town.standing(wire.central.books).position
    load_roster(wire, path, HEADER + GOOD.replace(old, new))
    known = Account("a-10", SITE, "pupil", "active", "1A", "Nora K.", None)
    assert accounts.find(wire.central.books, "a-10") == known._replace(**changed)
    position = wire.central.value("SELECT p FROM account WHERE id = 'a-10'")
    assert position == before + 1 == town.standing(wire.central.books).position


def test_a_file_of_three_columns_changes_nothing_else(wire: Wire, path: Path) -> None:
    text = "account,site,category,status,class,label,dish,prices\n"
    first = f"{text}a-10,primaria,staff,closed,1A,Nora K.,veg,lunch 2026-09-01 3.66\n"
    load_roster(wire, path, first)
    before = accounts.find(wire.central.books, "a-10")
    load_roster(wire, path, "account,site,prices\na-10,primaria,lunch 2027-09-01 4.00\n")
    assert accounts.find(wire.central.books, "a-10") == before
    assert [price.cents for price in accounts.prices(wire.central.books, "a-10")] == [366, 400]


def test_every_record_that_is_written_has_a_position_of_its_own(wire: Wire, path: Path) -> None:
    rows = "".join(f"a-{n},primaria,em:01000000{n},lunch 2026-09-01 3.66\n" for n in range(10, 20))
    load_roster(wire, path, f"account,site,cards,prices\n{rows}")
    moved = rows.replace("primaria", "media").replace("3.66", "4.00")
    load_roster(wire, path, f"account,site,cards,prices\n{moved}")
    positions = wire.central.books.rows(
        "SELECT p FROM account UNION ALL SELECT p FROM card UNION ALL SELECT p FROM tombstone"
    )
    assert len(set(positions)) == len(positions)
    assert wire.central.value("SELECT count(*) FROM tombstone WHERE site = 'media'") == 0
    wire.settle()
    assert wire.box.balance("a-10") is None
    assert list(check(wire.central.books)) == []


def test_a_blocked_card_stays_blocked_when_the_roster_names_it_again(
    wire: Wire, path: Path
) -> None:
    load_roster(wire, path, HEADER + GOOD)
    block_card(wire.central.books, card_token(KEY, parse_card_id("em:0100000001")))
    load_roster(wire, path)
    wire.settle()
    assert wire.box.tap("em:0100000001") is Signal.REFUSED


def test_a_pupil_who_moves_to_another_site_is_deleted_at_the_old_one(
    wire: Wire, path: Path
) -> None:
    load_roster(wire, path, HEADER + GOOD)
    wire.settle()
    assert wire.box.balance("a-10") == 0
    load_roster(wire, path, HEADER + GOOD.replace(SITE, "media"))
    wire.settle()
    assert wire.box.balance("a-10") is None
    load_roster(wire, path, HEADER + GOOD)
    wire.settle()
    assert wire.box.balance("a-10") == 0
    assert wire.box.tap("em:0100000001") is Signal.SERVED
    assert list(check(wire.central.books)) == []


def test_a_card_moves_to_an_account_that_moves_too(wire: Wire, path: Path) -> None:
    load_roster(wire, path, HEADER + GOOD + GOOD.replace("a-10", "a-11").replace(":0", ":1"))
    wire.settle()
    text = "account,site,cards\na-10,media,\na-11,primaria,em:0100000001\n"
    load_roster(wire, path, text)
    wire.settle()
    assert wire.box.tap("em:0100000001") is Signal.SERVED
    assert wire.box.entries()[-1].account == "a-11"


def test_earlier_meals_of_an_account_and_of_a_card_are_booked(
    foreign: ForeignTerminal, wire: Wire, path: Path
) -> None:
    token = card_token(KEY, parse_card_id("em:0100000001"))
    unknown_meal = meal(kind="unknown_meal", account=None, card=token, cents=0, day="2026-11-24")
    foreign.send(meal(account="a-10"), unknown_meal)
    with wire.central.books.transaction():
        tombstones.add(wire.central.books, SITE, "account", "a-10")
    load_roster(wire, path, HEADER + GOOD)
    assert wire.central.balance("a-10") == -2 * 366
    assert wire.central.value("SELECT count(*) FROM tombstone") == 0
    assert list(check(wire.central.books)) == []


def test_the_sample_town_can_be_imported(wire: Wire) -> None:
    assert len(load_roster(wire, ROOT / "demo" / "borgofiorito.csv").new) == 42


def test_a_plan_that_another_command_has_overtaken_is_not_written(wire: Wire, path: Path) -> None:
    books = wire.central.books
    load_roster(wire, path, HEADER + GOOD)
    plan = plan_roster(wire, path, "account,class,cards\na-10,2A,em:0200000001\n")
    lines = read_roster(path, KEY)
    standing = read_standing(books, lines)
    with closing(FileBooks(books.path)) as other, other.transaction():
        accounts.move_balances(other, {"a-10": 0})  # a meal: the plan still holds
    apply_plan(books, lines, plan, standing)
    plan = plan_roster(wire, path, "account,class,cards\na-10,3A,em:0200000001\n")
    standing = read_standing(books, lines)
    with closing(FileBooks(books.path)) as other, other.transaction():
        accounts.update_all(other, [Account("a-10", SITE, "pupil", "closed", "2A")])
    with pytest.raises(CentralError, match="another command has changed these accounts"):
        apply_plan(books, lines, plan, standing)
    known = accounts.find(books, "a-10")
    assert known is not None and known.group == "2A"


def large_roster(path: Path) -> Path:
    rows = [f"b-{n},{SITE},a:04{n:012x},lunch 2026-09-01 3.66\n" for n in range(LINES)]
    path.write_text("account,site,cards,prices\n" + "".join(rows), encoding="utf-8")
    return path


@pytest.fixture
def importing(wire: Wire, path: Path) -> Iterator[Process]:
    """An import of many lines that has begun, as a process of its own."""
    db = wire.central.path
    db.with_name(f"{db.name}.card-key").write_text(KEY.hex(), encoding="ascii")
    command: list[str | Path] = [CENTRAL, "--db", db, "import-roster", large_roster(path)]
    with Process(command, path.with_suffix(".log")) as process:
        yield process


def test_a_large_import_holds_other_commands_for_a_small_part_of_its_time(
    wire: Wire, importing: Process
) -> None:
    """Another command writes fifty times a second, as at lunch."""
    started = time.monotonic()
    longest_s = 0.0
    with closing(FileBooks(wire.central.path)) as other:
        while importing.is_running:
            before = time.monotonic()
            with other.transaction():
                accounts.move_balances(other, {"a-1": 0})
            longest_s = max(longest_s, time.monotonic() - before)
            with contextlib.suppress(TimeoutExpired):
                importing.child.wait(timeout=0.02)
    whole_s = time.monotonic() - started
    print(f"longest wait {longest_s:.2f} s of {whole_s:.2f} s: {longest_s / whole_s:.0%}")
    assert accounts.count(wire.central.books) == LINES + 2
    assert longest_s < whole_s * 3 / 5


def test_an_import_that_is_killed_while_it_writes_leaves_nothing(
    wire: Wire, importing: Process
) -> None:
    """A reader lets SQLite's rollback journal appear with the transaction, but no commit end."""
    rollback = wire.central.path.with_name(f"{wire.central.path.name}-journal")
    with closing(FileBooks(wire.central.path)) as reader, reader.reading():
        assert accounts.count(reader) == 2
        wait_for(rollback.exists, "the transaction")
        importing.kill()
    assert rollback.exists()
    assert accounts.count(wire.central.books) == 2
    assert list(check(wire.central.books)) == []


@pytest.mark.parametrize("after_s", [0.3, 0.6, 0.9, 1.2, 1.5])
def test_an_import_that_is_killed_at_any_moment_leaves_all_or_nothing(
    wire: Wire, importing: Process, after_s: float
) -> None:
    with contextlib.suppress(TimeoutExpired):
        importing.child.wait(timeout=after_s)
    importing.kill()
    assert accounts.count(wire.central.books) in (2, LINES + 2)
    assert list(check(wire.central.books)) == []


def test_meals_that_a_killed_import_left_unbooked_are_booked_by_the_next_command(
    foreign: ForeignTerminal, wire: Wire, path: Path
) -> None:
    token = card_token(KEY, parse_card_id("em:0100000001"))
    unknown_meal = meal(kind="unknown_meal", account=None, card=token, cents=0, day="2026-11-24")
    foreign.send(meal(account="a-10"), unknown_meal)
    plan = plan_roster(wire, path, HEADER + GOOD)
    lines = read_roster(path, KEY)
    apply_plan(wire.central.books, lines, plan, read_standing(wire.central.books, lines))
    assert wire.central.balance("a-10") == 0
    with open_books(parse(str(wire.central.path))) as books:
        assert accounts.balance_cents(books, "a-10") == -2 * 366
