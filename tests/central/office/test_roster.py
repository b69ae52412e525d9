"""The cells of a roster's line: what is absent, what may be empty, and every bad line named."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.central.office.roster import BAD_LINES_SHOWN_MAX, Line, read_roster
from agent.domain.canteen import PRICE_CENTS_MAX, PRICES_MAX, Price
from agent.domain.card import card_token, parse_card_id
from agent.domain.money import format_euro
from agent.errors import CentralError
from tests.parts.process import ROOT
from tests.parts.wire import KEY

HEADER = "account,site,category,status,class,label,dish,cards,prices"
PRICE = "lunch 2026-09-01 3.66"


def read(path: Path, *lines: str) -> list[Line]:
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return read_roster(path, KEY)


def complaint(path: Path, *lines: str) -> str:
    """Return why a roster is refused."""
    with pytest.raises(CentralError) as raised:
        read(path, *lines)
    return str(raised.value)


def test_a_line_states_what_its_columns_say(tmp_path: Path) -> None:
    cards = "a:04010203040506 em:0100000001"
    prices = f"{PRICE} | lunch 2027-01-01 4"
    (line,) = read(
        tmp_path / "r.csv", HEADER, f"a-10,primaria,staff,closed,1A,Nora K.,veg,{cards},{prices}"
    )
    assert line == Line(
        place="line 2",
        account="a-10",
        given={
            "site": "primaria",
            "category": "staff",
            "status": "closed",
            "class": "1A",
            "label": "Nora K.",
            "dish": "veg",
        },
        tokens=tuple(card_token(KEY, parse_card_id(card)) for card in cards.split()),
        prices=(
            Price(service="lunch", from_day="2026-09-01", cents=366),
            Price(service="lunch", from_day="2027-01-01", cents=400),
        ),
    )


def test_what_has_no_column_is_not_stated(tmp_path: Path) -> None:
    (line,) = read(tmp_path / "r.csv", "account", "a-10")
    assert line == Line("line 2", "a-10", {}, (), None)


def test_a_family_is_an_id_or_empty(tmp_path: Path) -> None:
    (line,) = read(tmp_path / "r.csv", "account,family", "a-10, f-1 ")
    assert line.given == {"family": "f-1"}
    (line,) = read(tmp_path / "r.csv", "account,family", "a-10,")
    assert line.given == {"family": None}
    with pytest.raises(CentralError, match=r"family 'the K\.s' must be letters"):
        read(tmp_path / "r.csv", "account,family", "a-10,the K.s")


def test_class_label_and_dish_may_be_empty(tmp_path: Path) -> None:
    (line,) = read(tmp_path / "r.csv", "account,class,label,dish", "a-10,,,")
    assert line.given == {"class": None, "label": None, "dish": None}


def test_no_price_is_a_word_and_zero_is_a_number(tmp_path: Path) -> None:
    lines = read(tmp_path / "r.csv", "account,prices", "a-10,None", "a-11,lunch 2026-09-01 0")
    assert [line.prices for line in lines] == [
        (),
        (Price(service="lunch", from_day="2026-09-01", cents=0),),
    ]


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        ("site", "site is empty"),
        ("category", "category is empty; write pupil, staff or guest, or leave the column out"),
        ("status", "status is empty; write active or closed, or leave the column out"),
        ("prices", "prices is empty; write a price, 0.00 for a free meal, none where no price"),
    ],
)
@pytest.mark.parametrize("cell", ["", "  "])
def test_an_empty_cell_elsewhere_is_refused(
    tmp_path: Path, column: str, sentence: str, cell: str
) -> None:
    assert sentence in complaint(tmp_path / "r.csv", f"account,{column},class", f"a-10,{cell},x")


def test_a_price_cell_of_separators_alone_is_empty(tmp_path: Path) -> None:
    assert "prices is empty" in complaint(tmp_path / "r.csv", "account,prices", "a-10, | ")


def test_a_bad_roster_lists_every_bad_line(tmp_path: Path) -> None:
    bad = [
        f"a 11,primaria,pupil,active,1A,,,,{PRICE}",
        f"a-12,,pupil,active,1A,,,,{PRICE}",
        f"a-13,primaria,pupill,active,1A,,,,{PRICE}",
        f"a-14,primaria,pupil,active,1A,,,08123456,{PRICE}",
        f"a-15,primaria,pupil,active,1A,,,a:08123456,{PRICE}",
        "a-16,primaria,pupil,active,1A,,,,lunch 2026-13-01 3.66",
        "a-17,primaria,pupil,active,1A,,,,lunch 2026-09-01 3.6",
        "a-18,primaria,pupil,active,1A,,,,lunch 3.66",
        f"a-10,primaria,pupil,active,1A,,,,{PRICE}",
        f"a-19,primaria,pupil,active,1A,,,a:04010203040506,{PRICE}",
        f"a-20,primaria,pupil,active,=1+1,,,,{PRICE}",
        "a-21,primaria",
        f"a-22,primaria,pupil,active,1A,,,token:12,{PRICE}",
        "a-23,primaria,pupil,active,1A,,,,lunch 20260901 3.66",
    ]
    good = f"a-10,primaria,pupil,active,1A,Nora K.,,a:04010203040506,{PRICE}"
    text = complaint(tmp_path / "r.csv", HEADER, good, *bad)
    lines = text.splitlines()
    assert lines[0].endswith(f"nothing imported, {len(bad)} bad lines")
    numbers = [line.split(":")[0].strip() for line in lines[1:]]
    assert numbers == [f"line {n}" for n in range(3, 3 + len(bad))]
    assert "account 'a-10' is already on line 2" in text and "a card is already on line 2" in text
    assert "category 'pupill': write pupil, staff or guest; did you mean 'pupil'?" in text
    assert "'2026-13-01' is no day" in text and "'3.6' is no amount" in text
    assert "04010203040506" not in text and "08123456" not in text


@pytest.mark.parametrize("column", ["account", "site", "status", "class", "dish", "prices"])
@pytest.mark.parametrize("number", ["a:04010203040506", "04 01 02 03", "099,59822"])
def test_a_card_number_in_a_wrong_column_is_never_shown(
    tmp_path: Path, column: str, number: str
) -> None:
    columns = ["account", "site", "status", "class", "dish", "prices"]
    cells = {"account": "a-10", "site": "primaria", "status": "active", "prices": PRICE}
    cells[column] = f'"{number}"'
    line = ",".join(cells.get(name, "") for name in columns)
    text = complaint(tmp_path / "r.csv", ",".join(columns), line)
    assert "line 2" in text and number not in text


def test_a_card_number_in_place_of_an_account_is_not_shown_either(tmp_path: Path) -> None:
    text = complaint(tmp_path / "r.csv", "account", "04a1b2c3d4e5f6", "04a1b2c3d4e5f6")
    assert "line 3: account of 14 characters is already on line 2" in text


COLUMN = st.sampled_from([*HEADER.split(","), "colour"])
CELL = st.text(max_size=12) | st.sampled_from(["", "a-1", "primaria", PRICE, "none", '"', "\n"])


@settings(max_examples=300, deadline=None)
@given(
    header=st.lists(COLUMN, max_size=9),
    rows=st.lists(st.lists(CELL, max_size=9), max_size=5),
    separator=st.sampled_from(",;\t"),
)
def test_any_cells_are_lines_or_a_sentence(
    header: list[str], rows: list[list[str]], separator: str
) -> None:
    text = "\n".join(separator.join(row) for row in (header, *rows))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "r.csv"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            lines = read_roster(path, KEY)
        except CentralError:
            return
    for line in lines:
        texts = [line.given.get(column) or "" for column in ("class", "label", "dish")]
        assert not any(set(text) & set('\n\r=;,"\0') for text in texts)


def test_two_stray_quotes_are_reported_with_both_lines(tmp_path: Path) -> None:
    text = complaint(
        tmp_path / "r.csv",
        "account,class,cards",
        'a-10,"1A,em:0100000001',
        'a-11,1B",em:0100000002',
        "a-12,1C,em:0100000003",
    )
    assert "nothing imported, 1 bad lines" in text
    assert "lines 2 to 3: a quote of line 2 is closed on line 3" in text
    assert "01000000" not in text


def test_of_many_bad_lines_the_first_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    bad = ["a 11"] * (BAD_LINES_SHOWN_MAX + 3)
    text = complaint(tmp_path / "r.csv", "account", *bad)
    assert text.count("\n  line ") == BAD_LINES_SHOWN_MAX
    assert text.endswith("and 3 more")
    text = complaint(tmp_path / "r.csv", "account", *bad[3:])
    assert text.count("\n  line ") == BAD_LINES_SHOWN_MAX and "more" not in text


def test_a_line_has_as_many_prices_as_a_record_allows(tmp_path: Path) -> None:
    prices = [f"lunch {2001 + n}-01-01 3.66" for n in range(PRICES_MAX + 1)]
    (line,) = read(tmp_path / "r.csv", "account,prices", f"a-10,{'|'.join(prices[1:])}")
    assert line.prices is not None and len(line.prices) == PRICES_MAX
    text = complaint(tmp_path / "r.csv", "account,prices", f"a-11,{'|'.join(prices)}")
    assert f"line 2: has more than {PRICES_MAX} prices" in text


def test_a_price_is_at_most_the_contracts(tmp_path: Path) -> None:
    highest = format_euro(PRICE_CENTS_MAX)
    read(tmp_path / "r.csv", "account,prices", f"a-10,lunch 2026-09-01 {highest}")
    for wrong in (format_euro(PRICE_CENTS_MAX + 1), "-0.01"):
        text = complaint(tmp_path / "r.csv", "account,prices", f"a-11,lunch 2026-09-01 {wrong}")
        assert f"must be between 0.00 and {highest}" in text


def test_a_token_stands_for_a_card(tmp_path: Path) -> None:
    token = card_token(KEY, parse_card_id("em:0100000001"))
    lines = read(tmp_path / "r.csv", "account,cards", f"a-10,token:{token}")
    assert lines[0].tokens == (token,)
    text = complaint(
        tmp_path / "r.csv", "account,cards", f"a-10,token:{token}", "a-11,em:0100000001"
    )
    assert "a card is already on line 2" in text


def test_the_sample_town_is_a_roster() -> None:
    assert len(read_roster(ROOT / "demo" / "borgofiorito.csv", KEY)) == 42
