"""What a hello proves: the end of the terminal's chain, a restored central, a restored disk."""

from datetime import timedelta
from typing import Any

import pytest

from agent.central.books import generations
from agent.central.hello import BRAKE_S
from tests.parts.foreign_terminal import EPOCH, NAME, START, ForeignTerminal, meal

LATER = "2026-11-23T11:30:00.000Z"  # than the central's time in these tests


def incidents(foreign: ForeignTerminal) -> list[str]:
    return [kind for (kind,) in foreign.central.books.rows("SELECT kind FROM incident ORDER BY n")]


def present(foreign: ForeignTerminal) -> dict[str, Any]:
    """Return what a terminal says that has everything."""
    answer = foreign.hello()
    acked = answer["acked"]
    return {
        "generation": answer["generation"],
        "position": answer["to"],
        "acked": acked["seq"],
        "acked_head": acked["hash"],
    }


# C100
def test_a_head_that_is_booked_is_acknowledged(foreign: ForeignTerminal) -> None:
    foreign.send(meal(), meal(account="a-2"))
    assert foreign.hello()["acked"] == {"epoch": EPOCH, "seq": 2, "hash": foreign.previous}


# C100
def test_an_older_entry_is_acknowledged_when_only_that_one_is_proved(
    foreign: ForeignTerminal,
) -> None:
    """The terminal has written an entry that has not come, and shows what was acknowledged."""
    foreign.send(meal())
    known = present(foreign)
    answer = foreign.hello(**known, last=2, head="cd" * 32)
    assert answer["acked"]["seq"] == 1


def test_a_terminal_that_proves_nothing_sends_all_it_keeps(foreign: ForeignTerminal) -> None:
    foreign.send(meal())
    answer = foreign.hello(last=1, head="cd" * 32, acked=1, acked_head="ef" * 32)
    assert answer["acked"] == {"epoch": EPOCH, "seq": 0, "hash": START}


# C107
@pytest.mark.parametrize(
    "ahead",
    [
        {"position": 1_000_000},
        {"acked": 7, "acked_head": "cd" * 32, "last": 7, "head": "cd" * 32},
        {"acked": 7, "acked_head": "cd" * 32, "last": 7, "head": "cd" * 32, "oldest": 7},
        {"before": {"epoch": "1-00000000000000bb", "seq": 3, "hash": "cd" * 32}},
        {"generation": "ab" * 16},
    ],
)
def test_a_terminal_that_is_ahead_proves_that_the_central_was_restored(
    foreign: ForeignTerminal, ahead: dict[str, Any]
) -> None:
    known = present(foreign)
    answer = foreign.hello(**{**known, **ahead})
    assert answer["generation"] != known["generation"] and answer["reset"]
    assert answer["replaces"] == {**known, **ahead}["generation"]
    assert incidents(foreign) == ["new_generation"]
    again = foreign.hello(**{**known, **ahead})
    assert again["generation"] == answer["generation"]
    assert incidents(foreign) == ["new_generation"]


# C107
def test_an_acknowledged_entry_that_the_terminal_pruned_proves_no_restore(
    foreign: ForeignTerminal,
) -> None:
    known = {**present(foreign), "acked": 7, "acked_head": "cd" * 32}
    foreign.hello(**known, oldest=8, last=7, head="cd" * 32)
    assert incidents(foreign) == []


# C108
def test_an_unknown_generation_is_known_from_then_on(foreign: ForeignTerminal) -> None:
    assert not generations.is_known(foreign.central.books, "ab" * 16)
    foreign.hello(generation="ab" * 16)
    assert generations.is_known(foreign.central.books, "ab" * 16)


# C113
def test_a_disk_that_lacks_booked_entries_gets_a_new_epoch_once(foreign: ForeignTerminal) -> None:
    foreign.send(meal(), meal(account="a-2"))
    first = foreign.entries[0]["hash"]
    for _ in range(2):
        foreign.central.clock.now += timedelta(minutes=5)
        answer = foreign.hello(last=1, head=first)
        assert answer["order"]["do"] == "new_epoch"
    assert incidents(foreign) == ["restored_disk"]


# C113
@pytest.mark.parametrize(
    ("newest", "late"),
    [
        ({}, {"at": "2026-11-23T10:00:00.000Z"}),
        ({"boot": "b", "mono_ms": 60_000}, {"at": LATER, "boot": "b", "mono_ms": 30_000}),
        ({"boot": "b", "mono_ms": 60_000}, {"at": LATER, "boot": "b", "mono_ms": 60_000}),
    ],
)
def test_an_old_hello_that_comes_late_orders_no_new_epoch_unless_it_is_repeated(
    foreign: ForeignTerminal, newest: dict[str, Any], late: dict[str, Any]
) -> None:
    """Within a boot its monotonic clock tells the order: its time may have been set meanwhile."""
    foreign.send(meal(), meal(account="a-2"))
    foreign.hello(**newest)
    first = foreign.entries[0]["hash"]
    assert "order" not in foreign.hello(last=1, head=first, **late)
    repeated = foreign.hello(last=1, head=first, **{**late, "at": "2026-11-23T10:00:05.000Z"})
    assert repeated["order"]["do"] == "new_epoch"


def test_a_newer_hello_of_the_same_boot_orders_a_new_epoch_at_once(
    foreign: ForeignTerminal,
) -> None:
    foreign.send(meal(), meal(account="a-2"))
    foreign.hello(boot="b", mono_ms=60_000)
    answer = foreign.hello(last=1, head=foreign.entries[0]["hash"], boot="b", mono_ms=60_001)
    assert answer["order"]["do"] == "new_epoch"


# C109
def test_a_hole_that_the_terminal_can_fill_is_asked_for(foreign: ForeignTerminal) -> None:
    """Another copy of the disk had pruned entry 1, so entry 2 was booked behind a hole."""
    first, second = meal(), meal(account="a-2")
    foreign.send(first)
    foreign.send(second)
    books = foreign.central.books
    books.sql.execute("DROP TRIGGER entry_never_deleted")
    books.sql.execute("DELETE FROM entry WHERE terminal = ? AND seq = 1", (NAME,))
    answer = foreign.hello()
    assert answer["acked"]["seq"] == 0


def test_before_is_echoed_only_when_that_entry_is_booked(foreign: ForeignTerminal) -> None:
    foreign.send(meal())
    booked = {"epoch": EPOCH, "seq": 1, "hash": foreign.previous}
    next_epoch = "2-00000000000000aa"
    assert foreign.hello(epoch=next_epoch, before=booked)["before"] == booked
    assert "before" not in foreign.hello(epoch=next_epoch, before={**booked, "hash": "cd" * 32})


def test_a_terminal_that_proves_a_restore_again_and_again_is_braked(
    foreign: ForeignTerminal,
) -> None:
    """A broken terminal must not make all others resynchronise with each of its hellos."""
    made = set()
    for n in range(100):
        foreign.central.clock.pass_ms(1_000)
        answer = foreign.hello(generation=f"{n:032x}ab")
        made.add(answer["generation"])
        assert answer["replaces"] == f"{n:032x}ab"
    assert len(made) == 1
    ((detail,),) = foreign.central.books.rows("SELECT detail FROM incident WHERE kind = 'braked'")
    assert "99 times, last" in detail
    foreign.central.clock.pass_ms(BRAKE_S * 1_000)
    assert foreign.hello(generation="ab" * 16)["generation"] not in made


def test_a_disk_that_goes_back_again_and_again_gets_one_new_epoch_in_brake_s(
    foreign: ForeignTerminal,
) -> None:
    foreign.send(meal(), meal(account="a-2"))
    first = foreign.entries[0]["hash"]
    ordered = set()
    for n in range(20):
        foreign.central.clock.pass_ms(5_000)
        done = f"o-{foreign.central.value('SELECT generation FROM central')}"[-8:]
        answer = foreign.hello(last=1, head=first, order_done=f"o-{done}-{n}")
        if "order" in answer:
            ordered.add(answer["order"]["id"])
    assert incidents(foreign).count("restored_disk") == 1


def test_remarks_are_sent_again_only_to_a_terminal_that_lost_its_records(
    foreign: ForeignTerminal,
) -> None:
    """A new position for a remark means a message to the terminal."""

    def position_after(**changes: int) -> int:
        foreign.hello(**known, **changes, last=1, head=foreign.previous)
        return position(foreign)

    foreign.send(meal(account="nobody"))
    known = {"generation": present(foreign)["generation"], "acked_head": foreign.previous}
    now = position(foreign)
    assert position_after(position=0, acked=0) == now
    assert position_after(position=now, acked=1) == now
    assert position_after(position=0, acked=1) == now + 1


def position(foreign: ForeignTerminal) -> int:
    ((number,),) = foreign.central.books.rows("SELECT position FROM central")
    return int(number)
