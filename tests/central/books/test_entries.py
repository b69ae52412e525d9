"""Entries in the books: by key, by part of an epoch, and those that wait for something."""

from typing import Any

import pytest

from agent.central.books import entries
from agent.central.books.entries import Remark, Span
from agent.central.books.file import FileBooks
from agent.domain.ledger import EntryKey
from tests.parts.booked_entry import entry

WHOLE = Span("t-1", "1-aa", 1, 100)


@pytest.fixture(autouse=True)
def booked(books: FileBooks) -> None:
    with books.transaction():
        for seq in (1, 2, 4):
            entries.add_all(books, [entry(seq)])
        entries.add_all(books, [entry(2, "fork")])
        entries.add_all(books, [entry(1)._replace(terminal="t-2")])
        entries.add_all(books, [entry(1)._replace(epoch="2-aa")])


def test_an_entry_is_found_by_its_whole_key(books: FileBooks) -> None:
    assert entries.find(books, EntryKey("t-1", "1-aa", 2, "fork")) == entry(2, "fork")
    assert entry(2).key == EntryKey("t-1", "1-aa", 2, "h2")
    assert entries.is_booked(books, entry(4).key)
    assert not entries.is_booked(books, entry(3).key)
    assert entries.find(books, EntryKey("t-1", "1-aa", 2, "h1")) is None
    assert entries.count(books) == 6


def test_the_hashes_of_a_span_are_those_of_its_epoch_alone(books: FileBooks) -> None:
    assert entries.hashes(books, WHOLE) == {1: {"h1"}, 2: {"h2", "fork"}, 4: {"h4"}}
    assert entries.hashes(books, WHOLE._replace(first=4)) == {4: {"h4"}}


def test_the_end_of_an_epoch_is_its_own(books: FileBooks) -> None:
    assert entries.newest_seq(books, "t-1", "1-aa") == 4
    assert entries.newest_seq(books, "t-1", "9-aa") == 0
    assert entries.is_booked_after(books, "t-1", "1-aa", 3)
    assert not entries.is_booked_after(books, "t-1", "1-aa", 4)


def test_a_hole_is_an_entry_without_its_parent(books: FileBooks) -> None:
    assert entries.has_hole(books, WHOLE._replace(first=2))
    assert not entries.has_hole(books, WHOLE._replace(first=2, last=3))
    entries.add_all(books, [entry(3)])
    assert not entries.has_hole(books, WHOLE._replace(first=2))


def test_stornos_of_a_span_are_found_by_the_meal_they_undo(books: FileBooks) -> None:
    undoes: dict[str, Any] = {"undoes_epoch": "1-aa", "undoes_seq": 2, "undoes_hash": "h2"}
    entries.add_all(books, [entry(9, kind="storno", **undoes)])
    assert [storno.seq for storno in entries.stornos_of(books, WHOLE)] == [9]
    assert entries.stornos_of(books, WHOLE._replace(first=3)) == []


def test_remarks_are_those_of_flagged_and_set_aside_entries_up_to_the_limit(
    books: FileBooks,
) -> None:
    for seq in (5, 6, 7):
        entries.add_all(books, [entry(seq, status="flagged", reason=f"r{seq}")])
    span = WHOLE._replace(last=6)
    assert [remark.seq for remark in entries.remarks(books, span, 10)] == [5, 6]
    assert entries.remarks(books, span, 1) == [Remark(5, "h5", "flagged", "r5")]


def test_meals_that_wait_for_an_account_are_only_those_set_aside_for_it(books: FileBooks) -> None:
    unknown: dict[str, Any] = {"kind": "unknown_meal", "account": None, "cents": None, "card": "ab"}
    waiting = entry(5, **unknown, status="set_aside", reason="unknown_card; other")
    missing = entry(6, account=None, cents=None, status="set_aside", reason="unknown_account")
    for each in (
        waiting,
        missing,
        entry(7, **unknown, status="set_aside", reason="a meal without day"),
        entry(8, account=None, cents=None, status="set_aside", reason="a meal without day"),
    ):
        entries.add_all(books, [each])
    assert entries.unknown_meals(books, "ab") == [waiting.key]
    assert entries.meals_of_missing_account(books, "a-1") == [missing.key]


def test_what_was_booked_and_the_true_time_change_beside_the_entry(books: FileBooks) -> None:
    unset = entry(5, true_at=None, true_day=None, clock="unset", dated=0, boot="c")
    entries.add_all(books, [unset])
    changed = unset._replace(
        true_at="2026-11-24T11:00:00.000Z",
        true_day="2026-11-24",
        dated=1,
        account="a-2",
        cents=-2,
        status="flagged",
        reason="booked_later; second",
    )
    entries.change_all(books, [changed._replace(body="{}", at=None)])
    assert entries.find(books, unset.key) == changed


def test_a_remark_that_is_sent_again_has_a_new_position(books: FileBooks) -> None:
    entries.send_remarks(books, [entry(1).key, entry(2).key])
    entries.send_remarks(books, [entry(1).key])
    rows = books.rows("SELECT seq, p FROM remark ORDER BY seq")
    assert rows == [(1, 3), (2, 2)]
