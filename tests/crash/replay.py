"""A recorded life, cut at every point: the disks that a cut may leave, opened with the real store and looked at.

What a cut may leave, per file: what was synced; of the writes since, any subset, the last of them also torn at a multiple of 512
bytes; and a 4 KiB block that was being rewritten, damaged whole. Between files nothing is ordered but by syncs. A name is there
after a cut if the folder was synced since it was made, or by chance.

The record cannot show what the kernel writes back by itself (any subset covers it), nor stores into mapped memory: SQLite's -shm,
which no cut keeps.
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
from typing import NamedTuple

from agent.errors import AgentError
from agent.sqlite_file import FAULTS, SqliteFile
from agent.store.database import Database
from agent.store.verify import verify
from tests.crash.workload import MIGRATING, NEWER, fingerprint

SECTOR_BYTES = 512
BLOCK_BYTES = 4096
SUBSETS = 24  # random ones at each point, beside none, all, each alone missing and the torn ones
DATABASE = "t.db"


class Op(NamedTuple):
    """One line of the record: see recorder.c."""

    op: str
    name: str
    offset: int
    data: bytes


def read_record(path: Path) -> list[Op]:
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
    """`synced` is surely on the disk; `since` was asked for after that, in order."""

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


Image = dict[str, bytes]


class Disk:
    """Files by number, names that point to them: a rename moves a name, and is surely there only when the folder was synced."""

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
        """Yield what a cut now may leave."""
        for names in (
            [self.names] if self.names == self.synced_names else [self.names, self.synced_names]
        ):
            shown = {name: self.files[number] for name, number in names.items()}
            waiting = [(name, n) for name, file in shown.items() for n in range(len(file.since))]
            yield self._with(shown, set(waiting))
            if not waiting:
                continue
            yield self._with(shown, set())
            for missing in waiting:
                yield self._with(shown, {one for one in waiting if one != missing})
            for _ in range(SUBSETS):
                yield self._with(shown, {one for one in waiting if draw.random() < 0.5})
            yield from self._torn(shown, waiting, draw)

    def _with(self, shown: dict[str, File], kept: set[tuple[str, int]]) -> Image:
        return {
            name: file.content([op for n, op in enumerate(file.since) if (name, n) in kept])
            for name, file in shown.items()
        }

    def _torn(
        self, shown: dict[str, File], waiting: list[tuple[str, int]], draw: random.Random
    ) -> Iterator[Image]:
        """Yield the newest write of each file torn, with all before it or none; and each block that was being rewritten, damaged."""
        for name, file in shown.items():
            if not file.since or file.since[-1].op != "W":
                continue
            others = {one for one in waiting if one[0] != name}
            last = file.since[-1]
            for end in range(
                SECTOR_BYTES - last.offset % SECTOR_BYTES, len(last.data), SECTOR_BYTES
            ):
                for before in (file.since[:-1], []):
                    image = self._with(shown, others)
                    yield image | {
                        name: file.content([*before, last._replace(data=last.data[:end])])
                    }
                    late = last._replace(offset=last.offset + end, data=last.data[end:])
                    yield image | {name: file.content([*before, late])}
            whole = file.content(file.since)
            for block in sorted({op.offset // BLOCK_BYTES for op in file.since if op.op == "W"}):
                noise = draw.randbytes(min(BLOCK_BYTES, len(whole) - block * BLOCK_BYTES))
                for base in (whole, file.synced):
                    damaged = bytearray(
                        base[: block * BLOCK_BYTES].ljust(block * BLOCK_BYTES, b"\0")
                    )
                    yield self._with(shown, others) | {
                        name: bytes(damaged + noise + base[block * BLOCK_BYTES + len(noise) :])
                    }


@dataclass(slots=True)
class Verdicts:
    """`faults` are sentences, each with how often it was found; `images` distinct disks that were opened."""

    images: int = 0
    faults: dict[str, int] = field(default_factory=dict)


def replay(record: Path, folder: Path, *, every: int = 1, seed: int = 1) -> Verdicts:
    """Cut at every point (or each `every`th), open every disk, and look. `folder` is used for the disks."""
    draw = random.Random(seed)
    ops = read_record(record)
    marks = [json.loads(op.data) for op in ops if op.name == "marks" and op.op == "W"]
    disk, seen, reached = Disk(), set[bytes](), -1
    verdicts = Verdicts()
    for number, op in enumerate(ops):
        if op.name == "marks":
            reached += op.op == "W"
            continue
        disk.do(op)
        if reached < 0 or number % every:
            continue
        migrating = MIGRATING in (mark["done"] for mark in marks[: reached + 1])
        allowed = (
            {marks[-1]["state"]}
            if migrating
            else {mark["state"] for mark in marks[reached : reached + 2]}
        )
        for image in disk.images(draw):
            key = _key(image, reached)
            if key in seen:
                continue
            seen.add(key)
            verdicts.images += 1
            fault = look(image, folder, allowed, migrating=migrating)
            if fault is not None:
                verdicts.faults[fault] = verdicts.faults.get(fault, 0) + 1
    return verdicts


def _key(image: Image, reached: int) -> bytes:
    total = hashlib.sha256(reached.to_bytes(4))
    for name in sorted(image):
        total.update(hashlib.sha256(name.encode() + image[name]).digest())
    return total.digest()


def look(image: Image, folder: Path, allowed: set[str | None], *, migrating: bool) -> str | None:
    """Open a disk with the real store; return what is wrong with it. `allowed` are the states it may be in, None for no ledger yet.

    When it was `migrating`, the newer program opens it, and ends what was begun.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in image.items():
        if name.startswith(DATABASE):
            (folder / name).write_bytes(content)
    existed = (folder / DATABASE).exists()
    if not existed and None not in allowed:
        return "the file is gone"
    try:
        if migrating:
            SqliteFile(folder / DATABASE, NEWER, "rw").close()
            return (
                None if state_of(folder / DATABASE) in allowed else "the migration lost something"
            )
        db = Database(folder / DATABASE, headroom_bytes=0)
    except (AgentError, *FAULTS) as error:
        return f"it does not open: {str(error).partition(': ')[2]}"
    try:
        state = fingerprint(db.sql)
        blank = db.sql.execute("SELECT 1 FROM terminal").fetchone() is None
        if state not in allowed and not (blank and None in allowed):
            return "it holds another state than what was committed, or was being committed"
        (integrity,) = db.sql.execute("PRAGMA integrity_check").fetchone()
        if integrity != "ok":
            return f"integrity_check: {integrity}"
        return next(verify(db), None)
    except (AgentError, *FAULTS) as error:
        return f"it cannot be read: {error}"
    finally:
        db.close()


def state_of(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return fingerprint(connection)
    finally:
        connection.close()
