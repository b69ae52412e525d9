"""When a terminal sends a hello and entries: every rule of the table, without a clock or a link."""

import itertools

import pytest

from agent.domain.ledger import ChainEnd
from agent.sync.messages import BATCH_ENTRIES_MAX, BATCHES_UNACKED_MAX
from agent.sync.session import (
    CONFIRM_EVERY_MS,
    HEARTBEAT_MS,
    HELLO_BURST,
    HELLO_EVERY_MS,
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
LATER = "2-0123456789abcdef"


def due(
    session: Session, now_ms: int, *, last: int, acked: int, epoch: str = EPOCH
) -> list[Action]:
    return session.due(now_ms, acked=ChainEnd(epoch=epoch, seq=acked, hash=HASH), last=last)


def new_session(spread: float = 0.0) -> Session:
    return Session(lambda: spread)


def answered_session() -> Session:
    """Return a session on a new connection, with its first hello answered."""
    session = new_session()
    session.link_up(0)
    assert due(session, 0, last=0, acked=0) == [SayHello()]
    session.answered(0, more=False)
    return session


def test_without_a_link_nothing_is_sent() -> None:
    assert due(new_session(), 0, last=5, acked=0) == []
    assert new_session().wake_ms(0) is None


def test_after_a_loss_of_the_link_nothing_is_sent() -> None:
    session = answered_session()
    session.link_down()
    for now_ms, epoch in ((1, EPOCH), (2, LATER), (RECONNECT_AFTER_MS, LATER)):
        session.hello_again()
        assert due(session, now_ms, epoch=epoch, last=5, acked=0) == []
        assert session.wake_ms(now_ms) is None
    session.link_up(RECONNECT_AFTER_MS)
    assert due(session, RECONNECT_AFTER_MS, last=5, acked=0) == [SayHello()]


def test_silence_counts_from_the_connection_and_from_each_message_of_use() -> None:
    session = new_session()
    session.link_up(5_000)
    assert session.silent_ms(8_000) == 3_000
    session.answered(8_000, more=False)
    assert session.silent_ms(8_500) == 500


@pytest.mark.parametrize(("spread", "retry_ms"), [(0.0, 2_000), (0.5, 2_500), (0.99, 2_990)])
def test_jitter_makes_the_retry_time_up_to_half_as_long_again(spread: float, retry_ms: int) -> None:
    session = new_session(spread)
    session.link_up(0)
    assert due(session, 0, last=0, acked=0) == [SayHello()]
    assert (session.wake_ms(0), session.wake_ms(retry_ms - 1)) == (retry_ms, 1)
    assert session.wake_ms(retry_ms) == session.wake_ms(retry_ms + 5) == 0


def test_a_partial_acknowledgement_begins_the_retry_time_again_for_the_rest() -> None:
    session = answered_session()
    assert due(session, 0, last=150, acked=0) == [SendEntries(1, 100), SendEntries(101, 50)]
    assert due(session, 1_500, last=150, acked=100) == []
    assert due(session, 1_500 + RETRY_FIRST_MS - 1, last=150, acked=100) == []
    assert due(session, 1_500 + RETRY_FIRST_MS, last=150, acked=100) == [
        SayHello(),
        SendEntries(101, 50),
    ]


def test_a_hello_is_sent_every_minute_while_the_time_is_not_confirmed() -> None:
    session = answered_session()
    session.confirms_time = True
    assert due(session, 1_000, last=0, acked=0) == []
    assert session.wake_ms(1_000) == CONFIRM_EVERY_MS - 1_000
    assert due(session, CONFIRM_EVERY_MS - 1, last=0, acked=0) == []
    assert due(session, CONFIRM_EVERY_MS, last=0, acked=0) == [SayHello()]
    session.answered(CONFIRM_EVERY_MS, more=False)
    session.confirms_time = False
    assert due(session, 2 * CONFIRM_EVERY_MS, last=0, acked=0) == []


def test_before_the_first_hello_of_a_connection_a_wish_for_the_time_waits() -> None:
    session = new_session()
    session.confirms_time = True
    session.link_up(0)
    assert due(session, 0, last=0, acked=0) == [SayHello()]


# C22
def test_entries_wait_until_the_central_has_answered_a_hello() -> None:
    session = new_session()
    session.link_up(0)
    assert due(session, 0, last=5, acked=0) == [SayHello()]
    assert due(session, 1, last=5, acked=0) == []
    session.answered(2, more=False)
    assert due(session, 2, last=5, acked=0) == [SendEntries(1, 5)]
    assert due(session, 3, last=5, acked=0) == []


# C31
def test_at_most_batches_unacked_max_batches_of_batch_entries_max_are_unacknowledged() -> None:
    session = answered_session()
    size, batches = BATCH_ENTRIES_MAX, BATCHES_UNACKED_MAX
    last = size * (batches + 5)
    expected: list[Action] = [SendEntries(1 + n * size, size) for n in range(batches)]
    assert due(session, 0, last=last, acked=0) == expected
    assert due(session, 1, last=last, acked=size - 1) == []
    assert due(session, 2, last=last, acked=size) == [SendEntries(1 + batches * size, size)]


# C32
def test_without_an_answer_it_sends_a_hello_and_all_entries_after_acked() -> None:
    session = answered_session()
    assert due(session, 0, last=150, acked=0) == [SendEntries(1, 100), SendEntries(101, 50)]
    assert due(session, RETRY_FIRST_MS - 1, last=150, acked=0) == []
    assert due(session, RETRY_FIRST_MS, last=150, acked=0) == [
        SayHello(),
        SendEntries(1, 100),
        SendEntries(101, 50),
    ]


# C32
def test_the_retry_time_doubles_and_an_acknowledgement_resets_it() -> None:
    session = answered_session()
    now_ms, hellos = 0, []
    for _ in range(1_000):
        if SayHello() in due(session, now_ms, last=1, acked=0):
            hellos.append(now_ms)
        if now_ms >= RECONNECT_AFTER_MS - RETRY_MAX_MS:
            break
        now_ms += 500
    waits = [later - earlier for earlier, later in itertools.pairwise([0, *hellos])]
    assert waits[:6] == [2_000, 4_000, 8_000, 16_000, 32_000, 64_000]
    session.answered(now_ms, more=False)
    due(session, now_ms, last=2, acked=1)
    assert due(session, now_ms + RETRY_FIRST_MS, last=2, acked=1)[0] == SayHello()


def test_on_a_new_connection_a_lost_hello_is_repeated_after_seconds() -> None:
    session = answered_session()
    actions = [due(session, now_ms, last=1, acked=0) for now_ms in range(0, 260_000, 500)]
    assert [SayHello(), SendEntries(1, 1)] in actions and (session.wake_ms(260_000) or 0) > 60_000
    session.link_up(260_000)
    assert due(session, 260_000, last=1, acked=0) == [SayHello()]
    assert session.wake_ms(260_000) == RETRY_FIRST_MS


@pytest.mark.parametrize("spread", [0.0, 0.5, 0.99])
def test_a_silent_central_never_makes_the_loop_spin(spread: float) -> None:
    session = new_session(spread)
    session.link_up(0)
    now_ms, turns = 0, 0
    while now_ms < RECONNECT_AFTER_MS - 1:
        due(session, now_ms, last=3, acked=0)
        wait_ms = session.wake_ms(now_ms)
        assert wait_ms is not None
        now_ms, turns = now_ms + max(1, wait_ms), turns + 1
    assert turns < 40


# C20
def test_more_and_a_gap_send_one_hello() -> None:
    session = answered_session()
    session.answered(1, more=True)
    assert due(session, 1, last=0, acked=0) == [SayHello()]
    session.gap()
    session.gap()
    assert due(session, 2, last=0, acked=0) == []  # a hello is unanswered
    session.answered(3, more=False)
    assert due(session, 3, last=0, acked=0) == []
    session.gap()
    assert due(session, 4, last=0, acked=0) == [SayHello()]


# C20
def test_a_hello_is_sent_every_five_minutes() -> None:
    session = answered_session()
    assert due(session, HEARTBEAT_MS - 1, last=0, acked=0) == []
    assert due(session, HEARTBEAT_MS, last=0, acked=0) == [SayHello()]


# C20 C89
def test_a_central_that_comes_up_gets_a_hello_at_once() -> None:
    session = new_session()
    session.link_up(0)
    due(session, 0, last=0, acked=0)
    session.hello_again()
    assert due(session, 1, last=0, acked=0) == [SayHello()]


def test_a_new_epoch_is_sent_at_once_and_counts_from_one() -> None:
    for acked in (0, 7):
        session = answered_session()
        due(session, 0, last=7, acked=acked)
        assert due(session, 1, epoch=LATER, last=1, acked=0) == [SayHello(), SendEntries(1, 1)]


def test_entries_that_the_central_lost_are_sent_again() -> None:
    session = answered_session()
    due(session, 0, last=10, acked=10)
    assert SendEntries(4, 7) in due(session, 1, last=10, acked=3)


# C23
def test_a_connection_without_an_answer_for_15_minutes_is_made_again() -> None:
    session = answered_session()
    times = range(0, RECONNECT_AFTER_MS + 1, 1_000)
    actions = [action for now_ms in times for action in due(session, now_ms, last=1, acked=0)]
    assert actions[-1] == Reconnect() and actions.count(Reconnect()) == 1


def test_the_retry_time_never_exceeds_retry_max_ms() -> None:
    """Heartbeats do not hide it: a hello is always unanswered, and other messages keep the link."""
    session = answered_session()
    hellos, now_ms = [0], 0
    while now_ms < 6 * RETRY_MAX_MS:
        now_ms += 1_000
        if now_ms % (RECONNECT_AFTER_MS // 2) == 0:
            session._contact_ms = now_ms
        if SayHello() in due(session, now_ms, last=1, acked=0):
            hellos.append(now_ms)
    waits = [later - earlier for earlier, later in itertools.pairwise(hellos)]
    assert max(waits) == RETRY_MAX_MS and waits.count(RETRY_MAX_MS) >= 2


def sent_session() -> Session:
    """Return a session that sent entries 1 to 5, which are not acknowledged, and then a hello."""
    session = answered_session()
    assert due(session, 0, last=5, acked=0) == [SendEntries(1, 5)]
    session.hello_again()
    assert due(session, 1, last=5, acked=0) == [SayHello()]
    return session


@pytest.mark.parametrize(
    ("acked", "sends"),
    [
        (0, [SendEntries(1, 5)]),
        (4, [SendEntries(5, 1)]),
        (5, []),
    ],
)
# C115
def test_an_answer_that_does_not_cover_what_was_sent_before_its_hello_rewinds(
    acked: int, sends: list[Action]
) -> None:
    session = sent_session()
    session.answered(2, more=False, is_answer=True)
    assert due(session, 2, last=5, acked=acked) == sends
    assert due(session, 3, last=5, acked=acked) == []


def test_answers_that_book_nothing_do_not_end_the_back_off() -> None:
    """C36: a batch that is ignored is answered, too. The retry time still doubles."""
    session = new_session()
    session.link_up(0)
    batches = 0
    for now_ms in range(0, 600_000, 100):
        for action in due(session, now_ms, last=50, acked=0):
            batches += isinstance(action, SendEntries)
            session.answered(now_ms, more=False, is_answer=isinstance(action, SayHello))
    assert batches < 60


def test_an_answer_to_a_hello_before_the_batch_does_not_rewind() -> None:
    session = new_session()
    session.link_up(0)
    assert due(session, 0, last=5, acked=0) == [SayHello()]
    session.answered(1, more=False)  # a push: the answer itself comes later
    assert due(session, 1, last=5, acked=0) == [SendEntries(1, 5)]
    session.answered(2, more=False, is_answer=True)
    assert due(session, 2, last=5, acked=0) == []


def test_a_message_that_answers_no_hello_does_not_rewind() -> None:
    session = sent_session()
    session.answered(2, more=False)
    assert due(session, 2, last=5, acked=0) == []


def test_a_central_that_comes_back_ends_a_long_retry_time() -> None:
    """The case of the old rule: the batch waited up to seven minutes for its deadline."""
    session = answered_session()
    now_ms = 0
    while now_ms < 400_000:
        due(session, now_ms, last=1, acked=0)
        now_ms += 1_000
    session.hello_again()
    assert due(session, now_ms, last=1, acked=0) == [SayHello()]
    session.answered(now_ms + 50, more=False, is_answer=True)
    assert due(session, now_ms + 50, last=1, acked=0) == [SendEntries(1, 1)]
    assert session.wake_ms(now_ms + 50) == RETRY_FIRST_MS


@pytest.mark.parametrize("is_gap", [False, True])
def test_the_first_sign_of_the_central_after_silence_leads_to_a_hello(is_gap: bool) -> None:
    """A bridge was cut, and a top-up is pushed: entries do not wait for their deadline."""
    session = answered_session()
    now_ms = 0
    while now_ms < 100_000:
        due(session, now_ms, last=1, acked=0)
        now_ms += 1_000
    if is_gap:
        session.gap()
    else:
        session.answered(now_ms, more=False)
    assert due(session, now_ms, last=1, acked=0) == [SayHello()]


def test_a_batch_has_as_many_entries_as_fit() -> None:
    session = answered_session()
    acked = ChainEnd(epoch=EPOCH, seq=0, hash=HASH)
    asked = []

    def three(first: int, count: int) -> int:
        asked.append((first, count))
        return min(count, 3)

    actions = session.due(0, acked=acked, last=7, fit=three)
    assert actions == [SendEntries(1, 3), SendEntries(4, 3), SendEntries(7, 1)]
    assert asked == [(1, 7), (4, 4), (7, 1)]


def test_an_entry_that_fits_into_no_message_is_not_sent_and_does_not_make_the_loop_spin() -> None:
    session = answered_session()
    acked = ChainEnd(epoch=EPOCH, seq=0, hash=HASH)
    assert session.due(0, acked=acked, last=7, fit=lambda first, count: 0) == []
    assert session.wake_ms(0) == HEARTBEAT_MS


# C114
def test_a_central_that_makes_every_answer_a_reason_for_a_hello_is_braked() -> None:
    """After HELLO_BURST hellos there is one every HELLO_EVERY_MS."""
    session = new_session()
    session.link_up(0)
    hellos: list[int] = []
    for now_ms in range(0, 10 * HELLO_EVERY_MS, 100):
        if SayHello() in due(session, now_ms, last=0, acked=0):
            hellos.append(now_ms)
            session.answered(now_ms, more=False, is_answer=True)
            session.hello_again()  # an order, a generation, a digest
    assert hellos[:HELLO_BURST] == list(range(0, HELLO_BURST * 100, 100))
    waits = [later - earlier for earlier, later in itertools.pairwise(hellos[HELLO_BURST:])]
    assert set(waits) == {HELLO_EVERY_MS}


def test_a_braked_hello_wakes_the_loop_when_it_is_allowed() -> None:
    session = new_session()
    session.link_up(0)
    for _ in range(HELLO_BURST):
        assert due(session, 0, last=0, acked=0) == [SayHello()]
        session.hello_again()
    assert due(session, 0, last=0, acked=0) == []
    assert session.wake_ms(0) == HELLO_EVERY_MS
    assert due(session, HELLO_EVERY_MS, last=0, acked=0) == [SayHello()]


def test_the_chunks_of_a_long_snapshot_are_not_braked() -> None:
    session = answered_session()
    for now_ms in range(10 * HELLO_BURST):
        session.answered(now_ms, more=True, is_answer=True)
        assert due(session, now_ms, last=0, acked=0) == [SayHello()]


def test_a_central_without_nonces_that_comes_back_gets_the_batch_after_the_first_retry_time() -> (
    None
):
    session = answered_session()
    now_ms = 0
    while now_ms < 400_000:
        due(session, now_ms, last=1, acked=0)
        now_ms += 1_000
    session.hello_again()
    assert due(session, now_ms, last=1, acked=0) == [SayHello()]
    session.answered(now_ms, more=False)
    now_ms += RETRY_FIRST_MS
    assert due(session, now_ms, last=1, acked=0) == [SayHello(), SendEntries(1, 1)]
