"""An export holds the whole ledger once, and the mirror's pieces continue where a file ends."""

import itertools
from pathlib import Path

import msgspec
import pytest

from agent.errors import StoreError
from agent.store import writes
from agent.store.rows import Incident
from agent.store.standing import epochs
from agent.sync.ledger_file import LedgerEnd, end_of, read_export
from agent.sync.messages import BATCH_ENTRIES_MAX, Entries, Hello, decode
from agent.sync.topics import Leaf
from agent.terminal.export import pieces, write_export
from agent.terminal.mirror import FILE_BYTES_MAX, Mirror
from tests.parts.process import wait_for
from tests.parts.wire import Wire

CARDS = [f"a:04a1b2c3{n:06x}" for n in range(BATCH_ENTRIES_MAX + 5)]


def with_two_epochs(wire: Wire) -> tuple[str, str]:
    """Serve so many unknown cards, begin an epoch, serve two more; return the epochs' ids."""
    for card in CARDS:
        wire.box.tap(card)
    wire.settle()
    incident = Incident(at=wire.clock.instant, kind="new_epoch", detail="")
    writes.begin_epoch(wire.box.db, "f" * 16, "o-1", incident)
    for card in CARDS[:2]:
        wire.box.tap(card)
    first, second = epochs(wire.box.db)
    return first.base.epoch, second.base.epoch


def seqs(payload: msgspec.Raw) -> list[int]:
    batch = decode(bytes(payload), Entries)
    return [msgspec.json.decode(raw)["seq"] for raw in batch.entries]


def test_every_entry_is_in_the_file_once_and_each_epoch_begins_with_a_hello(
    wire: Wire, tmp_path: Path
) -> None:
    first, second = with_two_epochs(wire)
    file = tmp_path / "t-1.ledger"
    assert write_export(wire.box.db, file) == len(CARDS) + 2
    lines = list(read_export(file))
    leaves = [Leaf.HELLO, Leaf.ENTRIES, Leaf.ENTRIES, Leaf.HELLO, Leaf.ENTRIES]
    assert [line.leaf for line in lines] == leaves
    assert {line.terminal for line in lines} == {"t-1"}
    hellos = [decode(bytes(lines[n].payload), Hello) for n in (0, 3)]
    assert [(hello.epoch, hello.last) for hello in hellos] == [(first, len(CARDS)), (second, 2)]
    assert seqs(lines[1].payload) == list(range(1, BATCH_ENTRIES_MAX + 1))
    assert seqs(lines[2].payload) == list(range(BATCH_ENTRIES_MAX + 1, len(CARDS) + 1))
    assert end_of(file) == LedgerEnd(second, 2)


def test_a_file_is_continued_after_its_last_entry(wire: Wire) -> None:
    first, second = with_two_epochs(wire)
    every = list(pieces(wire.box.db))
    for number, piece in enumerate(every):
        rest = list(pieces(wire.box.db, piece.up_to))
        assert [later.up_to for later in rest] == [later.up_to for later in every[number + 1 :]]
    (middle, *_) = pieces(wire.box.db, LedgerEnd(first, 50))
    assert middle.entries == len(CARDS) - 50 and b'"leaf":"hello"' not in middle.lines
    assert list(pieces(wire.box.db, LedgerEnd(second, 2))) == []


def test_after_a_file_of_an_unknown_epoch_everything_follows(wire: Wire) -> None:
    with_two_epochs(wire)
    every = list(pieces(wire.box.db))
    assert list(pieces(wire.box.db, LedgerEnd("7-00000000000000ff", 3))) == every


def test_the_copy_that_begins_after_a_full_one_has_the_whole_ledger(
    wire: Wire, tmp_path: Path
) -> None:
    """Nothing that the terminal keeps is only in the file that the next one replaces."""
    with_two_epochs(wire)
    every = list(pieces(wire.box.db))
    mirror = Mirror(tmp_path, "t-1", lambda file: None)
    with open(mirror.file, "wb") as full:
        full.seek(FILE_BYTES_MAX)
        full.write(b"\n")  # a sparse file
    before = mirror.file.with_suffix(".ledger.before")
    mirror.start()
    wait_for(lambda: mirror.wants_more, "the full file")
    mirror.put(every[0])
    wait_for(lambda: before.exists() and mirror.wants_more and mirror.at is None, "the new file")
    while rest := list(itertools.islice(pieces(wire.box.db, mirror.at), 1)):
        mirror.put(rest[0])
        wait_for(lambda: mirror.wants_more, "the piece")
    mirror.stop()
    assert mirror.file.read_bytes() == b"".join(piece.lines for piece in every)
    assert end_of(mirror.file) == every[-1].up_to


def test_a_ledger_without_entries_is_an_empty_file(wire: Wire, tmp_path: Path) -> None:
    assert write_export(wire.box.db, tmp_path / "empty") == 0
    assert (tmp_path / "empty").read_bytes() == b""


def test_a_file_that_cannot_be_written_is_named(wire: Wire, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="absent/stick: not written"):
        write_export(wire.box.db, tmp_path / "absent" / "stick")
