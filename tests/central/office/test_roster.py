"""A roster is imported whole or not at all, and every bad line is named."""

import os
from pathlib import Path
from typing import Any

import pytest

from agent.central.books import accounts, town
from agent.central.books.accounts import Account
from agent.central.office.cards import block_card
from agent.central.office.check import check
from agent.central.office.roster import (
    BAD_LINES_SHOWN_MAX,
    FILE_BYTES_MAX,
    TEXT_LENGTH_MAX,
    Imported,
    import_roster,
    read_roster,
)
from agent.domain.canteen import PRICE_CENTS_MAX, PRICES_MAX
from agent.domain.card import card_token, parse_card_id
from agent.domain.money import format_euro
from agent.errors import CentralError
from agent.readers.events import Signal
from tests.parts.foreign_terminal import ForeignTerminal, meal
from tests.parts.process import ROOT
from tests.parts.wire import KEY, SITE, Wire

HEADER = "account,site,category,class,label,dish,cards,prices\n"
GOOD = (
    "a-10,primaria,pupil,1A,Nora K.,,a:04010203040506 em:0100000001,"
    "lunch 2026-09-01 3.66 | lunch 2027-01-01 3.80\n"
)
PRICE = "lunch 2026-09-01 3.66"


def load(wire: Wire, path: Path, text: str) -> Imported:
    path.write_text(text, encoding="utf-8")
    lines = read_roster(path, KEY)
    return import_roster(wire.central.books, lines, lambda: None, at=wire.clock.instant)


def complaint(path: Path, text: str) -> str:
    """Return why a roster is refused."""
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CentralError) as raised:
        read_roster(path, KEY)
    return str(raised.value)


def test_a_roster_reaches_the_terminals_and_twice_changes_nothing(
    wire: Wire, tmp_path: Path
) -> None:
    path = tmp_path / "roster.csv"
    assert load(wire, path, HEADER + GOOD) == (1, 0)
    position = town.standing(wire.central.books).position
    assert load(wire, path, HEADER + GOOD) == (0, 0)
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
def test_a_changed_particular_is_written(
    wire: Wire, tmp_path: Path, old: str, new: str, changed: dict[str, Any]
) -> None:
    load(wire, tmp_path / "r.csv", HEADER + GOOD)
    assert load(wire, tmp_path / "r.csv", HEADER + GOOD.replace(old, new)) == (0, 1)
    before = Account("a-10", SITE, "pupil", "active", "1A", "Nora K.", None)
    assert accounts.find(wire.central.books, "a-10") == before._replace(**changed)


def test_semicolons_a_byte_order_mark_and_windows_line_ends_are_read(
    wire: Wire, tmp_path: Path
) -> None:
    text = "\ufeff" + (HEADER + GOOD).replace(",", ";").replace("\n", "\r\n")
    assert load(wire, tmp_path / "r.csv", text) == (1, 0)


def test_a_bad_roster_imports_nothing_and_lists_every_bad_line(wire: Wire, tmp_path: Path) -> None:
    bad = [
        f"a 11,primaria,pupil,1A,,,,{PRICE}",
        f"a-12,,pupil,1A,,,,{PRICE}",
        f"a-13,primaria,child,1A,,,,{PRICE}",
        f"a-14,primaria,pupil,1A,,,08123456,{PRICE}",
        f"a-15,primaria,pupil,1A,,,a:08123456,{PRICE}",
        "a-16,primaria,pupil,1A,,,,lunch 2026-13-01 3.66",
        "a-17,primaria,pupil,1A,,,,lunch 2026-09-01 3.6",
        "a-18,primaria,pupil,1A,,,,lunch 3.66",
        f"a-10,primaria,pupil,1A,,,,{PRICE}",
        f"a-19,primaria,pupil,1A,,,a:04010203040506,{PRICE}",
        f"a-20,primaria,pupil,1A,Nora Kappa Rossi,,,{PRICE}",
        "a-21,primaria",
    ]
    text = complaint(tmp_path / "r.csv", HEADER + GOOD + "\n".join(bad) + "\n")
    lines = text.splitlines()
    assert lines[0].endswith("nothing imported, 12 bad lines")
    assert [line.split(":")[0].strip() for line in lines[1:]] == [f"line {n}" for n in range(3, 15)]
    assert "account a-10 is already on line 2" in text and "a card is already on line 2" in text
    assert "04010203040506" not in text
    assert accounts.count(wire.central.books) == 2


def test_of_many_bad_lines_the_first_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    bad = f"a 11,primaria,{PRICE}\n"
    text = complaint(tmp_path / "r.csv", "account,site,prices\n" + bad * (BAD_LINES_SHOWN_MAX + 3))
    assert text.count("\n  line ") == BAD_LINES_SHOWN_MAX
    assert text.endswith("and 3 more")
    text = complaint(tmp_path / "r.csv", "account,site,prices\n" + bad * BAD_LINES_SHOWN_MAX)
    assert text.count("\n  line ") == BAD_LINES_SHOWN_MAX and "more" not in text


def test_a_file_of_more_than_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "backup.iso"
    path.touch()
    os.truncate(path, FILE_BYTES_MAX + 1)
    with pytest.raises(CentralError, match=f"more than {FILE_BYTES_MAX} bytes"):
        read_roster(path, KEY)


@pytest.mark.parametrize("column", ["class", "dish", "label"])
def test_a_text_is_as_long_as_a_record_allows(wire: Wire, tmp_path: Path, column: str) -> None:
    header = f"account,site,{column},prices\n"
    longest = "N" * TEXT_LENGTH_MAX
    load(wire, tmp_path / "r.csv", f"{header}a-10,primaria,{longest},{PRICE}\n")
    wire.settle()
    assert wire.box.balance("a-10") == 0
    text = complaint(tmp_path / "r.csv", f"{header}a-11,primaria,{longest}N,{PRICE}\n")
    assert f"{column} is longer than {TEXT_LENGTH_MAX} characters" in text


def test_an_account_has_as_many_prices_as_a_record_allows(wire: Wire, tmp_path: Path) -> None:
    prices = [f"lunch {2001 + n}-01-01 3.66" for n in range(PRICES_MAX + 1)]
    header = "account,site,prices\n"
    load(wire, tmp_path / "r.csv", f"{header}a-10,primaria,{'|'.join(prices[1:])}\n")
    wire.settle()
    assert wire.box.balance("a-10") == 0
    text = complaint(tmp_path / "r.csv", f"{header}a-11,primaria,{'|'.join(prices)}\n")
    assert f"line 2: has more than {PRICES_MAX} prices" in text


def test_a_price_is_at_most_the_contracts(wire: Wire, tmp_path: Path) -> None:
    header = "account,site,prices\n"
    highest = format_euro(PRICE_CENTS_MAX)
    load(wire, tmp_path / "r.csv", f"{header}a-10,primaria,lunch 2026-09-01 {highest}\n")
    beyond = format_euro(PRICE_CENTS_MAX + 1)
    for wrong in (beyond, "-0.01"):
        text = complaint(tmp_path / "r.csv", f"{header}a-11,primaria,lunch 2026-09-01 {wrong}\n")
        assert f"must be between 0.00 and {highest}" in text


@pytest.mark.parametrize(
    ("header", "wrong"),
    [
        ("account,site\n", "missing: prices"),
        ("account,site,prices,colour\n", "unknown: colour"),
        ("account,site,prices,site\n", "a column appears twice"),
        ("", "missing: account, site, prices"),
    ],
)
def test_wrong_columns_are_named(tmp_path: Path, header: str, wrong: str) -> None:
    assert wrong in complaint(tmp_path / "r.csv", header + GOOD)


def test_a_file_that_is_no_text_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CentralError, match="save it as CSV UTF-8"):
        read_roster(tmp_path / "r.csv", KEY)


def test_a_blocked_card_stays_blocked_when_the_roster_names_it_again(
    wire: Wire, tmp_path: Path
) -> None:
    load(wire, tmp_path / "r.csv", HEADER + GOOD)
    block_card(wire.central.books, card_token(KEY, parse_card_id("em:0100000001")))
    load(wire, tmp_path / "r.csv", HEADER + GOOD)
    wire.settle()
    assert wire.box.tap("em:0100000001") is Signal.REFUSED


def test_a_pupil_who_moves_to_another_site_is_deleted_at_the_old_one(
    wire: Wire, tmp_path: Path
) -> None:
    load(wire, tmp_path / "r.csv", HEADER + GOOD)
    wire.settle()
    assert wire.box.balance("a-10") == 0
    assert load(wire, tmp_path / "r.csv", HEADER + GOOD.replace(SITE, "media")) == (0, 1)
    wire.settle()
    assert wire.box.balance("a-10") is None
    assert list(check(wire.central.books)) == []


def test_earlier_meals_of_an_account_and_of_a_card_are_booked_when_the_roster_brings_them(
    foreign: ForeignTerminal, wire: Wire, tmp_path: Path
) -> None:
    token = card_token(KEY, parse_card_id("em:0100000001"))
    unknown_meal = meal(kind="unknown_meal", account=None, card=token, cents=0, day="2026-11-24")
    foreign.send(meal(account="a-10"), unknown_meal)
    load(wire, tmp_path / "r.csv", HEADER + GOOD)
    assert wire.central.balance("a-10") == -2 * 366
    assert list(check(wire.central.books)) == []


def test_the_sample_town_can_be_imported(wire: Wire) -> None:
    lines = read_roster(ROOT / "demo" / "borgofiorito.csv", KEY)
    done = import_roster(wire.central.books, lines, lambda: None, at=wire.clock.instant)
    assert done == (42, 0)
