"""What a terminal does with a `changes` message: a case for each row of the table."""

import pytest
from msgspec.structs import replace

from agent.domain.ledger import ChainEnd, Place
from agent.store.cache import Standing
from agent.store.rows import KnownPlace
from agent.sync.messages import Changes
from agent.terminal.decision import Step, decide

OURS, OTHER, ABANDONED = "a" * 32, "b" * 32, "c" * 32
EPOCH, EARLIER = "2-0123456789abcdef", "1-0123456789abcdef"


def end(seq: int, epoch: str = EPOCH) -> ChainEnd:
    return ChainEnd(epoch=epoch, seq=seq, hash=f"{seq:064x}")


STANDING = Standing(
    town="borgo",
    terminal="t-1",
    epoch=EPOCH,
    epoch_number=2,
    is_newest=True,
    oldest=1,
    end=end(9),
    acked=end(5),
    previous=None,
    mark=Place(2, 5),
    pending=4,
    generation=OURS,
    position=10,
    resyncing=False,
    last_contact_at=None,
    order_done=None,
)
MESSAGE = Changes(
    generation=OURS, from_position=10, to=12, acked=end(5), at="2026-11-23T11:00:00.000Z"
)
SNAPSHOT = replace(MESSAGE, generation=OTHER, from_position=0, reset=True, replaces=OURS)


def step(message: Changes, standing: Standing = STANDING, number: int = 2) -> Step:
    """Decide on a message whose acknowledged entry this disk has, in epoch `number`."""
    acked = message.acked
    own = KnownPlace(place=Place(number, acked.seq), hash=acked.hash)
    return decide(standing, own, message).step


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Step.APPLY),
        ({"from_position": 8}, Step.APPLY),
        ({"from_position": 11}, Step.GAP),
        ({"from_position": 3, "to": 9}, Step.OLD),
        ({"from_position": 3, "to": 9, "acked": end(4)}, Step.OLD),
        ({"to": 10}, Step.NOTHING_NEW),
        ({"to": 10, "acked": end(6)}, Step.APPLY),
        ({"acked": end(4)}, Step.GAP),
        ({"notes_after": 6}, Step.GAP),
        ({"notes_after": 5}, Step.APPLY),
    ],
)
def test_a_message_of_our_generation(changes: dict[str, object], expected: Step) -> None:
    assert step(replace(MESSAGE, **changes)) is expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Step.APPLY),
        ({"acked": end(2)}, Step.APPLY),
        ({"reset": False}, Step.GAP),
        ({"from_position": 10}, Step.GAP),
        ({"replaces": None}, Step.GAP),
        ({"replaces": ABANDONED}, Step.GAP),
    ],
)
def test_a_message_of_another_generation(changes: dict[str, object], expected: Step) -> None:
    assert step(replace(SNAPSHOT, **changes)) is expected


def test_a_terminal_without_a_generation_takes_the_first_snapshot() -> None:
    blank = replace(STANDING, generation=None, position=0)
    assert step(replace(SNAPSHOT, replaces=None), blank) is Step.APPLY
    assert step(replace(SNAPSHOT, replaces=OURS), blank) is Step.GAP


def test_a_new_generation_is_adopted_while_earlier_epochs_are_kept() -> None:
    assert step(SNAPSHOT, replace(STANDING, previous=end(7, EARLIER))) is Step.ADOPT
    assert step(SNAPSHOT, replace(STANDING, is_newest=False)) is Step.ADOPT


def test_an_acknowledgement_of_an_entry_that_this_disk_does_not_have_is_a_gap() -> None:
    other = KnownPlace(place=Place(2, 5), hash="f" * 64)
    pruned = KnownPlace(place=Place(2, 5), hash=None)
    assert decide(STANDING, None, MESSAGE).step is Step.GAP
    assert decide(STANDING, other, MESSAGE).step is Step.GAP
    assert decide(STANDING, pruned, MESSAGE).step is Step.APPLY
    assert decide(STANDING, None, SNAPSHOT).step is Step.GAP


def test_a_message_about_an_epoch_that_is_not_being_sent_is_a_gap() -> None:
    assert step(MESSAGE, number=3) is Step.GAP
    assert step(MESSAGE, number=1) is Step.GAP


def test_a_message_from_before_our_earlier_epochs_were_booked_is_a_gap() -> None:
    standing = replace(STANDING, previous=end(7, EARLIER))
    assert step(MESSAGE, standing) is Step.GAP
    assert step(replace(MESSAGE, before=end(6, EARLIER)), standing) is Step.GAP
    assert step(replace(MESSAGE, before=end(7, EARLIER)), standing) is Step.APPLY


def test_of_a_message_about_an_epoch_sent_again_only_the_acknowledgement_is_taken() -> None:
    standing = replace(STANDING, is_newest=False)
    assert step(MESSAGE, standing) is Step.ACKNOWLEDGE
    assert step(replace(MESSAGE, from_position=3, to=9), standing) is Step.ACKNOWLEDGE
    assert step(replace(MESSAGE, notes_after=6), standing) is Step.GAP
