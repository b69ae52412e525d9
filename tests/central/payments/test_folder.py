"""A watched folder: complete files only, each once, and nothing lost."""

import os
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from agent.central.books.payments import Arrival
from agent.central.books.references import Reference
from agent.central.payments.documents import book_document, read_document
from agent.central.payments.folder import (
    DONE,
    REFUSED,
    SETTLED_S,
    STEM_BYTES_MAX,
    SUFFIX_BYTES_MAX,
    UNFINISHED,
    Taken,
    complete_files,
    left_files,
    sole_watcher,
    take,
)
from agent.central.payments.xml import DOCUMENT_BYTES_MAX
from agent.errors import CentralError
from tests.parts.payment_messages import WHOSE, Receipt, soap_receipt
from tests.parts.wire import Central


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "in"
    with sole_watcher(path):
        pass
    return path


def look(central: Central, folder: Path) -> list[Taken | None]:
    paths = complete_files(folder, 0)  # all files are of the future
    return [take(central.books, path, WHOSE, central.clock.instant) for path in paths]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_a_receipt_is_credited_and_its_file_moves(
    central: Central, notice: Reference, folder: Path
) -> None:
    (folder / "r.xml").write_bytes(soap_receipt(Receipt(notice.id)))
    assert look(central, folder) == [Taken("r.xml", False, ["r.xml: credited"])]
    assert central.balance("a-1") == 2_000
    assert (names(folder), names(folder / DONE)) == ([DONE, REFUSED], ["r.xml"])
    assert look(central, folder) == []


def test_a_file_that_comes_again_is_a_duplicate_beside_the_first(
    central: Central, notice: Reference, folder: Path
) -> None:
    for _ in range(3):
        (folder / "r.xml").write_bytes(soap_receipt(Receipt(notice.id)))
        look(central, folder)
    assert central.balance("a-1") == 2_000
    assert names(folder / DONE) == ["r.2.xml", "r.3.xml", "r.xml"]


def test_a_file_that_was_booked_before_a_kill_moves_at_the_next_look(
    central: Central, notice: Reference, folder: Path
) -> None:
    data = soap_receipt(Receipt(notice.id))
    (folder / "r.xml").write_bytes(data)
    document = read_document(data, WHOSE)
    assert (
        book_document(central.books, document, Arrival(central.clock.instant, data)) == "credited"
    )
    assert look(central, folder) == [Taken("r.xml", False, ["r.xml: duplicate"])]
    assert central.balance("a-1") == 2_000 and names(folder / DONE) == ["r.xml"]


def test_a_file_that_cannot_be_read_is_refused_with_its_reason(
    central: Central, folder: Path
) -> None:
    (folder / "r.xml").write_bytes(b"<RT>")
    (taken,) = look(central, folder)
    assert taken is not None and taken.is_refused
    assert names(folder / REFUSED) == ["r.xml", "r.xml.reason.txt"]
    reason = (folder / REFUSED / "r.xml.reason.txt").read_text()
    assert "r.xml: refused: " in reason and "not well-formed" in reason
    assert central.value("SELECT reason FROM set_aside") is not None


def test_a_file_with_the_longest_name_is_refused_and_those_after_it_are_taken(
    central: Central, notice: Reference, folder: Path
) -> None:
    """The name of its reason is longer still."""
    (folder / f"{'a' * 251}.xml").write_bytes(b"<RT>")
    (folder / "z.xml").write_bytes(soap_receipt(Receipt(notice.id)))
    assert [taken is not None and taken.is_refused for taken in look(central, folder)] == [
        True,
        False,
    ]
    cut = f"{'a' * STEM_BYTES_MAX}.xml"
    assert names(folder / REFUSED) == [cut, f"{cut}.reason.txt"]
    (folder / f"b.{'x' * 250}").write_bytes(b"<RT>")
    look(central, folder)
    assert f"b.{'x' * (SUFFIX_BYTES_MAX - 1)}" in names(folder / REFUSED)


def test_of_an_archive_every_file_is_taken_and_the_bad_ones_are_named(
    central: Central, notice: Reference, folder: Path
) -> None:
    with zipfile.ZipFile(folder / "x.zip", "w") as archive:
        archive.writestr("a.xml", b"<a/>")
        archive.writestr("b.xml", soap_receipt(Receipt(notice.id)))
    (taken,) = look(central, folder)
    assert taken is not None and taken.is_refused
    assert taken.lines[0].startswith("a.xml: refused") and taken.lines[1] == "b.xml: credited"
    assert names(folder / REFUSED) == ["x.zip", "x.zip.reason.txt"]
    with zipfile.ZipFile(folder / "empty.zip", "w"):
        pass
    assert look(central, folder) == [
        Taken("empty.zip", True, ["the archive has no XML file"]),
    ]
    (folder / "torn.zip").write_bytes((folder / REFUSED / "x.zip").read_bytes()[:-30])
    assert [taken.is_refused for taken in look(central, folder) if taken] == [True]


def test_an_archive_does_not_fill_the_memory(central: Central, folder: Path) -> None:
    with zipfile.ZipFile(folder / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(50):
            archive.writestr(f"{n}.xml", b" " * DOCUMENT_BYTES_MAX)
    tracemalloc.start()
    try:
        (taken,) = look(central, folder)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken is not None and len(taken.lines) == 50
    assert peak < 10 * DOCUMENT_BYTES_MAX


def test_a_file_that_is_written_while_it_is_taken_stays_and_is_taken_later(
    central: Central, notice: Reference, folder: Path
) -> None:
    path = folder / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.xml", soap_receipt(Receipt(notice.id)))
        archive.writestr("b.xml", soap_receipt(Receipt(notice.id)))
    with open(path, "ab") as file:

        def write(_statement: str) -> None:
            file.write(b" ")
            file.flush()

        central.books.sql.set_trace_callback(write)
        assert look(central, folder) == [None]
        central.books.sql.set_trace_callback(None)
    assert names(folder) == [DONE, REFUSED, "x.zip"]
    assert look(central, folder) == [
        Taken("x.zip", False, ["a.xml: duplicate", "b.xml: duplicate"])
    ]
    assert central.balance("a-1") == 2_000


def test_a_name_that_is_no_text_is_shown_with_question_marks(
    central: Central, notice: Reference, folder: Path
) -> None:
    (folder / os.fsdecode(b"\xff\n.xml")).write_bytes(soap_receipt(Receipt(notice.id)))
    assert look(central, folder) == [Taken("??.xml", False, ["??.xml: credited"])]
    (folder / os.fsdecode(b"\xfe.xml")).write_bytes(b"<a/>")
    (taken,) = look(central, folder)
    assert taken is not None and taken.is_refused
    assert central.value("SELECT topic FROM set_aside") == "watched folder, ?.xml"


def test_unfinished_hidden_and_other_files_are_left_alone(central: Central, folder: Path) -> None:
    for name in [".hidden.xml", *(f"r.xml{end}" for end in UNFINISHED)]:
        (folder / name).write_bytes(b"<")
    (folder / "folder").mkdir()
    os.symlink("/etc/passwd", folder / "link.xml")
    before = names(folder)
    assert look(central, folder) == [] and names(folder) == before
    assert len(left_files(folder)) == len(UNFINISHED) + 2, "all but the folder, for a person"


def test_a_file_is_complete_when_nothing_changed_it_for_settled_s(folder: Path) -> None:
    path = folder / "r.xml"
    path.write_bytes(b"<")
    changed = int(path.stat().st_ctime)
    assert complete_files(folder, changed + SETTLED_S - 1) == []
    assert complete_files(folder, changed + SETTLED_S) == [path]
    assert complete_files(folder, changed - SETTLED_S + 1) == []
    assert complete_files(folder, changed - SETTLED_S) == [path], "after a clock that ran ahead"
    os.utime(path, (0, 0))  # as a copy that keeps the time of its original
    assert complete_files(folder, int(path.stat().st_ctime) + 1) == []


def test_books_that_do_not_work_leave_the_file(
    central: Central, notice: Reference, folder: Path
) -> None:
    (folder / "r.xml").write_bytes(soap_receipt(Receipt(notice.id)))
    central.books.sql.execute("PRAGMA query_only = 1")
    with pytest.raises(CentralError):
        look(central, folder)
    assert names(folder) == [DONE, "r.xml", REFUSED]
    central.restart()
    assert [taken.lines for taken in look(central, folder) if taken] == [["r.xml: credited"]]


def test_a_folder_has_one_watcher(folder: Path) -> None:
    refused = pytest.raises(CentralError, match="another watch-folder takes its files")
    with sole_watcher(folder), refused, sole_watcher(folder):
        raise AssertionError("there are two")
    with sole_watcher(folder):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    refused = pytest.raises(CentralError, match="file/in: cannot be made")
    with refused, sole_watcher(tmp_path / "file" / "in"):
        raise AssertionError("there is none")
