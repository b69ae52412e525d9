"""Entries in the books: by key, by part of an epoch, and those that wait for something."""

from typing import Any

import pytest

from agent.central.books import entries
from agent.central.books.boots import Boot
from agent.central.books.entries import BookedEntry, Remark, Span
from agent.central.books.file import Books
from agent.domain.ledger import EntryKey

WHOLE = Span("t-1", "1-aa", 1, 100)


def entry(seq: int, digest: str = "", **changes: Any) -> BookedEntry:
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


@pytest.fixture(autouse=True)
def booked(books: Books) -> None:
    with books.transaction():
        for seq in (1, 2, 4):
            entries.add(books, entry(seq))
        entries.add(books, entry(2, "fork"))
        entries.add(books, entry(1)._replace(terminal="t-2"))
        entries.add(books, entry(1)._replace(epoch="2-aa"))


def test_an_entry_is_found_by_its_whole_key(books: Books) -> None:
    assert entries.find(books, EntryKey("t-1", "1-aa", 2, "fork")) == entry(2, "fork")
    assert entry(2).key == EntryKey("t-1", "1-aa", 2, "h2")
    assert entries.is_booked(books, entry(4).key)
    assert not entries.is_booked(books, entry(3).key)
    assert entries.find(books, EntryKey("t-1", "1-aa", 2, "h1")) is None
    assert entries.count(books) == 6


def test_the_hashes_of_a_span_are_those_of_its_epoch_alone(books: Books) -> None:
    assert entries.hashes(books, WHOLE) == {1: {"h1"}, 2: {"h2", "fork"}, 4: {"h4"}}
    assert entries.hashes(books, WHOLE._replace(first=4)) == {4: {"h4"}}


def test_the_end_of_an_epoch_is_its_own(books: Books) -> None:
    assert entries.newest_seq(books, "t-1", "1-aa") == 4
    assert entries.newest_seq(books, "t-1", "9-aa") == 0
    assert entries.is_booked_after(books, "t-1", "1-aa", 3)
    assert not entries.is_booked_after(books, "t-1", "1-aa", 4)


def test_a_hole_is_an_entry_without_its_parent(books: Books) -> None:
    assert entries.has_hole(books, WHOLE._replace(first=2))
    assert not entries.has_hole(books, WHOLE._replace(first=2, last=3))
    entries.add(books, entry(3))
    assert not entries.has_hole(books, WHOLE._replace(first=2))


def test_stornos_of_a_span_are_found_by_the_meal_they_undo(books: Books) -> None:
    undoes: dict[str, Any] = {"undoes_epoch": "1-aa", "undoes_seq": 2, "undoes_hash": "h2"}
    entries.add(books, entry(9, kind="storno", **undoes))
    assert entries.undone_seqs(books, WHOLE) == {2}
    assert entries.undone_seqs(books, WHOLE._replace(first=3)) == set()


def test_remarks_are_those_of_flagged_and_set_aside_entries_up_to_the_limit(books: Books) -> None:
    for seq in (5, 6, 7):
        entries.add(books, entry(seq, status="flagged", reason=f"r{seq}"))
    span = WHOLE._replace(last=6)
    assert [remark.seq for remark in entries.remarks(books, span, 10)] == [5, 6]
    assert entries.remarks(books, span, 1) == [Remark(5, "h5", "flagged", "r5")]


def test_meals_that_wait_for_an_account_are_only_those_set_aside_for_it(books: Books) -> None:
    unknown: dict[str, Any] = {"kind": "unknown_meal", "account": None, "cents": None, "card": "ab"}
    waiting = entry(5, **unknown, status="set_aside", reason="unknown_card; other")
    missing = entry(6, account=None, cents=None, status="set_aside", reason="unknown_account")
    for each in (
        waiting,
        missing,
        entry(7, **unknown, status="set_aside", reason="a meal without day"),
        entry(8, account=None, cents=None, status="set_aside", reason="a meal without day"),
    ):
        entries.add(books, each)
    assert entries.unknown_meals(books, "ab") == [waiting]
    assert entries.meals_of_missing_account(books, "a-1") == [missing]


def test_what_was_booked_and_the_true_time_change_beside_the_entry(books: Books) -> None:
    unset = entry(5, true_at=None, true_day=None, clock="unset", dated=0, boot="c")
    entries.add(books, unset)
    assert entries.of_boot(books, Boot("t-1", "c")) == [unset]
    assert entries.undated(books, Boot("t-1", "c"), 1) == [unset]
    assert entries.undated(books, Boot("t-1", "c"), 0) == []
    entries.set_true_time(books, unset.key, "2026-11-24T11:00:00.000Z", "2026-11-24", is_dated=True)
    entries.set_booking(books, unset._replace(account="a-2", cents=-1, reason="booked_later"))
    entries.set_cents(books, unset.key, -2)
    entries.flag(books, unset.key, "second")
    now = entries.find(books, unset.key)
    assert now is not None and entries.undated(books, Boot("t-1", "c"), 1) == []
    assert entries.of_boot(books, Boot("t-1", "c")) == [now]
    assert (now.true_day, now.account, now.cents) == ("2026-11-24", "a-2", -2)
    assert (now.status, now.reason) == ("flagged", "booked_later; second")
    assert (now.at, now.body) == (unset.at, unset.body)


def test_a_first_reason_has_no_separator(books: Books) -> None:
    entries.flag(books, entry(1).key, "only")
    now = entries.find(books, entry(1).key)
    assert now is not None and now.reason == "only"


def test_entries_of_other_boots_that_are_later_or_have_no_time_are_judged_again(
    books: Books,
) -> None:
    noon, later = "2026-11-23T11:00:00.000Z", "2026-11-25T11:00:00.000Z"
    wrong = entry(11, true_at=later, boot="c")
    ahead = entry(12, true_at=None, true_day=None, dated=0, boot="c")
    for each in (
        wrong,
        ahead,
        entry(13, true_at=noon, boot="c"),
        entry(14, true_at=later, boot="own"),
        entry(15, true_at=None, clock="unset", boot="c"),
    ):
        entries.add(books, each)
    assert entries.to_judge_again(books, Boot("t-1", "own"), noon) == [wrong, ahead]
