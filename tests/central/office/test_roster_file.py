"""A file is read by what is in it: columns in any order and case, absent ones absent."""

import os
from pathlib import Path

import pytest

from agent.central.office.roster_file import (
    FILE_BYTES_MAX,
    NAME_LENGTH_SHOWN_MAX,
    Record,
    read_records,
)
from agent.central.office.roster_xlsx import write_xlsx
from agent.errors import CentralError


def read(path: Path, text: str) -> list[Record]:
    path.write_text(text, encoding="utf-8", newline="")
    return read_records(path)


def complaint(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(CentralError) as raised:
        read_records(path)
    return str(raised.value)


def test_columns_come_in_any_order_and_case(tmp_path: Path) -> None:
    records = read(tmp_path / "r.csv", " Site ;ACCOUNT; class\nprimaria;a-1;1A\n")
    assert records == [Record("line 2", {"site": "primaria", "account": "a-1", "class": "1A"})]


def test_lines_without_a_text_are_left_out_and_counted(tmp_path: Path) -> None:
    records = read(tmp_path / "r.csv", "account;site\n;\n\na-1;primaria\n ; ;;;\n")
    assert [record.place for record in records] == ["line 4"]


def test_a_separator_at_the_end_of_each_line_is_no_column(tmp_path: Path) -> None:
    records = read(tmp_path / "r.csv", "account;site;\na-1;primaria;\na-2;media;;;\n")
    assert [record.cells["site"] for record in records] == ["primaria", "media"]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("a-1", "has fewer cells than the 2 columns"),
        ("a-1;primaria;1A", "has more cells than the 2 columns"),
        ('a-1;"pri', "a quote is not closed"),
    ],
)
def test_a_line_of_another_form_is_a_fault_without_cells(
    tmp_path: Path, line: str, fault: str
) -> None:
    (record,) = read(tmp_path / "r.csv", f"account;site\n{line}\n")
    assert fault in record.fault and record.cells == {}


@pytest.mark.parametrize("name", ["r.xlsx", "r.csv", "r"])
def test_a_workbook_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(write_xlsx([["Account", "site"], ["0012", "primaria"]]))
    assert read_records(path) == [Record("row 2", {"account": "0012", "site": "primaria"})]


@pytest.mark.parametrize(
    ("header", "wrong"),
    [
        ("site,prices", "account is missing"),
        ("account,site,colour", "'colour' is unknown"),
        ("account,site,Price", "'price' is unknown; did you mean 'prices'?"),
        ("account,site,prices,SITE", "site appears twice"),
        ("account,,site", "column 2 has another name, or none"),
        (f"account,{'x' * NAME_LENGTH_SHOWN_MAX}", f"{'x' * NAME_LENGTH_SHOWN_MAX!r} is unknown"),
        (f"account,x{'x' * NAME_LENGTH_SHOWN_MAX}", "column 2 has another name, or none"),
        ('"account,site', "line 1: a quote is not closed"),
    ],
)
def test_wrong_columns_are_named(tmp_path: Path, header: str, wrong: str) -> None:
    assert wrong in complaint(tmp_path / "r.csv", f"{header}\na-1,x,y,z\n".encode())


def test_a_file_without_a_header_shows_nothing_of_its_first_child(tmp_path: Path) -> None:
    text = complaint(tmp_path / "r.csv", b"a-1;primaria;a:04a1b2c3d4e5f6;0006547886\n")
    assert "04a1" not in text and "0006547886" not in text
    assert "column 3 has another name, or none" in text


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty; its first line names columns: account, site"),
        (b"\n;;;\n", "is empty"),
        (b"\xd0\xcf\x11\xe0 old", "is an old Excel file, or has a password; save it as .xlsx"),
        (b"PK\x03\x04 torn", "cannot be read as .xlsx"),
        (b"account\n\x85\n", "line 2: a letter is neither UTF-8"),
    ],
)
def test_a_file_that_is_no_roster_is_refused_with_what_to_do(
    tmp_path: Path, data: bytes, sentence: str
) -> None:
    text = complaint(tmp_path / "r.csv", data)
    assert sentence in text and text.startswith(str(tmp_path / "r.csv"))


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(CentralError, match="cannot be read: Is a directory"):
        read_records(tmp_path)


def test_a_file_of_more_than_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "backup.iso"
    path.touch()
    os.truncate(path, FILE_BYTES_MAX + 1)
    with pytest.raises(CentralError, match=f"more than {FILE_BYTES_MAX} bytes"):
        read_records(path)
