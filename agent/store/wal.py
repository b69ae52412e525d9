"""Looks at a write-ahead log before SQLite opens it, and tells a power cut from damage.

SQLite uses a log up to the first frame whose checksum fails, and says nothing about the rest
(sqlite.org/walformat.html). After a power cut that is right: each commit was flushed before its
light, so only the newest transaction can be incomplete. After one flipped bit it takes back every
later light. This module reads bytes. It opens nothing with SQLite, and changes nothing.

Frames carry the salts of the log's present use. What is behind the last commit that SQLite uses,
without further copies of that commit's frame:

| frames with the present salts | state |
|---|---|
| none | WHOLE: the rest is of an earlier use of the log |
| of one transaction | TORN: a power cut, or damage in the newest transaction |
| of more than one transaction | DAMAGED: the first was flushed before the second began |

Which of the two TORN was cannot be decided from the bytes. The caller looks for an entry in them.
One more witness is the index that SQLite keeps in memory and in the file `-shm`. It names the
newest commit, and is written after the flush. If it has more frames than the log, the log lost
them: DAMAGED. After a power cut the index may be old; then it names fewer, and says nothing.
A header that fails its checksum is NO_HEADER: a cut while the log began again, when the file
already held everything, or damage. The caller compares the entries.
"""

import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import BinaryIO, NamedTuple

FRAME_HEADER_BYTES = 24
LOG_MAGIC = 0x377F0682  # its lowest bit: checksums read big-endian words
PAGE_BYTES_LEAST, PAGE_BYTES_MOST = 512, 65_536  # what SQLite allows
ZEROS_BYTES = 1024 * 1024  # read at once
PROGRESS_FRAMES = 4_096  # some tenths of a second on a Pi

_LOG_HEADER = struct.Struct(">8I")
_FRAME_HEADER = struct.Struct(">6I")
_INDEX_HEADER = struct.Struct("=3IBBH8I")  # in the machine's byte order
_WORD = 0xFFFF_FFFF


class LogState(StrEnum):
    """What a log's bytes say of it. ABSENT: there is no log, or nothing was written to it."""

    ABSENT = "absent"
    WHOLE = "whole"
    TORN = "torn"
    DAMAGED = "damaged"
    NO_HEADER = "no header"


@dataclass(frozen=True, slots=True)
class LogLook:
    """What was found. `reason` is a sentence, `newest` the pages behind the last commit in use."""

    state: LogState
    reason: str = ""
    newest: bytes = b""


class Committed(NamedTuple):
    """What SQLite's index says of its log: so many frames of the use with these salts."""

    frames: int
    salts: tuple[int, int]


class _Sum:
    """SQLite's checksum over 32-bit words, which goes on from frame to frame."""

    def __init__(self, first: int, second: int, *, is_big_endian: bool) -> None:
        self.value = (first, second)
        self._order = ">" if is_big_endian else "<"

    def add(self, content: bytes) -> None:
        first, second = self.value
        words = iter(struct.unpack(f"{self._order}{len(content) // 4}I", content))
        for odd, even in zip(words, words, strict=True):
            first += odd + second  # masked once, at the end: whole numbers have no limit
            second += even + first
        self.value = (first & _WORD, second & _WORD)


@dataclass(frozen=True, slots=True)
class _Frame:
    """The header of a frame. `number` counts from 1; `commit_pages` is 0 within a transaction."""

    number: int
    page: int
    commit_pages: int
    salts: tuple[int, int]
    checksum: tuple[int, int]

    def is_copy_of(self, commit: "_Frame | None") -> bool:
        """Return whether it repeats a commit's frame: SQLite fills a block with such copies."""
        return commit is not None and (self.page, self.commit_pages) == (
            commit.page,
            commit.commit_pages,
        )


class _Page(NamedTuple):
    """A frame with its bytes, of which the header comes first."""

    frame: _Frame
    raw: bytes


@dataclass(frozen=True, slots=True)
class _Log:
    """A log of which the header is whole. It is read frame by frame: it may be of any length."""

    file: BinaryIO
    page_bytes: int
    salts: tuple[int, int]
    checksum: _Sum

    @classmethod
    def of(cls, file: BinaryIO) -> "_Log | None":
        """Return the log, None when its header fails its checksum."""
        header = file.read(_LOG_HEADER.size)
        if len(header) < _LOG_HEADER.size:
            return None
        magic, _, page_bytes, _, *rest = _LOG_HEADER.unpack(header)
        if magic & ~1 != LOG_MAGIC or not PAGE_BYTES_LEAST <= page_bytes <= PAGE_BYTES_MOST:
            return None
        checksum = _Sum(0, 0, is_big_endian=bool(magic & 1))
        checksum.add(header[:-8])
        return (
            cls(file, page_bytes, (rest[0], rest[1]), checksum)
            if (checksum.value == (rest[2], rest[3]))
            else None
        )

    @property
    def frame_bytes(self) -> int:
        return FRAME_HEADER_BYTES + self.page_bytes

    def frames(self) -> Iterator[_Page]:
        """Yield all whole frames, of whatever use of the log."""
        self.file.seek(_LOG_HEADER.size)
        for number in count(1):
            raw = self.file.read(self.frame_bytes)
            if len(raw) < self.frame_bytes:
                return
            page, commit_pages, *rest = _FRAME_HEADER.unpack_from(raw)
            yield _Page(
                _Frame(number, page, commit_pages, (rest[0], rest[1]), (rest[2], rest[3])), raw
            )

    def page_of(self, frame: _Frame) -> bytes:
        self.file.seek(_LOG_HEADER.size + (frame.number - 1) * self.frame_bytes)
        return self.file.read(self.frame_bytes)[FRAME_HEADER_BYTES:]

    def is_right(self, page: _Page) -> bool:
        """Return whether SQLite uses a frame. Asked in order, up to the first that it does not."""
        if page.frame.salts != self.salts or not page.frame.page:
            return False
        self.checksum.add(page.raw[:8])
        self.checksum.add(page.raw[FRAME_HEADER_BYTES:])
        return self.checksum.value == page.frame.checksum


def look_at(log: Path, on_progress: Callable[[], None] = lambda: None) -> LogLook:
    """Return what the bytes of a write-ahead log tell. Raise `OSError` when it cannot be read."""
    try:
        with open(log, "rb") as file:
            return look_in(file, log.name, committed(log), on_progress)
    except FileNotFoundError:
        return LogLook(LogState.ABSENT)


def look_in(
    file: BinaryIO,
    name: str,
    index: Committed | None,
    on_progress: Callable[[], None] = lambda: None,
) -> LogLook:
    """Return what the bytes of a log tell, and its index if there is one."""
    if _is_zero(file):
        return LogLook(LogState.ABSENT)
    known = _Log.of(file)
    if known is None:
        return LogLook(LogState.NO_HEADER, f"the header of {name} is damaged")
    commit, used, behind = None, 0, list[_Frame]()
    for page in known.frames():
        frame = page.frame
        if frame.number % PROGRESS_FRAMES == 0:
            on_progress()
        if used == frame.number - 1 and known.is_right(page):
            used = frame.number
            if frame.commit_pages:
                commit, behind = frame, []
                continue
        if frame.salts == known.salts:
            behind.append(frame)
    newest = commit.number if commit else 0
    while behind and behind[0].is_copy_of(commit):
        del behind[0]
    if behind and _transactions(behind) > 1:
        sentence = f"{name} is damaged at frame {used + 1}; {len(behind)} frames follow it"
        return LogLook(LogState.DAMAGED, sentence)
    if index is not None and index.salts == known.salts and (lost := index.frames - newest) > 0:
        return LogLook(LogState.DAMAGED, f"{name} has lost {lost} frames behind frame {newest}")
    if not behind:
        return LogLook(LogState.WHOLE)
    sentence = f"the newest transaction in {name} is incomplete, from frame {used + 1} on"
    return LogLook(LogState.TORN, sentence, b"".join(map(known.page_of, behind)))


def committed(log: Path) -> Committed | None:
    """Return what SQLite's index says of a log, None if it is not there or not whole."""
    try:
        raw = log.with_name(log.name.removesuffix("-wal") + "-shm").read_bytes()
    except OSError:
        return None
    if len(raw) < _INDEX_HEADER.size:
        return None
    *_, is_made, _, _, frames, _, _, _, first, second, sum1, sum2 = _INDEX_HEADER.unpack_from(raw)
    checksum = _Sum(0, 0, is_big_endian=sys.byteorder == "big")
    checksum.add(raw[: _INDEX_HEADER.size - 8])
    salts = struct.unpack(">2I", struct.pack("=2I", first, second))
    is_whole = is_made and checksum.value == (sum1, sum2)
    return Committed(frames, (salts[0], salts[1])) if is_whole else None


def up_to_commit(content: bytes, index: Committed) -> bytes:
    """Return the part of a log that does not change while a writer has it open.

    That is up to the newest commit in the index; nothing where the index is of another use.
    """
    known = _Log.of(BytesIO(content))
    if known is None or known.salts != index.salts:
        return b""
    return content[: _LOG_HEADER.size + index.frames * known.frame_bytes]


def laid_over(file: bytes, log: bytes) -> bytes:
    """Return a file with its log laid over it, as SQLite reads both."""
    known = _Log.of(BytesIO(log))
    if known is None:
        return file
    done: dict[int, bytes] = {}
    begun: dict[int, bytes] = {}
    pages = 0
    for page in known.frames():
        if not known.is_right(page):
            break
        begun[page.frame.page] = page.raw[FRAME_HEADER_BYTES:]
        if page.frame.commit_pages:
            pages = page.frame.commit_pages
            done.update(begun)
            begun.clear()
    if pages == 0:
        return file
    size = known.page_bytes
    whole = bytearray(file[: pages * size].ljust(pages * size, b"\0"))
    for number, content in done.items():
        if number <= pages:
            whole[(number - 1) * size : number * size] = content
    return bytes(whole)


def _is_zero(file: BinaryIO) -> bool:
    """Return whether a file has no byte but zeros. It is read from its start afterwards."""
    while piece := file.read(ZEROS_BYTES):
        if piece.strip(b"\0"):
            break
    file.seek(0)
    return not piece


def _transactions(frames: list[_Frame]) -> int:
    """Return how many transactions frames belong to: one ends with its commit and its copies."""
    count, commit = 1, None
    for frame in frames:
        if commit is not None and not frame.is_copy_of(commit):
            count, commit = count + 1, None
        if frame.commit_pages:
            commit = frame
    return count
