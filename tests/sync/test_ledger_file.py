"""An exported ledger is read line by line, up to the first damaged line."""

from pathlib import Path

import pytest
from msgspec import Raw

from agent.domain.clock import ClockTrust
from agent.domain.ledger import SEQ_MAX, Entry, Flag, How, Kind, Reversed, canonical
from agent.errors import AgentError
from agent.sync.ledger_file import LINE_BYTES_MAX, LedgerEnd, encode_line, end_of, read_export
from agent.sync.messages import BATCH_ENTRIES_MAX, Entries, encode
from agent.sync.topics import Leaf

EPOCH = "999999999-0123456789abcdef"
HASH = "f" * 64


def batch(*seqs: int) -> bytes:
    entries = [Raw(b'{"seq":%d}' % seq) for seq in seqs]
    return encode_line(
        "t-1", Leaf.ENTRIES, encode(Entries(epoch=EPOCH, prev=HASH, entries=entries))
    )


def file_of(folder: Path, *lines: bytes) -> Path:
    file = folder / "t-1.ledger"
    file.write_bytes(b"".join(lines))
    return file


def lines_before_damage(file: Path) -> tuple[int, str]:
    """Return how many lines were read, and the sentence about the damaged one."""
    count = 0
    with pytest.raises(AgentError) as raised:
        for _ in read_export(file):
            count += 1
    return count, str(raised.value)


def test_a_line_comes_back_as_it_was_written(tmp_path: Path) -> None:
    payload = b'{"epoch":"1-0123456789abcdef"}'
    (line,) = read_export(file_of(tmp_path, encode_line("t-1", Leaf.HELLO, payload)))
    assert (line.terminal, line.leaf, bytes(line.payload)) == ("t-1", Leaf.HELLO, payload)


@pytest.mark.parametrize("torn", [b'{"terminal":"t-1","le', b"\xff\n", b"[]\n", b"\0" * 100])
def test_the_lines_before_a_damaged_one_are_read(tmp_path: Path, torn: bytes) -> None:
    count, sentence = lines_before_damage(file_of(tmp_path, batch(1), batch(2), torn))
    assert count == 2
    assert "line 3 is damaged" in sentence and "the lines before it were read" in sentence


def test_a_line_longer_than_line_bytes_max_is_damaged(tmp_path: Path) -> None:
    """It is never read whole: a stick may hold a file of any size."""
    room = LINE_BYTES_MAX - len(encode_line("t-1", Leaf.HELLO, b'""'))
    fitting = encode_line("t-1", Leaf.HELLO, b'"' + b"x" * room + b'"')
    too_long = encode_line("t-1", Leaf.HELLO, b'"' + b"x" * (room + 2) + b'"')
    assert len(list(read_export(file_of(tmp_path, fitting)))) == 1
    count, sentence = lines_before_damage(file_of(tmp_path, fitting, too_long))
    assert (count, "line 2 is damaged" in sentence) == (1, True)


def test_a_batch_of_the_largest_entries_fits_a_line() -> None:
    entry = Entry(
        seq=SEQ_MAX,
        kind=Kind.STORNO,
        cents=100_000,
        at="2026-11-23T11:02:05.331Z",
        clock=ClockTrust.SYNCED,
        boot="b" * 36,
        mono_ms=10**12,
        how=How.MANUAL,
        account="a" * 64,
        card="c" * 32,
        service="s" * 64,
        day="2026-11-23",
        assurance="u" * 32,
        flags=list(Flag),
        reverses=Reversed(epoch=EPOCH, seq=SEQ_MAX, hash=HASH),
        hash=HASH,
    )
    entries = [Raw(canonical(entry))] * BATCH_ENTRIES_MAX
    message = encode(Entries(epoch=EPOCH, prev=HASH, entries=entries))
    assert len(encode_line("t" * 64, Leaf.ENTRIES, message)) < LINE_BYTES_MAX


def test_the_end_of_a_file_is_its_last_entry(tmp_path: Path) -> None:
    hello = encode_line("t-1", Leaf.HELLO, b"{}")
    assert end_of(file_of(tmp_path, hello)) is None
    assert end_of(file_of(tmp_path, hello, batch(1, 2), batch(3, 4))) == LedgerEnd(EPOCH, 4)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"absent\.ledger: cannot be read"):
        list(read_export(tmp_path / "absent.ledger"))
