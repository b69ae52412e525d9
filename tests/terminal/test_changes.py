"""Rules about `changes` that other centrals had to guess, as a terminal obeys them."""

import json

from agent.store import reads, writes
from agent.store.standing import standing
from agent.sync.messages import Changes, Hello, decode
from tests.parts.wire import TODAY, Wire, down, last_changes


def send(wire: Wire, **change: object) -> None:
    """Let the central send the next positions, with something changed."""
    position = standing(wire.box.db).position
    message = {"from": position, "to": position + 1, "digest": None, "records": [], **change}
    message = {**last_changes(wire), **message}
    message.pop("nonce", None)
    down(wire, json.dumps(message).encode())


# C43
def test_reset_and_until_count_only_from_position_0(wire: Wire) -> None:
    send(wire, reset=True, until=1)
    assert not standing(wire.box.db).resyncing
    assert [account for account, _ in reads.balances(wire.box.db)] == ["a-1", "a-2"]


# C43 C44 C53
def test_a_snapshot_in_chunks_begins_once_and_ends_at_until(wire: Wire) -> None:
    position = standing(wire.box.db).position
    writes.begin_resync(wire.box.db, None, None)
    account = {"k": "account", "id": "a-1", "balance": 7, "p": 1}
    first = {"from": 0, "to": 1, "reset": True, "more": True, "until": position + 5}
    send(wire, **first, records=[account])
    # `until` of a later chunk is not looked at.
    send(wire, **{"from": 1, "to": position + 4, "more": True, "until": 2})
    assert standing(wire.box.db).resyncing
    assert wire.box.balance("a-2") == 0  # it still serves
    send(wire, **{"from": position + 4, "to": position + 5})
    assert not standing(wire.box.db).resyncing
    assert list(reads.balances(wire.box.db)) == [("a-1", 7)]


# C45
def test_a_tombstone_of_a_policy_names_its_day(wire: Wire) -> None:
    position = standing(wire.box.db).position
    (policy,) = reads.policies(wire.box.db)
    gone = {"k": "gone", "of": "policy", "id": policy.from_day, "p": position + 1}
    send(wire, records=[gone])
    assert reads.policies(wire.box.db) == [] and policy.from_day < TODAY


# C94
def test_a_record_of_an_unknown_kind_is_counted_until_its_tombstone(wire: Wire) -> None:
    position = standing(wire.box.db).position
    send(wire, records=[{"k": "menu", "id": "m 1", "p": position + 1, "dish": "pasta"}])
    assert reads.counts(wire.box.db)["menu"] == 1
    send(wire, records=[{"k": "gone", "of": "menu", "id": "m 1", "p": position + 2}])
    assert "menu" not in reads.counts(wire.box.db)


# C24
def test_each_hello_has_a_nonce_and_only_its_answer_repeats_it(wire: Wire) -> None:
    wire.pass_time(300_000)
    wire.central.credit("a-1", 500, "r-1")
    wire.settle()
    hellos = [decode(raw, Hello) for topic, raw in wire.log if topic.endswith("/hello")]
    changes = [decode(raw, Changes) for topic, raw in wire.log if topic.endswith("/changes")]
    nonces = [hello.nonce for hello in hellos]
    assert None not in nonces and len(set(nonces)) == len(nonces) >= 2
    repeated = [message.nonce for message in changes if message.nonce is not None]
    assert repeated == nonces and changes[-1].nonce is None


# C41
def test_a_position_beyond_the_message_holds_no_later_record_back(wire: Wire) -> None:
    """A central counts wrongly once: the account's next form is taken all the same."""
    changes = last_changes(wire)
    position = standing(wire.box.db).position
    for step, balance in enumerate((100, 1_500), start=1):
        record = {"k": "account", "id": "a-1", "p": 10**12 if step == 1 else position + step}
        message = changes | {"from": position + step - 1, "to": position + step, "digest": None}
        records = [record | {"balance": balance}]
        down(wire, json.dumps(message | {"reset": False, "records": records}).encode())
        assert wire.box.balance("a-1") == balance
