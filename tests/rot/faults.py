"""Random faults of a disk, as changes of files in memory."""

import random
from collections.abc import Callable

from agent.store.schema import PAGE_BYTES
from tests.rot.victim import Files, Victim

SECTOR_BYTES, BLOCK_BYTES = 512, 4096
HEADER_BYTES = 100
# In the header of a page: its kind, and where the number of its cells is (sqlite.org/fileformat2).
TREES, CELLS_AT = (2, 5, 10, 13), 3

Fault = Callable[[Victim, random.Random], Files]


def _bit(end: str, *, has_index: bool = True) -> Fault:
    def fault(victim: Victim, draw: random.Random) -> Files:
        content = bytearray(victim.files[end])
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        return _with(victim, end, bytes(content), has_index=has_index)

    return fault


def _piece(end: str, size: int, *, is_noise: bool) -> Fault:
    def fault(victim: Victim, draw: random.Random) -> Files:
        content = bytearray(victim.files[end])
        start = draw.randrange(len(content) // size) * size
        content[start : start + size] = draw.randbytes(size) if is_noise else bytes(size)
        return _with(victim, end, bytes(content[: len(victim.files[end])]))

    return fault


def _cut(end: str) -> Fault:
    def fault(victim: Victim, draw: random.Random) -> Files:
        content = victim.files[end]
        return _with(victim, end, content[: draw.randrange(len(content))])

    return fault


def _header_bit(victim: Victim, draw: random.Random) -> Files:
    """Flip a bit of the file's header. The log's first page is gone with the log."""
    content = bytearray(victim.whole)
    content[draw.randrange(HEADER_BYTES)] ^= 1 << draw.randrange(8)
    return {"": bytes(content)}


def _cells(victim: Victim, draw: random.Random) -> Files:
    """Change the number of cells of a page that is a tree's, as its header tells it."""
    content = bytearray(victim.whole)
    trees = [at for at in range(0, len(content), PAGE_BYTES) if content[at] in TREES]
    at = draw.choice(trees) + CELLS_AT
    content[at : at + 2] = draw.randrange(
        2 * int.from_bytes(content[at : at + 2], "big") + 2
    ).to_bytes(2, "big")
    return {"": bytes(content)}


def _with(victim: Victim, end: str, content: bytes, *, has_index: bool = True) -> Files:
    files = victim.files | {end: content}
    return files if has_index else {name: raw for name, raw in files.items() if name != "-shm"}


def _earlier_log(victim: Victim, draw: random.Random) -> Files:
    return _with(victim, "-wal", victim.earlier_log)


FAULTS: dict[str, Fault] = {
    "one bit of the log": _bit("-wal"),
    "one bit of the log, without its index": _bit("-wal", has_index=False),
    "one bit of the file": _bit(""),
    "one bit of the header of a file without a log": _header_bit,
    "a wrong number of cells in a file without a log": _cells,
    "one bit of the index": _bit("-shm"),
    "a sector of zeros in the log": _piece("-wal", SECTOR_BYTES, is_noise=False),
    "a sector of zeros in the file": _piece("", SECTOR_BYTES, is_noise=False),
    "4 KiB of noise in the log": _piece("-wal", BLOCK_BYTES, is_noise=True),
    "4 KiB of noise in the file": _piece("", BLOCK_BYTES, is_noise=True),
    "the log is cut": _cut("-wal"),
    "the file is cut": _cut(""),
    "an earlier state of the log": _earlier_log,
}
