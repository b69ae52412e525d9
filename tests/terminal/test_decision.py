"""What a terminal does with a `changes` message: a case for each row of the table."""

import pytest
from msgspec import Raw
from msgspec.structs import replace

from agent.domain.clock import ClockTrust, Moment
from agent.domain.ledger import ChainEnd, Place
from agent.store.cache import Standing
from agent.store.rows import KnownPlace
from agent.sync.messages import Changes, Order
from agent.terminal.decision import Decision, Received, Step, decide

ALL_SENT = Place(9, 9)
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
    is_wiped=False,
)
MESSAGE = Changes(
    generation=OURS, from_position=10, to=12, acked=end(5), at="2026-11-23T11:00:00.000Z"
)
MOMENT = Moment(at="2026-11-23T11:00:01.000Z", trust=ClockTrust.HELD, boot="b", mono_ms=1)
SNAPSHOT = replace(MESSAGE, generation=OTHER, from_position=0, reset=True, replaces=OURS)


def decided(
    standing: Standing, own: KnownPlace | None, message: Changes, sent: Place = ALL_SENT
) -> Decision:
    return decide(standing, own, Received(message, "canteen/v1/borgo/t/t-1/changes", MOMENT, sent))


def step(message: Changes, standing: Standing = STANDING, number: int = 2) -> Step:
    """Decide on a message whose acknowledged entry this disk has, in epoch `number`."""
    acked = message.acked
    own = KnownPlace(place=Place(number, acked.seq), hash=acked.hash)
    return decided(standing, own, message).step


# C64 C65 C67 C70 C71 C72
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
        ({"to": 10, "acked": end(4)}, Step.GAP),
        ({"notes_after": 6}, Step.GAP),
        ({"notes_after": 5}, Step.APPLY),
    ],
)
def test_a_message_of_our_generation(changes: dict[str, object], expected: Step) -> None:
    assert step(replace(MESSAGE, **changes)) is expected


# C61 C63
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


# C62 C87
def test_a_new_generation_is_adopted_while_earlier_epochs_are_kept() -> None:
    assert step(SNAPSHOT, replace(STANDING, previous=end(7, EARLIER))) is Step.ADOPT
    assert step(SNAPSHOT, replace(STANDING, is_newest=False)) is Step.ADOPT


# C60
def test_an_acknowledgement_of_an_entry_that_this_disk_does_not_have_is_a_gap() -> None:
    other = KnownPlace(place=Place(2, 5), hash="f" * 64)
    pruned = KnownPlace(place=Place(2, 5), hash=None)
    assert decided(STANDING, None, MESSAGE).step is Step.GAP
    assert decided(STANDING, other, MESSAGE).step is Step.GAP
    assert decided(STANDING, pruned, MESSAGE).step is Step.APPLY
    assert decided(STANDING, None, SNAPSHOT).step is Step.GAP


# C66
def test_a_message_about_an_epoch_that_is_not_being_sent_is_a_gap() -> None:
    assert step(MESSAGE, number=3) is Step.GAP
    assert step(MESSAGE, number=1) is Step.GAP


# C69
def test_a_message_from_before_our_earlier_epochs_were_booked_is_a_gap() -> None:
    standing = replace(STANDING, previous=end(7, EARLIER))
    assert step(MESSAGE, standing) is Step.GAP
    assert step(replace(MESSAGE, before=end(6, EARLIER)), standing) is Step.GAP
    assert step(replace(MESSAGE, before=end(7, EARLIER)), standing) is Step.APPLY


# C68
def test_of_a_message_about_an_epoch_sent_again_only_the_acknowledgement_is_taken() -> None:
    standing = replace(STANDING, is_newest=False)
    assert step(MESSAGE, standing) is Step.ACKNOWLEDGE
    assert step(replace(MESSAGE, from_position=3, to=9), standing) is Step.ACKNOWLEDGE
    assert step(replace(MESSAGE, notes_after=6), standing) is Step.GAP


def test_only_a_message_that_is_applied_brings_records() -> None:
    card = b'{"k":"card","id":"%s","p":11,"account":"a-1"}' % (b"0" * 32)
    message = replace(MESSAGE, records=[Raw(card), Raw(b'{"k":"card"}')])
    own = KnownPlace(place=Place(2, 5), hash=message.acked.hash)
    changes = decided(STANDING, own, message).changes
    assert changes is not None
    assert [(row.kind, row.id, row.p) for row in changes.rows] == [("card", "0" * 32, 11)]
    assert len(changes.unreadable) == 1
    acknowledged = decided(replace(STANDING, is_newest=False), own, message).changes
    assert acknowledged is not None and acknowledged.rows == [] == acknowledged.unreadable


def test_an_order_that_was_done_is_not_done_again() -> None:
    own = KnownPlace(place=Place(2, 5), hash=MESSAGE.acked.hash)
    message = replace(MESSAGE, order=Order(id="o-aaaaaaaa-2", do="resync"))
    assert decided(STANDING, own, message).order == message.order
    for done in ("o-aaaaaaaa-2", "o-aaaaaaaa-3"):
        assert decided(replace(STANDING, order_done=done), own, message).order is None


# C53
def test_more_is_asked_for_at_once_only_after_a_chunk_with_progress() -> None:
    own = KnownPlace(place=Place(2, 5), hash=MESSAGE.acked.hash)
    assert decided(STANDING, own, replace(MESSAGE, more=True)).more
    assert not decided(STANDING, own, MESSAGE).more
    waiting = replace(SNAPSHOT, to=0, more=True)
    assert not decided(STANDING, own, waiting).more


def test_a_new_generation_is_an_incident_and_the_first_is_not() -> None:
    own = KnownPlace(place=Place(2, 5), hash=SNAPSHOT.acked.hash)
    changes = decided(STANDING, own, SNAPSHOT).changes
    assert changes is not None and changes.incident is not None
    assert changes.incident.kind == "new_generation"
    blank = replace(STANDING, generation=None, position=0)
    first = decided(blank, own, replace(SNAPSHOT, replaces=None)).changes
    assert first is not None and first.incident is None
