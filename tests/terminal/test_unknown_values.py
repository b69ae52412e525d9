"""A central of a later version: what is known is never dropped for what is not."""

import json
from pathlib import Path

import pytest
from msgspec import Raw

from agent.domain.digest import Tally, tally
from agent.readers.events import Signal
from agent.store import lists, reads
from agent.store.standing import standing
from tests.conftest import CARD
from tests.parts.wire import Wire, down, last_changes


def later(wire: Wire, *records: dict[str, object], reset: bool = False) -> None:
    """Let a central of a later version send records that replace those of the same id.

    With a digest of all that the terminal must hold then.
    """
    changes = last_changes(wire)
    to = standing(wire.box.db).position + 1
    held = {
        (kind, record_id): body.encode()
        for kind, record_id, body in wire.box.db.rows("SELECT kind, id, body FROM record")
    }
    for record in records:
        record["p"] = to
        body = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
        held[str(record["k"]), str(record["id"])] = body
    accounts = [json.loads(body) for (kind, _), body in held.items() if kind == "account"]
    cents = sum(a["balance"] for a in accounts if isinstance(a.get("balance"), int))
    total = tally((("", body) for body in held.values()), Tally())
    sent = records if not reset else tuple(json.loads(body) for body in held.values())
    message = changes | {
        "from": 0 if reset else to - 1,
        "to": to,
        "reset": reset,
        "more": False,
        "until": to if reset else None,
        "records": sent,
        "digest": {
            "position": to,
            "accounts": len(accounts),
            "cards": sum(kind == "card" for kind, _ in held),
            "cents": cents,
            "sum": total.sum_hex,
        },
    }
    message.pop("nonce", None)
    down(wire, json.dumps(message).encode())
    wire.box.core.idle(wire.box.moment())  # compares the digest


def kinds(wire: Wire) -> list[str]:
    return [row.kind for row in lists.incidents(wire.box.db)]


# C90
def test_a_new_category_costs_no_child_its_meal_and_the_digest_agrees(wire: Wire) -> None:
    account: dict[str, object] = {
        "k": "account",
        "id": "a-1",
        "balance": 700,
        "category": "teacher_on_loan",
        "status": "paused",
    }
    later(wire, account)
    assert wire.box.balance("a-1") == 700
    assert wire.box.tap(CARD) is Signal.SERVED
    details = [row.detail for row in lists.incidents(wire.box.db)]
    assert (
        len(details) == 2
        and "account: this version does not know a value of 'category'" in (details[0])
    )
    later(wire, account)  # no second incident for the same field
    assert len(kinds(wire)) == 2 and not standing(wire.box.db).resyncing


# C91 C92
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("balance", ["7.00", None, 2**60])
def test_an_account_that_cannot_be_read_stays_as_it_was_known(
    wire: Wire, balance: object, reset: bool
) -> None:
    later(wire, {"k": "account", "id": "a-1", "balance": 700})
    later(wire, {"k": "account", "id": "a-1", "balance": balance}, reset=reset)
    assert wire.box.balance("a-1") == 700
    assert kinds(wire) == ["set aside"] and not standing(wire.box.db).resyncing
    assert wire.box.tap(CARD) is Signal.SERVED
    later(wire, {"k": "account", "id": "a-1", "balance": 900})
    assert wire.box.balance("a-1") == 900
    assert "digest" not in kinds(wire)


# C91
def test_an_account_that_cannot_be_read_and_was_never_known_agrees_with_the_digest(
    wire: Wire,
) -> None:
    later(wire, {"k": "account", "id": "a-9", "balance": "?"})
    assert reads.account(wire.box.db, "a-9") is None
    assert kinds(wire) == ["set aside"] and not standing(wire.box.db).resyncing


# C93
def test_a_snapshot_with_a_record_that_cannot_be_identified_drops_nothing(wire: Wire) -> None:
    changes = last_changes(wire)
    to = standing(wire.box.db).position + 1
    message = changes | {"from": 0, "to": to, "reset": True, "until": to, "digest": None}
    message["records"] = [{"k": "account", "p": to, "balance": 5}]
    down(wire, json.dumps(message).encode())
    assert [account for account, _ in reads.balances(wire.box.db)] == ["a-1", "a-2"]


# C91
def test_after_an_update_that_can_read_it_a_record_is_used(wire: Wire) -> None:
    """The row is as an older program left it."""
    body = '{"balance":900,"id":"a-1","k":"account","p":50}'
    for kept in (body, '{"balance":"9.00","id":"a-2","k":"account","p":51}'):
        record = json.loads(kept)
        row = (record["id"], record["p"], standing(wire.box.db).mark.n, kept)
        statement = "INSERT INTO unread VALUES ('account', ?, ?, ?, 9, ?, NULL)"
        wire.box.db.sql.execute(statement, row)
    wire.box.restart()
    assert wire.box.balance("a-1") == 900
    assert [row.id for row in reads.unread(wire.box.db)] == ["a-2"]


def test_what_a_newer_program_can_read_is_still_there(wire: Wire, tmp_path: Path) -> None:
    """The bytes stay as they came, so an update of the agent alone brings the value back."""
    later(wire, {"k": "account", "id": "a-1", "balance": 1, "category": "guest_of_honour"})
    (body,) = wire.box.db.only_row("SELECT body FROM record WHERE id = 'a-1'")
    assert json.loads(bytes(Raw(body.encode())))["category"] == "guest_of_honour"
