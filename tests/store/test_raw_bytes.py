"""The bytes of a ledger, beside a writer as well, and a limit with a sentence."""

from pathlib import Path

import pytest

from agent.errors import StoreError
from agent.store.raw_bytes import (
    RAW_BYTES_MAX,
    TRIES_MAX,
    RawLedger,
    read_raw,
    read_raw_beside_writer,
)
from tests.store.damaged_ledger import beside
from tests.store.writer import writing


def test_the_bytes_of_what_is_not_there_are_empty(tmp_path: Path) -> None:
    assert read_raw(tmp_path / "t.db") == RawLedger(b"", b"")
    (tmp_path / "t.db-wal").write_bytes(b"log")
    assert read_raw_beside_writer(tmp_path / "t.db") == RawLedger(b"", b"log")


def test_no_more_than_raw_bytes_max_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    path.write_bytes(b"?")
    with open(beside(path, "-wal"), "wb") as log:
        log.truncate(RAW_BYTES_MAX - 1)  # sparse
        assert len(read_raw(path).log) == RAW_BYTES_MAX - 1
        log.truncate(3_000_000_000)
    with pytest.raises(
        StoreError, match=r"t\.db-wal: has 3,000 MB; no more than 268 MB are searched"
    ):
        read_raw(path)


def test_beside_a_writer_no_frame_is_read_that_it_still_writes(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with writing(path, meals=3):
        log = beside(path, "-wal")
        raw = read_raw_beside_writer(path)
        assert raw.committed is not None and log.read_bytes() == raw.log
        with open(log, "ab") as more:
            more.write(b"a frame of a transaction that goes on")
        assert read_raw_beside_writer(path).log == raw.log


def test_an_index_that_is_never_whole_is_given_up_after_tries_max(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with writing(path, meals=1):
        with open(beside(path, "-shm"), "r+b") as index:
            index.write(bytes(96))
        with pytest.raises(StoreError, match="changes while it is read; try again"):
            read_raw_beside_writer(path)
    assert TRIES_MAX > 1
