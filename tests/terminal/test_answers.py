"""A central that answers wrongly is reported in words, once, and costs no entry."""

import json

import pytest
from msgspec.structs import replace

from agent.central.office.terminals import order
from agent.domain.ledger import Place
from agent.store import lists
from agent.store.standing import standing
from agent.sync.messages import Changes, Hello, decode
from agent.terminal.answers import REFUSALS_MAX, Answers
from agent.terminal.decision import ROWS
from tests.conftest import CARD, OTHER_CARD
from tests.invariants import everything_is_consistent
from tests.parts.wire import Wire, down, last_changes
from tests.store.disk import changeset

DIGEST = {"position": 10**6, "accounts": 0, "cards": 0, "cents": 0, "sum": "0" * 16}


def answers(wire: Wire) -> list[str]:
    return [row.detail for row in lists.incidents(wire.box.db) if row.kind == "answer"]


def newest_hello(wire: Wire) -> Hello:
    return decode([payload for topic, payload in wire.log if topic.endswith("/hello")][-1], Hello)


def answer(wire: Wire, **change: object) -> None:
    """Let the central answer the newest hello, with something changed."""
    changes = last_changes(wire) | {"digest": None, "nonce": newest_hello(wire).nonce} | change
    down(wire, json.dumps(changes).encode())


# C73
def test_an_entry_that_was_never_sent_is_not_taken_as_booked(wire: Wire) -> None:
    """A careless central repeats `last` and `head` of the hello as `acked`."""
    wire.disconnect()
    wire.box.tap(CARD)
    wire.box.tap(OTHER_CARD)
    end = standing(wire.box.db).end
    acked = {"epoch": end.epoch, "seq": end.seq, "hash": end.hash}
    for _ in range(3):
        answer(wire, acked=acked)
    assert standing(wire.box.db).pending == 2
    assert (
        len(answers(wire)) == 1
        and "acknowledges entry 2, and entry 0 is the newest" in (answers(wire)[0])
    )
    wire.connect()
    assert standing(wire.box.db).pending == 0
    assert wire.central.balance("a-1") == -366
    everything_is_consistent(wire)


# C73
def test_after_a_restart_what_was_on_the_disk_may_have_been_sent(wire: Wire) -> None:
    wire.disconnect()
    wire.box.tap(CARD)
    wire.box.restart()
    end = standing(wire.box.db).end
    answer(wire, acked={"epoch": end.epoch, "seq": end.seq, "hash": end.hash})
    assert standing(wire.box.db).pending == 0 and answers(wire) == []


# C60
def test_an_acknowledgement_of_no_own_entry_is_reported_once(wire: Wire) -> None:
    wire.pass_time(300_000)
    acked = {"epoch": standing(wire.box.db).epoch, "seq": 7, "hash": "0" * 64}
    for _ in range(3):
        answer(wire, acked=acked)
    (detail,) = answers(wire)
    assert "acknowledges entry 7 of epoch 1-" in detail and "(rule C60)" in detail
    wire.pass_time(300_000)
    assert len(answers(wire)) == 1


# C60
def test_a_late_message_of_another_life_of_the_disk_is_no_fault(wire: Wire) -> None:
    acked = {"epoch": standing(wire.box.db).epoch, "seq": 7, "hash": "0" * 64}
    for _ in range(REFUSALS_MAX):
        answer(wire, acked=acked, nonce="an-earlier-hello")
    assert answers(wire) == []


# C60
def test_without_nonces_a_refusal_counts_after_several_hellos(
    wire: Wire,
) -> None:
    acked = {"epoch": standing(wire.box.db).epoch, "seq": 7, "hash": "0" * 64}
    wire.drop = lambda topic, payload: topic.endswith("/hello")
    for number in range(1, REFUSALS_MAX + 1):
        wire.pass_time(300_000)
        for _ in range(REFUSALS_MAX):
            answer(wire, acked=acked, nonce=None)  # a push
            answer(wire, acked=acked, nonce=None, digest=DIGEST)
        assert len(answers(wire)) == (number == REFUSALS_MAX)


# C69
def test_an_answer_that_does_not_repeat_before_is_reported(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.box.tap(CARD)
    wire.settle()
    order(wire.central.books, "t-1", "new_epoch")
    wire.settle()
    wire.pass_time(300_000)
    assert standing(wire.box.db).previous is not None
    for _ in range(2):
        answer(wire, before=None)
    (detail,) = answers(wire)
    assert "does not repeat the hello's `before`" in detail
    assert sum("does not repeat" in line for line in caplog.messages) == 1


# C61
def test_a_generation_that_replaces_nothing_is_reported(wire: Wire) -> None:
    wire.pass_time(300_000)
    answer(wire, generation="f" * 32)
    (detail,) = answers(wire)
    assert "is of generation ffffffff, and does not replace" in detail


def test_a_message_that_is_taken_ends_a_row_of_refusals(wire: Wire) -> None:
    wire.pass_time(300_000)
    own, watch, hello = standing(wire.box.db), Answers(), newest_hello(wire)
    message = replace(decode(json.dumps(last_changes(wire)).encode(), Changes), nonce=None)
    assert message.digest is not None
    for _ in range(2):
        for _ in range(REFUSALS_MAX - 1):
            watch.asked(hello)
            assert watch.refused(ROWS[0], message, own) is None
        assert watch.taken(changeset(to=1, acked=Place(1, 0))) is None
    for number in range(1, REFUSALS_MAX + 1):
        watch.asked(hello)
        sentence = watch.refused(ROWS[0], message, own)
        assert (sentence is not None) == (number == REFUSALS_MAX)
