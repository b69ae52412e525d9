"""Receipts as files: single ones, folders, archives, and their limits."""

import zipfile
from pathlib import Path

import pytest

from agent.central.payments.receipt_files import (
    ARCHIVE_BYTES_MAX,
    FILES_MAX,
    receipt_files,
)
from agent.central.payments.xml import DOCUMENT_BYTES_MAX
from agent.errors import CentralError


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return path


def test_a_file_a_folder_and_a_zip_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "RT"
    folder.mkdir()
    (folder / "b.xml").write_bytes(b"2")
    (folder / "a.XML").write_bytes(b"1")
    (folder / "readme.txt").write_bytes(b"")
    zipped = archive(tmp_path / "x.zip", {"b/b.xml": b"2", "a.xml": b"1", "a.txt": b""})
    assert list(receipt_files(folder)) == [("a.XML", b"1"), ("b.xml", b"2")]
    assert list(receipt_files(zipped)) == [("a.xml", b"1"), ("b/b.xml", b"2")]
    assert list(receipt_files(folder / "b.xml")) == [("b.xml", b"2")]


def test_a_small_zip_does_not_fill_the_memory(tmp_path: Path) -> None:
    zipped = archive(tmp_path / "x.zip", {"a.xml": b" " * (DOCUMENT_BYTES_MAX * 50)})
    (file,) = receipt_files(zipped)
    assert len(file.data) == DOCUMENT_BYTES_MAX + 1


def test_a_zip_has_at_most_files_max(tmp_path: Path) -> None:
    names = {f"{n}.xml": b"" for n in range(FILES_MAX + 1)}
    with pytest.raises(CentralError, match=f"more than {FILES_MAX}; split it"):
        list(receipt_files(archive(tmp_path / "x.zip", names)))


def test_a_zip_has_at_most_archive_bytes_max(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.zip", {"a.xml": b""})
    whole = path.read_bytes()
    with open(path, "r+b") as file:
        file.seek(ARCHIVE_BYTES_MAX + 1 - len(whole))  # a hole before the zip takes no disk
        file.write(whole)
        file.seek(0)
        file.write(b"\0" * len(whole))
    with pytest.raises(CentralError, match=f"more than {ARCHIVE_BYTES_MAX} bytes"):
        list(receipt_files(path))


def test_what_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CentralError, match="cannot be read"):
        list(receipt_files(tmp_path / "nowhere"))
    path = archive(tmp_path / "x.zip", {"a.xml": b"1234567890"})
    damaged = path.read_bytes().replace(b"PK\x03\x04", b"PK\x03\x05")
    path.write_bytes(damaged)
    with pytest.raises(CentralError, match="cannot be read"):
        list(receipt_files(path))
