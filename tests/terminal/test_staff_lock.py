"""A staff card unlocks corrections for three minutes, and its account is in each entry."""

from datetime import timedelta
from pathlib import Path

import pytest

from agent.central.books import accounts
from agent.central.books.accounts import Account
from agent.central.office.cards import block_card
from agent.domain.card import card_token, parse_card_id
from agent.domain.ledger import Kind, RefusalReason
from agent.readers.events import Signal
from agent.terminal.staff_lock import UNLOCKED_MS
from tests.conftest import CARD
from tests.parts.roster import load_roster
from tests.parts.wire import KEY, SITE, Wire

STAFF_CARD = "a:04c00c00112233"
CORRECTIONS: list[tuple[str, dict[str, object]]] = [
    ("storno", {"seq": 1}),
    ("meal", {"account": "a-2"}),
    ("meal", {"account": "a-2", "day": "2026-11-20"}),
    ("closing", {"trays": 2}),
    ("credit", {"account": "a-1"}),
]
LOCKED = "locked: hold a staff card to the reader; it unlocks for 3 minutes"


@pytest.fixture
def locked(wire: Wire) -> Wire:
    """A terminal that needs a staff card, where one child ate."""
    with wire.central.books.transaction():
        accounts.add(wire.central.books, Account("cook", SITE, "staff", "active", None))
    wire.central.assign(STAFF_CARD, "cook")
    wire.settle()
    wire.box.needs_staff_card = True
    wire.box.restart()
    wire.connect()
    wire.box.tap(CARD)
    return wire


@pytest.mark.parametrize(("do", "arguments"), CORRECTIONS)
def test_a_correction_needs_a_staff_card_of_the_last_three_minutes(
    locked: Wire, do: str, arguments: dict[str, object]
) -> None:
    assert locked.box.ask(do, **arguments) == {"error": LOCKED, "locked": True}
    assert len(locked.box.entries()) == 1
    locked.box.tap(STAFF_CARD)
    locked.clock.pass_ms(UNLOCKED_MS)
    assert locked.box.ask(do, **arguments) == {"error": LOCKED, "locked": True}
    locked.box.tap(STAFF_CARD)
    locked.clock.pass_ms(UNLOCKED_MS - 1)
    answer = locked.box.ask(do, **arguments)
    assert "error" not in answer
    if do != "credit":
        assert answer["by"] == locked.box.entries()[-1].by == "cook"


def test_without_unlock_nothing_is_locked_and_nobody_is_recorded(wire: Wire) -> None:
    wire.box.tap(CARD)
    for do, arguments in CORRECTIONS:
        assert "error" not in wire.box.ask(do, **arguments)
    assert all(entry.by is None for entry in wire.box.entries())


def test_looking_needs_no_staff_card(locked: Wire) -> None:
    for do, arguments in (
        ("status", {}),
        ("classes", {}),
        ("class", {"class": "1A"}),
        ("search", {"text": "a-1"}),
        ("day", {"day": "2026-11-23"}),
    ):
        assert "error" not in locked.box.ask(do, **arguments)


def test_a_staff_card_unlocks_also_when_it_gets_no_second_meal(locked: Wire) -> None:
    assert locked.box.tap(STAFF_CARD) is Signal.SERVED
    locked.clock.pass_ms(UNLOCKED_MS + 60_000)
    assert locked.box.tap(STAFF_CARD) is Signal.ALREADY_SERVED
    assert "error" not in locked.box.ask("storno", seq=1)


def test_a_staff_card_unlocks_outside_serving_times(locked: Wire) -> None:
    """The paper list of yesterday is typed in before lunch."""
    locked.clock.pass_ms(18 * 3_600_000)
    assert locked.box.tap(STAFF_CARD) is Signal.REFUSED
    assert "error" not in locked.box.ask("meal", account="a-2", day="2026-11-20")


def test_a_childs_card_and_a_blocked_staff_card_unlock_nothing(locked: Wire) -> None:
    locked.box.tap(CARD)
    assert locked.box.ask("storno", seq=1)["locked"]
    block_card(locked.central.books, card_token(KEY, parse_card_id(STAFF_CARD)))
    locked.settle()
    assert locked.box.tap(STAFF_CARD) is Signal.REFUSED
    assert locked.box.ask("storno", seq=1)["locked"]


def test_the_card_of_a_cook_who_left_unlocks_nothing(locked: Wire, tmp_path: Path) -> None:
    """Nobody blocks the card: the account is closed."""
    locked.box.tap(STAFF_CARD)
    assert "error" not in locked.box.ask("credit", account="a-1")
    locked.clock.pass_ms(UNLOCKED_MS)
    load_roster(locked, tmp_path / "left.csv", "account,status\ncook,closed\n")
    locked.settle()
    locked.box.tap(STAFF_CARD)
    assert locked.box.ask("credit", account="a-1")["locked"]


def test_a_restart_locks(locked: Wire) -> None:
    locked.box.tap(STAFF_CARD)
    locked.clock.pass_ms(60_000)
    locked.box.restart()
    assert locked.box.ask("storno", seq=1)["locked"]


def test_a_wrong_clock_does_not_unlock(locked: Wire) -> None:
    locked.box.tap(STAFF_CARD)
    locked.clock.pass_ms(UNLOCKED_MS)
    locked.box.synced, locked.box.wall_offset = False, timedelta(hours=-1)
    assert locked.box.ask("storno", seq=1)["locked"]


def test_the_person_is_in_the_centrals_books(locked: Wire) -> None:
    locked.box.tap(STAFF_CARD)
    locked.box.ask("storno", seq=1)
    locked.settle()
    rows = locked.central.books.sql.execute(
        "SELECT kind, body ->> '$.by' FROM entry ORDER BY seq"
    ).fetchall()
    assert rows == [("meal", None), ("meal", None), (Kind.STORNO.value, "cook")]


def test_a_blocked_staff_card_unlocks_nothing_outside_serving_times_either(locked: Wire) -> None:
    """The reason of that refusal is the hour, and not the card."""
    block_card(locked.central.books, card_token(KEY, parse_card_id(STAFF_CARD)))
    locked.settle()
    locked.clock.pass_ms(18 * 3_600_000)
    assert locked.box.tap(STAFF_CARD) is Signal.REFUSED
    assert locked.box.entries()[-1].reason is RefusalReason.NO_SERVICE
    assert locked.box.ask("credit", account="a-1")["locked"]
