"""A roster is imported whole or not at all, and every bad line is named."""

from pathlib import Path

import pytest

from agent.central.office.cards import block_card
from agent.central.office.check import check
from agent.central.office.roster import import_roster, read_roster
from agent.domain.card import card_token, parse_card_id
from agent.errors import CentralError
from tests.parts.process import ROOT
from tests.parts.wire import KEY, SITE, Wire

HEADER = "account,site,category,class,label,dish,cards,prices\n"
GOOD = "a-10,primaria,pupil,1A,Nora K.,,a:04010203040506 em:0100000001,lunch 2026-09-01 3.66 | lunch 2027-01-01 3.80\n"


def load(wire: Wire, path: Path, text: str) -> tuple[int, int]:
    path.write_text(text, encoding="utf-8")
    return import_roster(
        wire.central.books, read_roster(path, KEY), lambda: None, at=wire.clock.instant
    )


def test_a_roster_reaches_the_terminals_and_twice_changes_nothing(
    wire: Wire, tmp_path: Path
) -> None:
    path = tmp_path / "roster.csv"
    assert load(wire, path, HEADER + GOOD) == (1, 0)
    position = wire.central.one("SELECT position FROM central")
    assert load(wire, path, HEADER + GOOD) == (0, 0)
    assert wire.central.one("SELECT position FROM central") == position
    wire.settle()
    assert wire.box.tap("em:0100000001") == "served"
    assert wire.box.entries()[-1].cents == -366


def test_semicolons_a_byte_order_mark_and_windows_line_ends_are_understood(
    wire: Wire, tmp_path: Path
) -> None:
    text = "\ufeff" + (HEADER + GOOD).replace(",", ";").replace("\n", "\r\n")
    assert load(wire, tmp_path / "r.csv", text) == (1, 0)


def test_a_bad_roster_imports_nothing_and_lists_every_bad_line(wire: Wire, tmp_path: Path) -> None:
    bad = [
        "a 11,primaria,pupil,1A,,,,lunch 2026-09-01 3.66",
        "a-12,,pupil,1A,,,,lunch 2026-09-01 3.66",
        "a-13,primaria,child,1A,,,,lunch 2026-09-01 3.66",
        "a-14,primaria,pupil,1A,,,08123456,lunch 2026-09-01 3.66",
        "a-15,primaria,pupil,1A,,,a:08123456,lunch 2026-09-01 3.66",
        "a-16,primaria,pupil,1A,,,,lunch 2026-13-01 3.66",
        "a-17,primaria,pupil,1A,,,,lunch 2026-09-01 3.6",
        "a-18,primaria,pupil,1A,,,,lunch 3.66",
        "a-10,primaria,pupil,1A,,,,lunch 2026-09-01 3.66",
        "a-19,primaria,pupil,1A,,,a:04010203040506,lunch 2026-09-01 3.66",
        "a-20,primaria,pupil,1A,Nora Kappa Rossi,,,lunch 2026-09-01 3.66",
        "a-21,primaria",
    ]
    with pytest.raises(CentralError) as raised:
        load(wire, tmp_path / "r.csv", HEADER + GOOD + "\n".join(bad) + "\n")
    lines = str(raised.value).splitlines()
    assert lines[0].endswith("nothing imported, 12 bad lines")
    assert [line.split(":")[0].strip() for line in lines[1:]] == [f"line {n}" for n in range(3, 15)]
    assert "account a-10 is already on line 2" in str(
        raised.value
    ) and "a card is already on line 2" in str(raised.value)
    assert "04010203040506" not in str(raised.value)
    assert wire.central.one("SELECT count(*) FROM account") == 2


@pytest.mark.parametrize(
    "header", ["account,site\n", "account,site,prices,colour\n", "account,site,prices,site\n", ""]
)
def test_wrong_columns_are_named(wire: Wire, tmp_path: Path, header: str) -> None:
    with pytest.raises(CentralError, match="line 1: columns are account, site"):
        load(wire, tmp_path / "r.csv", header + GOOD)


def test_what_is_no_text_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CentralError, match="UTF-8"):
        read_roster(tmp_path / "r.csv", KEY)


def test_a_blocked_card_stays_blocked_when_the_roster_names_it_again(
    wire: Wire, tmp_path: Path
) -> None:
    load(wire, tmp_path / "r.csv", HEADER + GOOD)
    block_card(wire.central.books, card_token(KEY, parse_card_id("em:0100000001")))
    load(wire, tmp_path / "r.csv", HEADER + GOOD)
    wire.settle()
    assert wire.box.tap("em:0100000001") == "refused"


def test_a_pupil_who_moves_to_another_school_is_gone_at_the_old_one(
    wire: Wire, tmp_path: Path
) -> None:
    load(wire, tmp_path / "r.csv", HEADER + GOOD)
    wire.settle()
    assert wire.box.balance("a-10") == 0
    assert load(wire, tmp_path / "r.csv", HEADER + GOOD.replace(SITE, "media")) == (0, 1)
    wire.settle()
    assert wire.box.balance("a-10") is None
    assert list(check(wire.central.books)) == []


def test_the_sample_town_can_be_imported(wire: Wire) -> None:
    lines = read_roster(ROOT / "demo" / "borgofiorito.csv", KEY)
    assert import_roster(wire.central.books, lines, lambda: None, at=wire.clock.instant) == (42, 0)
