"""A watched folder: what banks, node and treasury put into it is taken in, each file once.

A file is booked first and moved afterwards. A process that is killed between has booked it, and at
the next look it is a duplicate. So nothing is lost and nothing is doubled at any moment.

    FOLDER/          files that come; hidden ones and unfinished ones are left alone
    FOLDER/done/     files that were taken in
    FOLDER/refused/  files that cannot be read, each with NAME.reason.txt beside it
"""

import fcntl
import os
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

from agent.central.books.database import Books
from agent.central.books.payments import Arrival
from agent.central.office.private_file import make_folder, write_private
from agent.central.payments.documents import book_document, read_document
from agent.central.payments.doors import set_aside
from agent.central.payments.receipt import Whose
from agent.central.payments.receipt_files import ReceiptFile, receipt_files
from agent.central.payments.settlement import FLOW_BYTES_MAX
from agent.domain.clock import Instant
from agent.errors import CentralError

SETTLED_S = 10
"""A file is complete when nothing has changed it for so long: an upload writes more often."""
UNFINISHED = (".part", ".partial", ".tmp", ".filepart", ".crdownload")
"""The ends of names that programs give a file while they write it."""
DONE, REFUSED, LOCK = "done", "refused", ".lock"


class Taken(NamedTuple):
    """What became of a file, in words; of an archive, a line for each file in it."""

    name: str
    is_refused: bool
    lines: list[str]


class _Signature(NamedTuple):
    """What differs when a file is another one, or was written meanwhile."""

    inode: int
    bytes: int
    changed_ns: int


STEM_BYTES_MAX, SUFFIX_BYTES_MAX = 180, 20
"""Of the name of a file that is moved."""


@contextmanager
def sole_watcher(folder: Path) -> Iterator[None]:
    """Make the folders, and hold the lock on them. Raise `CentralError`."""
    for path in (folder, folder / DONE, folder / REFUSED):
        make_folder(path)
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise CentralError(f"{path}: files cannot be moved there; give it to this user")
    try:
        with open(folder / LOCK, "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError:
        raise CentralError(f"{folder}: another watch-folder takes its files; stop it") from None
    except OSError as error:
        raise CentralError(f"{folder}: cannot be watched: {error}") from error


def complete_files(folder: Path, now_s: int, settled_s: int = SETTLED_S) -> list[Path]:
    """Return the files that nobody writes any more, by name.

    A file from the future counts too: after a clock that ran ahead, it would wait for days.
    """
    files = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.lower().endswith(UNFINISHED):
            continue
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue  # its sender gave it another name
        if stat.S_ISREG(status.st_mode) and abs(now_s - int(status.st_ctime)) >= settled_s:
            files.append(path)
    return files


def left_files(folder: Path) -> list[Path]:
    """Return the files that a look has left: they are not complete."""
    return [path for path in sorted(folder.iterdir()) if path.is_file() and path.name != LOCK]


def take(books: Books, path: Path, whose: Whose, at: Instant) -> Taken | None:
    """Take in a file and move it. Return None for a file that changed meanwhile.

    Raise `CentralError` if it cannot be booked or moved now: it stays where it is.
    """
    name, lines, is_refused = _shown(path.name), [], False
    try:
        before = _signature(path)
        for file in _files(path):
            if _signature(path) != before:
                return None
            if isinstance(file, CentralError):
                is_refused = True
                lines.append(f"refused: {file}")
                continue
            arrival = Arrival(at, file.data)
            try:
                document = read_document(file.data, whose)
            except CentralError as error:
                is_refused = True
                set_aside(books, arrival, f"watched folder, {name}", error)
                lines.append(f"{_shown(file.name)}: refused: {error}")
            else:
                lines.append(f"{_shown(file.name)}: {book_document(books, document, arrival)}")
    except FileNotFoundError:
        return None
    if not lines:
        return _moved(Taken(name, True, ["the archive has no XML file"]), path)
    return _moved(Taken(name, is_refused, lines), path)


def _files(path: Path) -> Iterator[ReceiptFile | CentralError]:
    """Yield what a path holds, of an archive one file at a time, or why it cannot be read on."""
    try:
        if zipfile.is_zipfile(path):
            yield from receipt_files(path)
        else:
            with open(path, "rb") as file:
                yield ReceiptFile(path.name, file.read(FLOW_BYTES_MAX + 1))
    except FileNotFoundError:
        raise
    except (CentralError, OSError) as error:
        yield CentralError(str(error))


def _signature(path: Path) -> _Signature:
    status = path.lstat()
    return _Signature(status.st_ino, status.st_size, status.st_ctime_ns)


def _moved(taken: Taken, path: Path) -> Taken:
    """Move a file, and return what became of it. A reason is there before its file."""
    folder = path.parent / (REFUSED if taken.is_refused else DONE)
    target = next(folder / name for name in _names(path) if not (folder / name).exists())
    if taken.is_refused:
        reason = "\n".join([*taken.lines, ""]).encode("utf-8", "replace")
        write_private(target.with_name(f"{target.name}.reason.txt"), [reason])
    try:
        path.rename(target)
    except OSError as error:
        raise CentralError(f"{path}: cannot be moved to {folder}: {error.strerror}") from error
    return taken


def _shown(name: str) -> str:
    """Return a file's name for people: one that is no text, or has line ends, would break a log."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def _names(path: Path) -> Iterator[str]:
    """Yield the name of a file, then others, for one of the same name that came before."""
    # Cut: the reason of a refusal has this name and more, and a file system allows 255 bytes.
    stem = os.fsdecode(os.fsencode(path.stem)[:STEM_BYTES_MAX])
    suffix = os.fsdecode(os.fsencode(path.suffix)[:SUFFIX_BYTES_MAX])
    yield f"{stem}{suffix}"
    yield from (f"{stem}.{n}{suffix}" for n in count(2))
