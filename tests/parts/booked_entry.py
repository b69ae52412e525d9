"""A booked entry as the books hold it, for tests that need no terminal."""

from typing import Any

from agent.central.books.entries import BookedEntry


def entry(seq: int, digest: str = "", **changes: Any) -> BookedEntry:
    """Return a meal of a-1 of terminal t-1, with some columns changed."""
    plain = BookedEntry(
        terminal="t-1",
        epoch="1-aa",
        seq=seq,
        hash=digest or f"h{seq}",
        prev=f"h{seq - 1}",
        kind="meal",
        at="2026-11-23T11:00:00.000Z",
        boot="b",
        mono_ms=1,
        clock="synced",
        service="lunch",
        card=None,
        true_at="2026-11-23T11:00:00.000Z",
        true_day="2026-11-23",
        account="a-1",
        cents=-366,
        undoes_epoch=None,
        undoes_seq=None,
        undoes_hash=None,
        status="applied",
        reason="",
        body='{"account":"a-1"}',
        dated=1,
    )
    return plain._replace(**changes)
