"""All tables of the books as CSV for spreadsheets, a file each, as one moment had them.

Amounts are whole cents. A text that a spreadsheet would run as a formula gets an apostrophe.
"""

import csv
import io
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from agent.central.books import export
from agent.central.books.database import Books
from agent.central.books.export import Table
from agent.central.office.private_file import make_folder, write_private
from agent.console import csv_cell

ROWS_OF_CHUNK = 5_000
"""Rows that are written at once: 1 MB, so that ten years of meals need no more memory."""

Progress = Callable[[int], None]
"""Is called with the number of rows that were just written."""


def export_csv(books: Books, folder: Path, progress: Callable[[int], Progress]) -> list[Table]:
    """Write every table into a folder, and return what was written. Raise `CentralError`.

    `progress` is called with the number of all rows, and returns what counts them.
    """
    make_folder(folder)
    with export.copied(books, folder / ".books.part") as snapshot:
        written = export.tables(snapshot)
        advance = progress(sum(table.rows for table in written))
        for table in written:
            write_private(folder / f"{table.name}.csv", _chunks(snapshot, table, advance))
    return written


def _chunks(books: Books, table: Table, advance: Progress) -> Iterator[bytes]:
    """Yield a table's file in parts. Excel in Italy takes the semicolon, and needs the mark."""
    yield _csv([table.columns]).encode("utf-8-sig")
    rows = export.rows(books, table.name)
    while chunk := list(islice(rows, ROWS_OF_CHUNK)):
        yield _csv([[csv_cell(cell) for cell in row] for row in chunk]).encode("utf-8")
        advance(len(chunk))


def _csv(rows: list[list[str]] | list[list[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=";", lineterminator="\r\n").writerows(rows)
    return text.getvalue()
