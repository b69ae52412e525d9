"""Replay a recorded workload, cut it after every operation, and open each disk that may result.

A cut may leave, per file: all that was synced; any subset of the writes since, where the last write
may be torn at a multiple of 512 bytes; and a rewritten 4 KiB block may be damaged as a whole. Only
syncs order writes to different files. A name survives a cut if its folder was synced after the name
was made. Otherwise it may survive or not.

The recording does not show what the kernel writes back by itself: the subsets cover that. Nor does
it show stores into mapped memory, which is SQLite's -shm file: no cut keeps it.
"""

import hashlib
import json
import random
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from agent.errors import AgentError
from agent.sqlite_file import FAULTS, SqliteFile
from agent.store.database import Database
from agent.store.verify import verify
from agent.store.wal import LogState, look_at
from tests.crash.workload import MIGRATING, NEWER, STATES_FILE, fingerprint

SECTOR_BYTES = 512
BLOCK_BYTES = 4096
# Random subsets at each cut, besides all writes, none, all but each single one, and the torn ones.
SUBSETS = 24
SEED = 1  # of the random subsets
DATABASE = "t.db"

Image = dict[str, bytes]  # name -> content


class Op(NamedTuple):
    """One operation of the recording. recorder.c defines the letters of `op`."""

    op: str
    name: str
    offset: int
    data: bytes


class Write(NamedTuple):
    """A write that no sync has followed yet: the file's name and its number in `File.since`."""

    name: str
    number: int


def read_recording(path: Path) -> list[Op]:
    raw, at, ops = path.read_bytes(), 0, []
    while at < len(raw):
        op, name_length = chr(raw[at]), raw[at + 1]
        name = raw[at + 2 : at + 2 + name_length].decode()
        offset, length = struct.unpack_from("<QQ", raw, at + 2 + name_length)
        at += 2 + name_length + 16
        data = raw[at : at + length] if op in "WR" else b""
        at += len(data)
        ops.append(Op(op, name, offset, data))
    return ops


@dataclass(slots=True)
class File:
    """`synced` survives a cut. `since` are the writes after the last sync, in order."""

    synced: bytes = b""
    since: list[Op] = field(default_factory=list)

    def content(self, kept: list[Op]) -> bytes:
        content = bytearray(self.synced)
        for op in kept:
            if op.op == "T":
                del content[op.offset :]
                content.extend(bytes(op.offset - len(content)))
            else:
                content.extend(bytes(max(0, op.offset - len(content))))
                content[op.offset : op.offset + len(op.data)] = op.data
        return bytes(content)


class Disk:
    """Numbered files and the names that point to them. A rename moves a name."""

    def __init__(self) -> None:
        self.files: list[File] = []
        self.names: dict[str, int] = {}
        self.synced_names: dict[str, int] = {}

    def do(self, op: Op) -> None:
        match op.op:
            case "C":
                self.files.append(File())
                self.names[op.name] = len(self.files) - 1
            case "W" | "T":
                self.files[self.names[op.name]].since.append(op)
            case "S":
                file = self.files[self.names[op.name]]
                file.synced, file.since = file.content(file.since), []
            case "D":
                self.synced_names = dict(self.names)
            case "U":
                self.names.pop(op.name, None)
            case "R":
                self.names[op.data.decode()] = self.names.pop(op.name)

    def images(self, draw: random.Random) -> Iterator[Image]:
        """Yield each disk that a cut at this point may leave."""
        both = [self.names, self.synced_names]
        for names in both[:1] if self.names == self.synced_names else both:
            files = {name: self.files[number] for name, number in names.items()}
            writes = [
                Write(name, n) for name, file in files.items() for n in range(len(file.since))
            ]
            yield _image(files, set(writes))
            if not writes:
                continue
            yield _image(files, set())
            for missing in writes:
                yield _image(files, {write for write in writes if write != missing})
            for _ in range(SUBSETS):
                yield _image(files, {write for write in writes if draw.random() < 0.5})
            for name, file in files.items():
                if file.since and file.since[-1].op == "W":
                    others = _image(files, {write for write in writes if write.name != name})
                    for content in (*_torn(file), *_damaged(file, draw)):
                        yield others | {name: content}


def _image(files: dict[str, File], kept: set[Write]) -> Image:
    """Return a disk that has kept these writes since the last sync, and lost all others."""
    return {
        name: file.content([op for n, op in enumerate(file.since) if Write(name, n) in kept])
        for name, file in files.items()
    }


def _torn(file: File) -> Iterator[bytes]:
    """Yield contents with the newest write torn, after all writes before it or after none."""
    last = file.since[-1]
    first_end = SECTOR_BYTES - last.offset % SECTOR_BYTES
    for end in range(first_end, len(last.data), SECTOR_BYTES):
        for before in (file.since[:-1], []):
            yield file.content([*before, last._replace(data=last.data[:end])])
            tail = last._replace(offset=last.offset + end, data=last.data[end:])
            yield file.content([*before, tail])


def _damaged(file: File, draw: random.Random) -> Iterator[bytes]:
    """Yield contents in which noise replaces one block that was being rewritten."""
    whole = file.content(file.since)
    for block in sorted({op.offset // BLOCK_BYTES for op in file.since if op.op == "W"}):
        begin = block * BLOCK_BYTES
        noise = draw.randbytes(min(BLOCK_BYTES, len(whole) - begin))
        for base in (whole, file.synced):
            yield base[:begin].ljust(begin, b"\0") + noise + base[begin + len(noise) :]


class Judge(Protocol):
    """Opens a disk and returns what is wrong with it, or None."""

    def __call__(
        self, image: Image, folder: Path, allowed: set[str | None], *, is_migrating: bool
    ) -> str | None: ...


@dataclass(slots=True)
class Result:
    """`images` distinct disks were opened. `faults` are sentences with how often each occurred."""

    images: int = 0
    faults: dict[str, int] = field(default_factory=dict)


def replay(
    recording: Path,
    folder: Path,
    *,
    every: int = 1,
    until_fault: bool = False,
    judge: Judge | None = None,
) -> Result:
    """Cut after every operation, or every `every`th, and check each disk that may result.

    `folder` is used for the disks. With `until_fault` the first fault ends the replay. `judge` is
    `fault_of`, or its like for another kind of file.
    """
    draw = random.Random(SEED)
    ops = read_recording(recording)
    states = [json.loads(op.data) for op in ops if op.name == STATES_FILE and op.op == "W"]
    disk, seen, reached = Disk(), set[bytes](), -1
    result = Result()
    for number, op in enumerate(ops):
        if op.name == STATES_FILE:
            reached += op.op == "W"
            continue
        disk.do(op)
        if reached < 0 or number % every:
            continue
        is_migrating = MIGRATING in (state["done"] for state in states[: reached + 1])
        # The transaction that was being committed may be on the disk or not.
        possible = states[-1:] if is_migrating else states[reached : reached + 2]
        allowed = {state["state"] for state in possible}
        for image in disk.images(draw):
            key = _key(image, reached)
            if key in seen:
                continue
            seen.add(key)
            result.images += 1
            fault = (judge or fault_of)(image, folder, allowed, is_migrating=is_migrating)
            if fault is not None:
                result.faults[fault] = result.faults.get(fault, 0) + 1
                if until_fault:
                    return result
    return result


def _key(image: Image, reached: int) -> bytes:
    total = hashlib.sha256(reached.to_bytes(4))
    for name in sorted(image):
        total.update(hashlib.sha256(name.encode() + image[name]).digest())
    return total.digest()


def fault_of(
    image: Image, folder: Path, allowed: set[str | None], *, is_migrating: bool
) -> str | None:
    """Open a disk with the real store. Return what is wrong with it, or None.

    `allowed` are the states it may be in; None stands for no ledger yet. If the cut came during the
    migration, the newer program opens the disk and completes the migration.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in image.items():
        if name.startswith(DATABASE):
            (folder / name).write_bytes(content)
    path = folder / DATABASE
    if not path.exists() and None not in allowed:
        return "the file is missing"
    try:
        look = look_at(path.with_name(f"{DATABASE}-wal"))
        if look.state is LogState.DAMAGED:
            return f"a cut looks like damage: {look.reason}"
        if is_migrating:
            SqliteFile(path, NEWER, "rw").close()
            return None if state_of(path) in allowed else "the migration lost something"
        db = Database(path, headroom_bytes=0)
    except (AgentError, *FAULTS) as error:
        return f"the file does not open: {str(error).partition(': ')[2]}"
    try:
        return _fault_in(db, allowed)
    except (AgentError, *FAULTS) as error:
        return f"the file cannot be read: {error}"
    finally:
        db.close()


def _fault_in(db: Database, allowed: set[str | None]) -> str | None:
    state = fingerprint(db.sql)
    is_blank = db.sql.execute("SELECT 1 FROM terminal").fetchone() is None
    if state not in allowed and not (is_blank and None in allowed):
        return "the rows are neither those committed nor those being committed"
    (integrity,) = db.sql.execute("PRAGMA integrity_check").fetchone()
    if integrity != "ok":
        return f"integrity_check: {integrity}"
    return next(verify(db), None)


def state_of(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return fingerprint(connection)
    finally:
        connection.close()
