"""All tables as CSV: whole, for spreadsheets, and without formulas."""

import csv
import io
from pathlib import Path

from agent.central.books import export, incidents
from agent.central.books.incidents import Incident
from agent.central.office.export_csv import ROWS_OF_CHUNK, export_csv
from tests.parts.wire import Wire


def read(path: Path) -> list[dict[str, str]]:
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf"), "Excel would take UTF-8 for Windows-1252"
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig")), delimiter=";"))


def run(wire: Wire, folder: Path) -> list[int]:
    """Export, and return what the progress counted: all rows, then the chunks."""
    seen: list[int] = []

    def begin(rows: int) -> object:
        seen.append(rows)
        return seen.append

    export_csv(wire.central.books, folder, begin)  # type: ignore[arg-type]
    return seen


def test_each_table_is_a_file_with_amounts_in_cents(wire: Wire, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    wire.central.credit("a-1", -366, "r-1")
    run(wire, folder)
    assert {path.name for path in folder.iterdir()} == {f"{name}.csv" for name in export.TABLES}
    (row,) = read(folder / "posting.csv")
    assert (row["account"], row["amount_cents"], row["kind"]) == ("a-1", "-366", "refund")
    accounts = {row["id"]: row for row in read(folder / "account.csv")}
    assert accounts["a-1"]["balance_cents"] == "-366" and accounts["a-2"]["label"] == ""


def test_a_text_is_no_formula(wire: Wire, tmp_path: Path) -> None:
    with wire.central.books.transaction():
        incidents.add(wire.central.books, Incident("2026-11-23", "kind", '=1+1;\n"è"'))
    run(wire, tmp_path / "out")
    (row,) = read(tmp_path / "out" / "incident.csv")
    assert row["detail"] == '\'=1+1;\n"è"'


def test_a_long_table_is_written_in_chunks(wire: Wire, tmp_path: Path) -> None:
    with wire.central.books.transaction():
        for n in range(ROWS_OF_CHUNK + 1):
            incidents.add(wire.central.books, Incident("2026-11-23", "kind", str(n)))
    all_rows, *chunks = run(wire, tmp_path / "out")
    assert max(chunks) == ROWS_OF_CHUNK and sum(chunks) == all_rows
    assert len(read(tmp_path / "out" / "incident.csv")) == ROWS_OF_CHUNK + 1


def test_an_export_replaces_the_earlier_one(wire: Wire, tmp_path: Path) -> None:
    run(wire, tmp_path / "out")
    wire.central.credit("a-1", 1, "r-1")
    run(wire, tmp_path / "out")
    assert len(read(tmp_path / "out" / "posting.csv")) == 1
    assert len(list((tmp_path / "out").iterdir())) == len(export.TABLES)
