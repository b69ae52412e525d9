"""How an entry becomes a row: its meal number, what it reverses, and its limits."""

import pytest
from msgspec.structs import replace

from agent.domain.ledger import MONO_MS_MAX, Entry, Kind, seal
from agent.errors import StoreError
from agent.store import reads, writes
from agent.store.insertion import insertion, sealed_body
from agent.store.rows import MealsWanted
from tests.store.disk import DAY, EPOCH, Disk, meal, storno

OTHER_EPOCH = "9-00000000000000ff"


def meal_numbers(disk: Disk) -> list[int]:
    return [number for (number,) in disk.db.rows("SELECT meal_number FROM entry ORDER BY n")]


def test_a_second_meal_of_account_service_and_day_is_refused(disk: Disk) -> None:
    disk.meal()
    with pytest.raises(StoreError, match="UNIQUE"):
        disk.meal()
    assert len(reads.entries(disk.db, newest=10)) == 1


def test_a_meal_of_another_account_or_day_is_a_first_one(disk: Disk) -> None:
    disk.meal("a-1")
    disk.meal("a-2")
    disk.meal("a-1", day="2026-11-24")
    assert meal_numbers(disk) == [1, 1, 1]


def test_a_meal_after_a_storno_has_the_next_number(disk: Disk) -> None:
    writes.append(disk.db, storno(disk.meal()))
    disk.meal()
    assert meal_numbers(disk) == [1, 0, 2]


def test_a_second_storno_of_a_meal_is_refused(disk: Disk) -> None:
    undone = storno(disk.meal())
    writes.append(disk.db, undone)
    with pytest.raises(StoreError, match="UNIQUE"):
        writes.append(disk.db, undone)


def test_stornos_of_meals_that_this_file_does_not_have_do_not_collide(disk: Disk) -> None:
    undone = replace(meal(), seq=1, hash="0" * 64)
    for _ in range(2):
        writes.append(disk.db, storno(undone, OTHER_EPOCH))
    assert reads.own_meals(disk.db, ("a-1", None), MealsWanted("lunch", DAY, 0)) == []


def test_another_meal_of_the_same_day_has_a_further_number(disk: Disk) -> None:
    """Its day, or that of the meal before, was wrong: no child goes hungry by that."""
    disk.meal()
    writes.append(disk.db, meal(), is_another=True)
    with pytest.raises(StoreError, match="UNIQUE"):
        writes.append(disk.db, meal())
    writes.append(disk.db, meal(), is_another=True)
    assert meal_numbers(disk) == [1, 2, 3]


def test_a_copy_from_another_disk_may_repeat_a_meal(disk: Disk) -> None:
    disk.meal()
    entry, body = seal(meal(), seq=2, previous="0" * 64)
    disk.db.write_one(*insertion(1, entry, sealed_body(entry, body), is_another=True))
    assert meal_numbers(disk) == [1, 2]


def test_the_meal_of_an_unknown_card_counts_for_its_token(disk: Disk) -> None:
    token = "ab" * 16
    unknown = replace(meal(cents=0), kind=Kind.UNKNOWN_MEAL, account=None, card=token)
    writes.append(disk.db, unknown)
    assert disk.db.only_row("SELECT eater FROM entry") == (token,)


@pytest.mark.parametrize(
    "outside",
    [{"mono_ms": MONO_MS_MAX + 1}, {"cents": -100_001}, {"day": "tomorrow"}, {"account": "a/1"}],
)
def test_an_entry_outside_the_contracts_limits_is_not_recorded(
    disk: Disk, outside: dict[str, object]
) -> None:
    """What is written can be read again, here and at the central."""
    draft: Entry = replace(meal(), **outside)
    with pytest.raises(StoreError, match="not recorded: outside the limits of an entry"):
        writes.append(disk.db, draft)
    assert reads.entry(disk.db, EPOCH, 1) is None
