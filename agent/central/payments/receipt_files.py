"""Receipts as files: one XML file, a folder of them, or a zip. Reads; books nothing.

An archive is unpacked in memory, one file at a time, with limits: a small zip may unpack to more
than the memory holds.
"""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from agent.central.payments.xml import DOCUMENT_BYTES_MAX
from agent.errors import CentralError

FILES_MAX = 20_000
"""Files of one folder or zip: a town's receipts of a year."""
ARCHIVE_BYTES_MAX = 256 * 1024 * 1024
"""A zip of 20,000 receipts has 40 MB."""


class ReceiptFile(NamedTuple):
    """A file's name, and its bytes."""

    name: str
    data: bytes


def receipt_files(path: Path) -> Iterator[ReceiptFile]:
    """Yield the XML files of a path, by name. Raise `CentralError`."""
    try:
        if path.is_dir():
            yield from _of_folder(path)
        elif zipfile.is_zipfile(path):
            yield from _of_zip(path)
        else:
            yield ReceiptFile(path.name, _read(path))
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise CentralError(f"{path}: cannot be read: {error}") from error


def _of_folder(folder: Path) -> Iterator[ReceiptFile]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".xml")
    _require_few(folder, len(paths))
    for path in paths:
        yield ReceiptFile(path.relative_to(folder).as_posix(), _read(path))


def _of_zip(path: Path) -> Iterator[ReceiptFile]:
    if path.stat().st_size > ARCHIVE_BYTES_MAX:
        raise CentralError(f"{path}: has more than {ARCHIVE_BYTES_MAX} bytes; split it")
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        names = sorted(name for name in archive.namelist() if name.lower().endswith(".xml"))
        _require_few(path, len(names))
        for name in names:
            with archive.open(name) as member:
                yield ReceiptFile(name, member.read(DOCUMENT_BYTES_MAX + 1))


def _read(path: Path) -> bytes:
    """Return a file's bytes, as many as show that it is too large."""
    with open(path, "rb") as file:
        return file.read(DOCUMENT_BYTES_MAX + 1)


def _require_few(path: Path, count: int) -> None:
    if count > FILES_MAX:
        raise CentralError(f"{path}: has {count} files, more than {FILES_MAX}; split it")
