"""CSV in the forms that offices save, and quotes that no reader may guess about."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.central.office.roster_csv import read_csv
from agent.errors import CentralError

WORDS = [["account", "class"], ["a-1", "Città 1ª"], ["a-2", "2A"]]


def text_of(separator: str, line_end: str = "\n") -> str:
    return line_end.join(separator.join(line) for line in WORDS) + line_end


def cells(data: bytes) -> list[list[str]]:
    rows = read_csv(data)
    assert not any(row.fault for row in rows)
    return [list(row.cells) for row in rows if not row.is_blank]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_every_encoding_and_separator_gives_the_same_cells(encoding: str, separator: str) -> None:
    assert cells(text_of(separator).encode(encoding)) == WORDS


def test_utf_16_with_the_high_byte_first_is_read() -> None:
    assert cells(text_of(";").encode("utf-16-be")) == WORDS
    assert cells(b"\xfe\xff" + text_of(";").encode("utf-16-be")) == WORDS


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_line_end_is_read(line_end: str) -> None:
    assert cells(text_of(";", line_end).encode()) == WORDS


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "sep=;;", "sep=;\r"])
def test_excels_line_that_names_the_separator_is_no_header(first: str) -> None:
    # without that line the comma would win
    text = f"{first}\naccount,a,b;class\n"
    assert cells(text.encode()) == [["account,a,b", "class"]]


def test_a_separator_that_no_roster_can_have_is_refused() -> None:
    with pytest.raises(CentralError, match="line 1: sep= names a separator"):
        read_csv(b"sep=|\naccount|site\n")


def test_line_numbers_count_the_separators_line() -> None:
    assert [row.place for row in read_csv(b"sep=;\na;b\nc;d")] == ["line 2", "line 3"]


# à as DOS and as the old Mac write it; a byte that Windows-1252 does not have
@pytest.mark.parametrize("letter", [b"\xd7", b"\x85", b"\x88", b"\x8d", b"\xff\xff\x81"])
def test_bytes_that_may_be_other_letters_are_refused_with_their_line(letter: bytes) -> None:
    with pytest.raises(CentralError, match="line 2: a letter is neither UTF-8 nor"):
        read_csv(b"account,class\na-1,Citt" + letter + b"\n")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text('";,\na', max_size=60).map(str.encode))
def test_any_bytes_are_rows_or_a_sentence(data: bytes) -> None:
    """No line is lost: each is in the place of exactly one row."""
    try:
        rows = read_csv(data)
    except CentralError:
        return
    numbers = [list(map(int, re.findall(r"\d+", row.place))) for row in rows]
    places = [n for place in numbers for n in range(place[0], place[-1] + 1)]
    assert not places or places == list(range(places[0], places[-1] + 1))


def test_quotes_at_both_ends_of_a_cell_are_read() -> None:
    text = 'account,class\n"a-1","1, ""A"""\n"a-2",\n'
    assert cells(text.encode()) == [["account", "class"], ["a-1", '1, "A"'], ["a-2", ""]]


@pytest.mark.parametrize("line", ['a"1",x', '"a" 1,x', 'a,"x"y', '"a""b" c,""'])
def test_a_quote_inside_a_cell_is_a_fault_of_its_line(line: str) -> None:
    header, wrong, after = read_csv(f"account,class\n{line}\na-2,2A\n".encode())[:3]
    assert (wrong.place, wrong.cells) == ("line 2", [])
    assert "a quote is inside a cell" in wrong.fault
    assert not header.fault and after.cells == ["a-2", "2A"]


@pytest.mark.parametrize("opening", ['"1A', '1"A'])
def test_a_record_over_several_lines_is_named_by_its_first_and_last(opening: str) -> None:
    text = f'account,class\na-1,{opening}\na-2,2A\na-3,3A"\na-4,4A\n'
    rows = read_csv(text.encode())
    assert [row.place for row in rows[:3]] == ["line 1", "lines 2 to 4", "line 5"]
    assert "a quote of line 2 is closed on line 4" in rows[1].fault
    assert "2A" not in rows[1].fault


def test_a_quote_that_is_never_closed_leaves_the_other_lines() -> None:
    rows = read_csv(b'account,class\na-1,"1A\na-2,2A\n')
    assert (rows[1].place, rows[1].fault) == (
        "line 2",
        "a quote is not closed; remove it, or close it",
    )
    assert rows[2].cells == ["a-2", "2A"]
