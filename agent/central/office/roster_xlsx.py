"""The wall to openpyxl: Excel's files read and written as rows of text.

Excel drops zeros, makes dates of classes and writes errors into cells. So a cell that is no text is
a fault, and its sentence says how to format the column. No sentence has a cell's value.
"""

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from agent.central.office.roster_sheet import Row
from agent.errors import CentralError

if TYPE_CHECKING:
    from openpyxl.cell.cell import Cell, MergedCell
    from openpyxl.cell.read_only import EmptyCell, ReadOnlyCell

    AnyCell = Cell | MergedCell | ReadOnlyCell | EmptyCell

UNPACKED_BYTES_MAX = 512 * 1024 * 1024
"""A roster of 150,000 accounts unpacks to 80 MB; a larger one would fill the server's memory."""
ROWS_MAX = 1_048_576
"""Rows of a sheet in Excel. A damaged file may name a row far beyond."""

# What openpyxl and the libraries under it raise for bytes that are no workbook.
_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
_AS_TEXT = "format its column as Text and type the cell again"
_KINDS = {
    "n": f"is a number, and Excel may have dropped zeros from it; {_AS_TEXT}",
    "d": f"is a date; {_AS_TEXT}",
    "b": f"is true or false; {_AS_TEXT}",
    "e": "is an error of a formula; write its text",
    "f": "is a formula; write its text",
}
_TEXT_FORMAT = "@"


def read_xlsx(data: bytes) -> list[Row]:
    """Return the rows of the one sheet that has any. Raise `CentralError` for other bytes."""
    _require_extra()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl names parts of a workbook that it leaves out
            sheets = list(_sheets(data))
    except _FAULTS as error:
        raise CentralError(
            f"cannot be read as .xlsx ({type(error).__name__});"
            " open it in Excel or LibreOffice and save it again as .xlsx"
        ) from error
    if len(sheets) > 1:
        raise CentralError(f"has {len(sheets)} sheets that are not empty; leave only the roster")
    return sheets[0] if sheets else []


def write_xlsx(rows: Iterable[Sequence[str | int]], title: str = "roster") -> bytes:
    """Return a workbook with one sheet. A text stays text; a number is for sums."""
    _require_extra()
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    workbook = Workbook(write_only=True)
    sheet = workbook.create_sheet(title)
    for row in rows:
        cells = []
        for value in row:
            cell = WriteOnlyCell(sheet, value=value)
            if isinstance(value, str):
                cell.data_type = "s"  # openpyxl would write a text that begins with = as a formula
                cell.number_format = _TEXT_FORMAT
            cells.append(cell)
        sheet.append(cells)
    file = io.BytesIO()
    workbook.save(file)
    return file.getvalue()


def _require_extra() -> None:
    """Raise `CentralError` where the libraries are missing.

    Without defusedxml, openpyxl would follow a workbook's entities until the memory is full.
    """
    try:
        import openpyxl  # imported late: it takes a quarter of a second
    except ImportError:
        is_safe = False
    else:
        is_safe = openpyxl.DEFUSEDXML
    if not is_safe:
        raise CentralError(
            "reading and writing .xlsx needs more libraries;"
            " install the central with its extra: pip install 'canteen-agent[central]'"
        )


def _sheets(data: bytes) -> Iterator[list[Row]]:
    from openpyxl import load_workbook

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        unpacked = sum(part.file_size for part in archive.infolist())
    if unpacked > UNPACKED_BYTES_MAX:
        raise CentralError(
            f"unpacks to more than {UNPACKED_BYTES_MAX} bytes; check that it is a roster"
        )
    workbook = load_workbook(io.BytesIO(data), read_only=True)
    for sheet in workbook.worksheets:
        sheet.reset_dimensions()  # some programs write a wrong size, and rows would be cut off
        rows = []
        for number, cells in enumerate(sheet.iter_rows(), start=1):
            if number > ROWS_MAX:
                raise CentralError(f"has more than {ROWS_MAX} rows; check that it is a roster")
            row = _row(number, cells)
            if not row.is_blank:
                rows.append(row)
        if rows:
            width = max(len(row.cells) for row in rows)
            yield [row.padded(width) for row in rows]


def _row(number: int, cells: "Sequence[AnyCell]") -> Row:
    from openpyxl.utils import get_column_letter

    texts, faults = [], []
    for column, cell in enumerate(cells, start=1):
        value = cell.value
        if value is None:
            texts.append("")
        elif isinstance(value, str) and cell.data_type in ("s", "inlineStr", "str"):
            texts.append(value)
        else:
            kind = _KINDS.get(cell.data_type, f"is no text; {_AS_TEXT}")
            faults.append(f"cell {get_column_letter(column)}{number} {kind}")
    return Row(f"row {number}", texts if not faults else (), "; ".join(faults))
