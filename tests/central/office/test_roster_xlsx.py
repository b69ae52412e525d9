"""Excel's files: text cells only, one sheet, and no error has a cell's value."""

import io
import zipfile
from collections.abc import Sequence
from datetime import date

import pytest
from defusedxml.common import EntitiesForbidden
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from agent.central.office.roster_xlsx import ROWS_MAX, UNPACKED_BYTES_MAX, read_xlsx, write_xlsx
from agent.errors import CentralError

WORDS = [["account", "class"], ["0012", "Città 1ª"], ["a-2", ""]]


def workbook(rows: Sequence[Sequence[object]], *, sheets: int = 1) -> bytes:
    made = Workbook()
    made.remove(made.worksheets[0])
    for _ in range(sheets):
        sheet = made.create_sheet()
        for row in rows:
            sheet.append(row)
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


def part(data: bytes, name: str, old: bytes, new: bytes) -> bytes:
    """Return a workbook in one part of which a text is replaced."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(file, "w") as target:
        for entry in source.namelist():
            content = source.read(entry)
            target.writestr(entry, content.replace(old, new) if entry == name else content)
    return file.getvalue()


SHEET = "xl/worksheets/sheet1.xml"


def test_what_is_written_is_read_again() -> None:
    rows = read_xlsx(write_xlsx(WORDS))
    assert [list(row.cells) for row in rows] == WORDS
    assert [row.place for row in rows] == ["row 1", "row 2", "row 3"]


def test_what_is_written_is_text_for_excel_too() -> None:
    sheet = load_workbook(io.BytesIO(write_xlsx([["=1+1", "0012"]]))).worksheets[0]
    assert [(cell.value, cell.data_type, cell.number_format) for cell in sheet[1]] == [
        ("=1+1", "s", "@"),
        ("0012", "s", "@"),
    ]


def test_a_number_is_written_for_sums() -> None:
    sheet = load_workbook(io.BytesIO(write_xlsx([["meals", 12]], "meals"))).worksheets[0]
    assert sheet.title == "meals"
    assert [(cell.value, cell.data_type) for cell in sheet[1]] == [("meals", "s"), (12, "n")]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (12, "cell B3 is a number, and Excel may have dropped zeros from it; format its column"),
        (3.66, "cell B3 is a number"),
        (date(2026, 3, 1), "cell B3 is a date; format its column as Text"),
        (True, "cell B3 is true or false"),
        ("=1+1", "cell B3 is a formula"),
        ("#N/A", "cell B3 is an error of a formula"),
    ],
)
def test_a_cell_that_is_no_text_is_a_fault_with_what_to_do(value: object, sentence: str) -> None:
    rows = read_xlsx(workbook([["account", "class"], ["a-1", "1A"], ["a-2", value]]))
    assert rows[1].cells == ["a-1", "1A"]
    assert sentence in rows[2].fault
    assert "3.66" not in rows[2].fault


def test_a_short_row_has_empty_cells_at_its_end() -> None:
    rows = read_xlsx(workbook([["account", "class", "dish"], ["a-1"], [], ["a-2", None, "veg"]]))
    assert [row.place for row in rows] == ["row 1", "row 2", "row 4"]
    assert [list(row.cells) for row in rows[1:]] == [["a-1", "", ""], ["a-2", "", "veg"]]


def test_a_sheet_that_names_a_wrong_size_is_read_whole() -> None:
    data = part(workbook([*WORDS]), SHEET, b'<dimension ref="A1:B3"', b'<dimension ref="A1:A1"')
    assert [list(row.cells) for row in read_xlsx(data)] == WORDS


def test_parts_that_openpyxl_leaves_out_are_no_warning() -> None:
    rule = b'<extLst><ext uri="{CCE6A557-97BC-4B89-ADB6-D9C93CAAB3DF}"/></extLst></worksheet>'
    data = part(workbook([*WORDS]), SHEET, b"</worksheet>", rule)
    with pytest.warns(UserWarning, match="Data Validation extension"):
        load_workbook(io.BytesIO(data))
    assert [list(row.cells) for row in read_xlsx(data)] == WORDS


def test_of_several_sheets_only_one_may_have_a_text() -> None:
    with pytest.raises(CentralError, match="has 2 sheets that are not empty"):
        read_xlsx(workbook([*WORDS], sheets=2))
    assert read_xlsx(workbook([], sheets=2)) == []


def test_a_file_that_unpacks_to_more_than_the_limit_is_not_read() -> None:
    file = io.BytesIO(workbook([*WORDS]))
    with (
        zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("xl/media/large.bin", "w", force_zip64=True) as large,
    ):
        block = bytes(1024 * 1024)
        for _ in range(UNPACKED_BYTES_MAX // len(block)):
            large.write(block)
    with pytest.raises(CentralError, match=f"more than {UNPACKED_BYTES_MAX} bytes"):
        read_xlsx(file.getvalue())


def test_a_row_beyond_those_of_excel_is_refused() -> None:
    wrong = part(workbook([*WORDS]), SHEET, b'<row r="3"', f'<row r="{ROWS_MAX * 9}"'.encode())
    with pytest.raises(CentralError, match=f"more than {ROWS_MAX} rows"):
        read_xlsx(wrong)


def test_entities_that_grow_without_end_are_refused() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><worksheet '
    data = part(workbook([*WORDS]), SHEET, b"<worksheet ", bomb)
    with pytest.raises(CentralError, match=r"cannot be read as \.xlsx") as raised:
        read_xlsx(data)
    cause = raised.value.__cause__
    assert cause is not None and isinstance(cause.__context__, EntitiesForbidden)


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, 10_000), flips=st.binary(min_size=1, max_size=40))
def test_a_damaged_file_is_a_sentence_or_rows(place: int, flips: bytes) -> None:
    data = bytearray(workbook([*WORDS]))
    start = place % len(data)
    data[start : start + len(flips)] = flips
    try:
        read_xlsx(bytes(data))
    except CentralError as error:
        assert "0012" not in str(error)
