"""Reads the raw bytes of a ledger and its log into memory. Writes nothing, and leaves nothing.

Copies on a disk would need room on one that may be full or read-only, and would stay there after a
kill, with what they say of children.
"""

from pathlib import Path
from typing import NamedTuple

from agent.errors import StoreError
from agent.store.viewing import is_open
from agent.store.wal import Committed, committed, up_to_commit

# Of file and log together. A ledger of 100,000 accounts has a tenth of it; a Pi has this much.
RAW_BYTES_MAX = 256 * 1024 * 1024
TRIES_MAX = 10  # the log begins again once in some hundred taps


class RawLedger(NamedTuple):
    """The bytes of a file and of its log, empty for what is not there; and its log's index."""

    file: bytes
    log: bytes
    committed: Committed | None = None


def read_raw(path: Path) -> RawLedger:
    """Return the bytes of a ledger that no program has open. Raise `StoreError`."""
    log = path.with_name(f"{path.name}-wal")
    try:
        sizes = {source: source.stat().st_size for source in (path, log) if source.exists()}
        if sum(sizes.values()) > RAW_BYTES_MAX:
            largest = max(sizes, key=lambda source: sizes[source])
            raise StoreError(
                f"{largest}: has {sizes[largest] / 1_000_000:,.0f} MB; no more than"
                f" {RAW_BYTES_MAX / 1_000_000:,.0f} MB are searched for entries"
            )
        file, content = (source.read_bytes() if source in sizes else b"" for source in (path, log))
        return RawLedger(file, content)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error


def read_raw_beside_writer(path: Path) -> RawLedger:
    """Return the bytes of a ledger that an agent may have open: nothing that it still writes.

    No connection of this process may have it open: the end of any descriptor of a file drops the
    process's locks on it (sqlite.org/howtocorrupt.html, 2.2). Raise `StoreError`.
    """
    log = path.with_name(f"{path.name}-wal")
    for _ in range(TRIES_MAX):
        was_open, before = is_open(path), committed(log)
        raw = read_raw(path)
        after = committed(log)
        if is_open(path) != was_open:
            continue
        if not was_open:
            return raw._replace(committed=before)
        # With the same salts, the log was not begun again meanwhile.
        if before is not None and after is not None and before.salts == after.salts:
            return RawLedger(raw.file, up_to_commit(raw.log, before), before)
    raise StoreError(f"{path}: changes while it is read; try again while nobody taps")
