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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

FRAME_HEADER_BYTES = 24
LOG_MAGIC = 0x377F0682  # its lowest bit: checksums read big-endian words
PAGE_BYTES_LEAST, PAGE_BYTES_MOST = 512, 65_536  # what SQLite allows

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


@dataclass(frozen=True, slots=True)
class _Log:
    """A log in memory, of which the header is whole."""

    content: bytes
    page_bytes: int
    salts: tuple[int, int]
    checksum: _Sum

    @classmethod
    def of(cls, content: bytes) -> "_Log | None":
        """Return the log, None when its header fails its checksum."""
        if len(content) < _LOG_HEADER.size:
            return None
        magic, _, page_bytes, _, *rest = _LOG_HEADER.unpack_from(content)
        if magic & ~1 != LOG_MAGIC or not PAGE_BYTES_LEAST <= page_bytes <= PAGE_BYTES_MOST:
            return None
        checksum = _Sum(0, 0, is_big_endian=bool(magic & 1))
        checksum.add(content[: _LOG_HEADER.size - 8])
        return (
            cls(content, page_bytes, (rest[0], rest[1]), checksum)
            if (checksum.value == (rest[2], rest[3]))
            else None
        )

    def frames(self) -> Iterator[_Frame]:
        """Yield the headers of all whole frames, of whatever use of the log."""
        size = FRAME_HEADER_BYTES + self.page_bytes
        starts = range(_LOG_HEADER.size, len(self.content) - size + 1, size)
        for number, start in enumerate(starts, start=1):
            page, commit_pages, *rest = _FRAME_HEADER.unpack_from(self.content, start)
            yield _Frame(number, page, commit_pages, (rest[0], rest[1]), (rest[2], rest[3]))

    def _start_of(self, frame: _Frame) -> int:
        return _LOG_HEADER.size + (frame.number - 1) * (FRAME_HEADER_BYTES + self.page_bytes)

    def page_of(self, frame: _Frame) -> bytes:
        start = self._start_of(frame) + FRAME_HEADER_BYTES
        return self.content[start : start + self.page_bytes]

    def is_right(self, frame: _Frame) -> bool:
        """Return whether SQLite uses a frame. Asked in order, up to the first that it does not."""
        if frame.salts != self.salts or not frame.page:
            return False
        start = self._start_of(frame)
        self.checksum.add(self.content[start : start + 8])
        self.checksum.add(self.page_of(frame))
        return self.checksum.value == frame.checksum


def look_at(log: Path) -> LogLook:
    """Return what the bytes of a write-ahead log tell. Raise `OSError` when it cannot be read."""
    try:
        content = log.read_bytes()
    except FileNotFoundError:
        return LogLook(LogState.ABSENT)
    if not content.strip(b"\0"):
        return LogLook(LogState.ABSENT)
    known = _Log.of(content)
    if known is None:
        return LogLook(LogState.NO_HEADER, f"the header of {log.name} is damaged")
    commit, used = None, 0
    frames = list(known.frames())
    for frame in frames:
        if not known.is_right(frame):
            break
        used = frame.number
        if frame.commit_pages:
            commit = frame
    newest = commit.number if commit else 0
    behind = _without_copies(known, frames[newest:], commit)
    if behind and _transactions(behind) > 1:
        sentence = f"{log.name} is damaged at frame {used + 1}; {len(behind)} frames follow it"
        return LogLook(LogState.DAMAGED, sentence)
    if (missing := _frames_in_index(log, known.salts) - newest) > 0:
        sentence = f"{log.name} has lost {missing} frames behind frame {newest}"
        return LogLook(LogState.DAMAGED, sentence)
    if not behind:
        return LogLook(LogState.WHOLE)
    sentence = f"the newest transaction in {log.name} is incomplete, from frame {used + 1} on"
    return LogLook(LogState.TORN, sentence, b"".join(map(known.page_of, behind)))


def _frames_in_index(log: Path, salts: tuple[int, int]) -> int:
    """Return how many frames the newest commit had, by SQLite's index; 0 if it does not say.

    `salts` are those of the log: an index of another use of it says nothing.
    """
    try:
        raw = log.with_name(log.name.removesuffix("-wal") + "-shm").read_bytes()
    except OSError:
        return 0
    if len(raw) < _INDEX_HEADER.size:
        return 0
    *_, frames, _, _, _, first, second, sum1, sum2 = _INDEX_HEADER.unpack_from(raw)
    checksum = _Sum(0, 0, is_big_endian=sys.byteorder == "big")
    checksum.add(raw[: _INDEX_HEADER.size - 8])
    its_salts = struct.unpack(">2I", struct.pack("=2I", first, second))
    is_of_this_log = its_salts == salts and checksum.value == (sum1, sum2)
    return int(frames) if is_of_this_log else 0


def _without_copies(log: _Log, frames: Iterable[_Frame], commit: _Frame | None) -> list[_Frame]:
    """Return the frames with the present salts, without the first ones that repeat a commit."""
    present = [frame for frame in frames if frame.salts == log.salts]
    while present and present[0].is_copy_of(commit):
        del present[0]
    return present


def _transactions(frames: list[_Frame]) -> int:
    """Return how many transactions frames belong to: one ends with its commit and its copies."""
    count, commit = 1, None
    for frame in frames:
        if commit is not None and not frame.is_copy_of(commit):
            count, commit = count + 1, None
        if frame.commit_pages:
            commit = frame
    return count
