"""The conversation as a table of moves: no clock, no wire."""

import itertools

import pytest

from agent.domain.ledger import ChainEnd
from agent.sync.session import (
    HEARTBEAT_MS,
    RECONNECT_AFTER_MS,
    RETRY_FIRST_MS,
    RETRY_MAX_MS,
    Action,
    Reconnect,
    SayHello,
    SendEntries,
    Session,
)

EPOCH = "1-0123456789abcdef"
HASH = "0" * 64


def session() -> Session:
    return Session(lambda: 0.0)


def due(
    session: Session, now_ms: int, *, last: int, acked: int, epoch: str = EPOCH
) -> list[Action]:
    return session.due(now_ms, acked=ChainEnd(epoch=epoch, seq=acked, hash=HASH), last=last)


def greeted(now_ms: int = 0) -> Session:
    one = session()
    one.link_up(now_ms)
    assert due(one, now_ms, last=0, acked=0) == [SayHello()]
    one.answered(now_ms, more=False)
    return one


def test_nothing_is_said_without_a_link() -> None:
    assert due(session(), 0, last=5, acked=0) == []
    assert session().wake_ms(0) is None


def test_entries_wait_until_the_central_has_answered_a_hello() -> None:
    one = session()
    one.link_up(0)
    assert due(one, 0, last=5, acked=0) == [SayHello()]
    assert due(one, 1, last=5, acked=0) == []
    one.answered(2, more=False)
    assert due(one, 2, last=5, acked=0) == [SendEntries(1, 5)]
    assert due(one, 3, last=5, acked=0) == []


def test_at_most_four_batches_of_a_hundred_are_under_way() -> None:
    one = greeted()
    assert due(one, 0, last=1_000, acked=0) == [SendEntries(n, 100) for n in (1, 101, 201, 301)]
    assert due(one, 1, last=1_000, acked=100) == [SendEntries(401, 100)]


def test_after_silence_it_says_hello_and_starts_again_from_acked() -> None:
    one = greeted()
    assert due(one, 0, last=150, acked=0) == [SendEntries(1, 100), SendEntries(101, 50)]
    assert due(one, RETRY_FIRST_MS - 1, last=150, acked=0) == []
    assert due(one, RETRY_FIRST_MS, last=150, acked=0) == [
        SayHello(),
        SendEntries(1, 100),
        SendEntries(101, 50),
    ]


def test_silence_doubles_up_to_a_bound_and_an_acknowledgement_resets_it() -> None:
    one = greeted()
    now_ms, hellos = 0, []
    for _ in range(1_000):
        if SayHello() in due(one, now_ms, last=1, acked=0):
            hellos.append(now_ms)
        if now_ms >= RECONNECT_AFTER_MS - RETRY_MAX_MS:
            break
        now_ms += 500
    waits = [later - earlier for earlier, later in itertools.pairwise([0, *hellos])]
    assert waits[:6] == [2_000, 4_000, 8_000, 16_000, 32_000, 64_000]
    one.answered(now_ms, more=False)
    due(one, now_ms, last=2, acked=1)
    assert due(one, now_ms + RETRY_FIRST_MS, last=2, acked=1)[0] == SayHello()


@pytest.mark.parametrize("spread", [0.0, 0.5, 0.99])
def test_a_silent_central_never_makes_the_loop_spin(spread: float) -> None:
    one = Session(lambda: spread)
    one.link_up(0)
    now_ms, turns = 0, 0
    while now_ms < RECONNECT_AFTER_MS - 1:
        due(one, now_ms, last=3, acked=0)
        wait_ms = one.wake_ms(now_ms)
        assert wait_ms is not None
        now_ms, turns = now_ms + max(1, wait_ms), turns + 1
    assert turns < 40


def test_more_asks_again_and_a_gap_asks_once() -> None:
    one = greeted()
    one.answered(1, more=True)
    assert due(one, 1, last=0, acked=0) == [SayHello()]
    one.gap()
    one.gap()
    assert due(one, 2, last=0, acked=0) == []  # one is on its way
    one.answered(3, more=False)
    assert due(one, 3, last=0, acked=0) == []
    one.gap()
    assert due(one, 4, last=0, acked=0) == [SayHello()]


def test_every_five_minutes_a_hello() -> None:
    one = greeted()
    assert due(one, HEARTBEAT_MS - 1, last=0, acked=0) == []
    assert due(one, HEARTBEAT_MS, last=0, acked=0) == [SayHello()]


def test_a_central_that_comes_up_is_greeted_at_once() -> None:
    one = session()
    one.link_up(0)
    due(one, 0, last=0, acked=0)
    one.hello_again()
    assert due(one, 1, last=0, acked=0) == [SayHello()]


def test_a_new_epoch_is_told_at_once_and_counts_from_one() -> None:
    one = greeted()
    due(one, 0, last=7, acked=7)
    assert due(one, 1, epoch="2-0123456789abcdef", last=1, acked=0) == [
        SayHello(),
        SendEntries(1, 1),
    ]


def test_an_acknowledgement_that_steps_back_is_sent_again_from_there() -> None:
    one = greeted()
    due(one, 0, last=10, acked=10)
    assert SendEntries(4, 7) in due(one, 1, last=10, acked=3)


def test_a_connection_that_brings_nothing_is_not_believed_for_ever() -> None:
    one = greeted()
    said = [
        say
        for at in range(0, RECONNECT_AFTER_MS + 1, 1_000)
        for say in due(one, at, last=1, acked=0)
    ]
    assert said[-1] == Reconnect()
