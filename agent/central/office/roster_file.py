"""The roster's file: from bytes of CSV or .xlsx to records by column. It knows no rule of a cell.

Columns may be in any order and their names in any case. Lines without a text are left out. A column
that the file does not have is not in a record: absent is not empty.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from agent.central.office.roster_csv import read_csv
from agent.central.office.roster_sheet import Row
from agent.central.office.roster_xlsx import read_xlsx
from agent.errors import CentralError
from agent.spelling import did_you_mean

COLUMNS = (
    "account", "site", "category", "status", "class", "label", "dish", "family", "cards", "prices"
)  # fmt: skip
FILE_BYTES_MAX = 64 * 1024 * 1024
"""A roster of 150,000 accounts has 20 MB; a larger file is something else."""
NAME_LENGTH_SHOWN_MAX = 20
"""Characters of an unknown column's name in an error: a longer one is a child's cell."""

_XLSX = b"PK\x03\x04"
# an .xls file, and an .xlsx file with a password
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"


class Record(NamedTuple):
    """A line's cells by column, or the fault for which it has none."""

    place: str
    cells: dict[str, str]
    fault: str = ""


def read_records(path: Path) -> list[Record]:
    """Return the lines after the header. Raise `CentralError` if the file is no roster."""
    try:
        rows = [row for row in _rows(path) if not row.is_blank]
        if not rows:
            raise CentralError(f"is empty; its first line names columns: {', '.join(COLUMNS)}")
        columns = _columns(rows[0])
    except OSError as error:
        raise CentralError(f"{path}: cannot be read: {error.strerror}") from error
    except CentralError as error:
        raise CentralError(f"{path}: {error}") from error
    return list(_records(rows[1:], columns))


def _rows(path: Path) -> list[Row]:
    if path.stat().st_size > FILE_BYTES_MAX:
        raise CentralError(f"has more than {FILE_BYTES_MAX} bytes; check that it is a roster")
    data = path.read_bytes()
    if data.startswith(_OLD_EXCEL):
        raise CentralError(
            "is an old Excel file, or has a password; save it as .xlsx without a password"
        )
    return read_xlsx(data) if data.startswith(_XLSX) else read_csv(data)


def _columns(header: Row) -> list[str]:
    """Return the names of the columns. Raise `CentralError` for a header that is none."""
    if header.fault:
        raise CentralError(f"{header.place}: {header.fault}")
    names = [name.strip().lower() for name in header.cells]
    while names and not names[-1]:
        names.pop()
    wrong = [_unknown(name, number) for number, name in enumerate(names, 1) if name not in COLUMNS]
    wrong += ["account is missing"] * ("account" not in names)
    wrong += [f"{name} appears twice" for name in COLUMNS if names.count(name) > 1]
    if wrong:
        raise CentralError(
            f"{header.place}: columns are {', '.join(COLUMNS)}; but {'; '.join(wrong)}"
        )
    return names


def _unknown(name: str, number: int) -> str:
    # a file without a header has a child's line in its place: no digits are shown
    if not name.isalpha() or len(name) > NAME_LENGTH_SHOWN_MAX:
        return f"column {number} has another name, or none"
    return f"{name!r} is unknown{did_you_mean(name, COLUMNS)}"


def _records(rows: Sequence[Row], columns: list[str]) -> Iterator[Record]:
    for row in rows:
        fault = row.fault
        cells = row.cells
        if not fault and any(cell.strip() for cell in cells[len(columns) :]):
            fault = f"has more cells than the {len(columns)} columns of the first line"
        elif not fault and len(cells) < len(columns):
            fault = f"has fewer cells than the {len(columns)} columns of the first line"
        known = {} if fault else dict(zip(columns, cells, strict=False))
        yield Record(row.place, known, fault)
