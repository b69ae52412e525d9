"""The second copy on another medium: it follows, repairs its end, rolls over, and stops nobody."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.sync.ledger_file import LedgerEnd
from agent.terminal.export import Piece
from agent.terminal.mirror import FILE_BYTES_MAX, NOT_OPENED, TAIL_BYTES, Mirror
from tests.crash.recording import record_code
from tests.crash.replay import read_recording
from tests.parts.process import wait_for

EPOCH = "1-0123456789abcdef"
Start = Callable[[], Mirror]


def piece(seq: int, lines: bytes = b"line\n") -> Piece:
    return Piece(lines, 1, LedgerEnd(EPOCH, seq))


def count_lines(file: Path) -> LedgerEnd | None:
    """Take the number of lines of a file for its last entry."""
    count = file.read_bytes().count(b"\n")
    return LedgerEnd(EPOCH, count) if count else None


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    mirrors: list[Mirror] = []

    def start_mirror() -> Mirror:
        mirror = Mirror(tmp_path, "t-1", count_lines)
        mirrors.append(mirror)
        mirror.start()
        wait_for(lambda: mirror.fault is None, "the mirror to open its file")
        return mirror

    yield start_mirror
    for mirror in mirrors:
        mirror.stop()


def write(mirror: Mirror, written: Piece) -> None:
    mirror.put(written)
    wait_for(lambda: mirror.at == written.up_to, "the piece on the medium", 60)


def test_pieces_are_appended_and_the_end_is_known(start: Start) -> None:
    mirror = start()
    assert mirror.at is None and mirror.wants_more
    write(mirror, piece(1, b"first\n"))
    write(mirror, piece(2, b"second\n"))
    assert mirror.file.name == "t-1.ledger"
    assert mirror.file.read_bytes() == b"first\nsecond\n"


def test_a_piece_is_on_the_medium_before_the_mirror_says_so(tmp_path: Path) -> None:
    code = """
from agent.sync.ledger_file import LedgerEnd
from agent.terminal.export import Piece
from agent.terminal.mirror import Mirror
from tests.parts.process import wait_for

mirror = Mirror(disk, "t-1", lambda file: None)
mirror.start()
for seq in (1, 2):
    wait_for(lambda: mirror.wants_more, "the mirror")
    piece = Piece(b"line\\n", 1, LedgerEnd("1-0123456789abcdef", seq))
    mirror.put(piece)
    wait_for(lambda: mirror.at == piece.up_to, "the piece on the medium")
    (disk / f"seen-{seq}").touch()
mirror.stop()
"""
    ops = [(op.op, op.name) for op in read_recording(record_code(tmp_path, code))]
    order = [each for each in ops if each[0] in "WS" or each[1].startswith("seen")]
    assert order == [
        ("W", "t-1.ledger"),
        ("S", "t-1.ledger"),
        ("C", "seen-1"),
        ("W", "t-1.ledger"),
        ("S", "t-1.ledger"),
        ("C", "seen-2"),
    ]


def test_each_piece_is_written_once_however_often_it_is_asked(start: Start) -> None:
    """The main loop asks at every turn, also while the medium writes."""
    mirror, count = start(), 300
    seq = 0
    while seq < count:
        if mirror.wants_more:
            seq = mirror.at.seq if mirror.at else 0
            mirror.put(piece(seq + 1, b"%d\n" % (seq + 1)))
    wait_for(lambda: mirror.wants_more, "the last piece")
    assert mirror.file.read_bytes() == b"".join(b"%d\n" % n for n in range(1, count + 2))


def test_a_file_is_continued_after_a_restart(start: Start) -> None:
    first = start()
    write(first, piece(1, b"first\n"))
    first.stop()
    second = start()
    assert second.at == LedgerEnd(EPOCH, 1)
    write(second, piece(2, b"second\n"))
    assert second.file.read_bytes() == b"first\nsecond\n"


@pytest.mark.parametrize("torn_bytes", [3, TAIL_BYTES - 1])
def test_a_torn_last_line_is_removed(start: Start, tmp_path: Path, torn_bytes: int) -> None:
    """A power cut leaves it. The next piece must begin on a line of its own."""
    (tmp_path / "t-1.ledger").write_bytes(b"first\n" + b"x" * torn_bytes)
    mirror = start()
    assert (mirror.at, mirror.file.read_bytes()) == (LedgerEnd(EPOCH, 1), b"first\n")


def test_a_torn_first_line_is_removed(start: Start, tmp_path: Path) -> None:
    (tmp_path / "t-1.ledger").write_bytes(b"torn")
    mirror = start()
    assert (mirror.at, mirror.file.read_bytes()) == (None, b"")


def last_line(file: Path) -> bytes:
    if not file.exists():
        return b""
    with open(file, "rb") as content:
        content.seek(-2, os.SEEK_END)
        return content.read()


def test_beyond_file_bytes_max_a_new_file_is_begun_and_the_one_before_is_kept(
    start: Start,
) -> None:
    mirror = start()
    before = mirror.file.with_suffix(".ledger.before")
    for seq, line in ((1, b"a\n"), (2, b"b\n")):
        os.truncate(mirror.file, FILE_BYTES_MAX)  # a sparse file: the medium of a test is small
        mirror.put(piece(seq, line))
        wait_for(lambda: last_line(before) == line, "the full file", 60)  # noqa: B023
        wait_for(lambda: mirror.at is None and mirror.wants_more, "the new file")
        assert before.stat().st_size == FILE_BYTES_MAX + len(line)
        assert mirror.file.stat().st_size == 0
    write(mirror, piece(3))
    assert sorted(os.listdir(mirror.file.parent)) == ["t-1.ledger", "t-1.ledger.before"]


def test_a_file_of_file_bytes_max_is_not_yet_full(start: Start, tmp_path: Path) -> None:
    with open(tmp_path / "t-1.ledger", "wb") as file:
        file.seek(FILE_BYTES_MAX - len(b"line\n\n"))
        file.write(b"\n")  # a sparse file: one line that is almost as long
    mirror = start()
    write(mirror, piece(2, b"line\n"))
    assert mirror.file.stat().st_size == FILE_BYTES_MAX
    mirror.put(piece(3, b"line\n"))
    wait_for(mirror.file.with_suffix(".ledger.before").exists, "the full file")


def test_a_replaced_medium_is_a_fault_and_nothing_is_written_to_the_old_one(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = start()
    write(mirror, piece(1))
    mirror.file.rename(tmp_path / "pulled")
    mirror.file.touch()
    mirror.put(piece(2))
    wait_for(lambda: mirror.fault is not None, "the fault")
    assert str(mirror.fault).endswith("the medium was replaced") and not mirror.wants_more
    assert (tmp_path / "pulled").read_bytes() == b"line\n"
    assert caplog.text.count("meals go on without a second copy") == 1


def test_a_missing_medium_is_a_fault_with_a_reason(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "absent", "t-1", count_lines)
    assert mirror.fault == NOT_OPENED and not mirror.wants_more
    mirror.start()
    wait_for(lambda: mirror.fault != NOT_OPENED, "the fault")
    mirror.stop()
    assert str(mirror.fault).endswith("No such file or directory")
