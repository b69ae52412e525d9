"""Messages of the central: what is taken, set aside or ignored, and what is sent again."""

import json
import logging
from datetime import timedelta

import msgspec
import pytest

from agent.central.feed import CHUNK_RECORDS
from agent.central.office.cards import move_accounts
from agent.central.office.terminals import order
from agent.domain.clock import format_instant, parse_instant
from agent.readers.events import Signal
from agent.store import lists, pruning, reads, writes
from agent.store.standing import standing
from agent.sync.messages import Changes, Entries, Hello, decode
from agent.sync.session import HEARTBEAT_MS
from agent.terminal.replication import CONTACT_EVERY_MS
from tests.conftest import CARD, OTHER_CARD
from tests.invariants import (
    a_difference_is_found_once_and_repaired,
    both_sides_are_equal,
    everything_is_consistent,
)
from tests.parts.wire import SITE, TODAY, Wire, down, last_changes

DAY_MS = 24 * 3_600_000
UNKNOWN_CARD = "a:04ffffff112233"
HELLO, ENTRIES = "/hello", "/entries"


# C1
@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff", b"{}", b"[1,2", b'{"generation":1}', b"x" * 300_000, b'{"k":"account"}'],
)
def test_an_unusable_message_is_set_aside_and_the_next_ones_are_handled(
    wire: Wire, payload: bytes
) -> None:
    down(wire, payload)
    assert reads.counts(wire.box.db)["set_aside"] == 1
    wire.central.credit("a-1", 500, "r-1")
    wire.settle()
    assert wire.box.balance("a-1") == 500


def test_a_message_on_a_foreign_topic_is_set_aside(wire: Wire) -> None:
    down(wire, b"{}", "canteen/v1/borgofiorito/t/t-2/changes")
    assert reads.counts(wire.box.db)["set_aside"] == 1


# C91 C94
def test_a_malformed_record_is_set_aside_and_its_neighbours_are_taken(wire: Wire) -> None:
    changes = last_changes(wire)
    to = int(str(changes["to"]))
    changes |= {
        "from": to,
        "to": to + 3,
        "digest": None,
        "records": [
            {"k": "account", "id": "a-1", "p": to + 1, "balance": 700},
            {"k": "account", "id": "a-2", "p": to + 2},
            {"k": "menu", "id": "m-1", "p": to + 3, "dish": "pasta"},
        ],
    }
    down(wire, json.dumps(changes).encode())
    assert wire.box.balance("a-1") == 700
    counts = reads.counts(wire.box.db)
    assert (counts["set_aside"], counts["menu"]) == (1, 1)
    assert wire.box.ask("status")["other_records"] == {"policy": 1, "service": 1, "menu": 1}


# C60 C61 C64
@pytest.mark.parametrize(
    "change",
    [
        {"generation": "f" * 32, "from": 1, "reset": False},
        {"from": 10**6, "to": 10**6 + 1},
        {"acked": {"epoch": "9-" + "0" * 16, "seq": 1}},
    ],
)
def test_another_generation_a_gap_or_another_disk_changes_nothing(
    wire: Wire, change: dict[str, object]
) -> None:
    before = standing(wire.box.db)
    changes = (
        last_changes(wire)
        | change
        | {"records": [{"k": "account", "id": "a-1", "p": 10**6 + 1, "balance": 1}], "digest": None}
    )
    down(wire, json.dumps(changes).encode())
    assert standing(wire.box.db) == before
    assert wire.box.balance("a-1") == 0


def test_an_acknowledgement_of_entries_that_this_disk_does_not_have_changes_nothing(
    wire: Wire,
) -> None:
    wire.disconnect()
    wire.box.tap(CARD)
    changes = last_changes(wire)
    epoch = standing(wire.box.db).epoch
    to = int(str(changes["to"])) + 1
    changes |= {"to": to, "acked": {"epoch": epoch, "seq": 1, "hash": "0" * 64}, "records": []}
    down(wire, json.dumps(changes).encode())
    assert standing(wire.box.db).pending == 1
    down(wire, json.dumps({**changes, "acked": {"epoch": epoch, "seq": 2}}).encode())
    assert standing(wire.box.db).pending == 1


# C58
def test_the_digest_finds_a_changed_balance_and_it_is_repaired(wire: Wire) -> None:
    wire.box.db.sql.execute(
        "UPDATE record SET body = json_set(body, '$.balance', 99999) WHERE id = 'a-1'"
    )
    wire.pass_time(300_000)
    assert wire.box.balance("a-1") == 0
    assert lists.incidents(wire.box.db)[0].kind == "digest"
    everything_is_consistent(wire)


# C58
def test_the_digest_finds_a_lost_and_an_invented_record(wire: Wire) -> None:
    wire.box.db.sql.execute("DELETE FROM record WHERE id = 'a-1'")
    wire.box.db.sql.execute("UPDATE record SET id = 'a-9' WHERE id = 'a-2'")
    wire.pass_time(300_000)
    both_sides_are_equal(wire)
    assert reads.account(wire.box.db, "a-9") is None


def test_a_difference_that_cannot_be_repaired_causes_few_messages(wire: Wire) -> None:
    before = len(wire.log)
    # A record that no terminal can read.
    wire.central.books.sql.execute('UPDATE policy SET body = \'{"from":"never"}\'')
    wire.pass_time(300_000)
    wire.settle()
    assert len(wire.log) - before < 12
    wire.central.books.sql.execute("DELETE FROM policy")


# C80
def test_an_epoch_ends_only_when_the_central_has_all_its_entries(wire: Wire) -> None:
    order(wire.central.books, "t-1", "new_epoch")
    wire.box.tap(CARD)
    wire.drop = lambda topic, payload: topic.endswith(ENTRIES)
    wire.settle()
    assert standing(wire.box.db).epoch.startswith("1-")
    wire.drop = lambda topic, payload: False
    for _ in range(4):
        wire.pass_time(60_000)
    assert standing(wire.box.db).epoch.startswith("2-")
    everything_is_consistent(wire)


# C52 C53
def test_a_large_school_comes_in_chunks_and_continues_after_a_restart(wire: Wire) -> None:
    for n in range(450):
        wire.central.add_account(f"b-{n}")
    wire.settle()
    assert sum(1 for _ in reads.balances(wire.box.db)) == 452
    chunks = [decode(payload, Changes) for topic, payload in wire.log if topic.endswith("/changes")]
    assert max(len(chunk.records) for chunk in chunks) == CHUNK_RECORDS
    order(wire.central.books, "t-1", "resync")
    hellos = 0

    def cut(topic: str, payload: bytes) -> bool:
        nonlocal hellos
        hellos += topic.endswith(HELLO)
        return hellos > 1  # the resynchronisation stops in its middle

    wire.drop = cut
    wire.settle()
    assert standing(wire.box.db).resyncing
    wire.disconnect()
    wire.box.restart()
    wire.drop = lambda topic, payload: False
    wire.connect()
    assert not standing(wire.box.db).resyncing
    assert sum(1 for _ in reads.balances(wire.box.db)) == 452
    everything_is_consistent(wire)


# C50 C88
def test_an_account_that_moves_to_another_school_loses_no_meal(
    wire: Wire,
) -> None:
    wire.disconnect()
    wire.box.tap(CARD)
    with wire.central.books.transaction():
        move_accounts(wire.central.books, {"a-1": "media"})
    wire.connect()
    assert wire.box.balance("a-1") is None
    assert wire.central.balance("a-1") == -366
    # The newest booked entry is kept.
    assert pruning.prune(wire.box.db, before="2027-01-01T00:00:00.000Z", below=2**60) == 0
    with wire.central.books.transaction():
        move_accounts(wire.central.books, {"a-1": SITE})
    wire.settle()
    everything_is_consistent(wire)


# C88
def test_old_and_booked_entries_are_pruned(wire: Wire) -> None:
    wire.central.policy(keep_days=2)
    wire.settle()
    for _ in range(5):  # Monday to Friday
        wire.box.tap(CARD)
        wire.settle()
        wire.pass_time(24 * 3_600_000)
    kept = [entry.day for entry in wire.box.entries()]
    assert 1 <= len(kept) <= 3
    all_books = wire.central.value("SELECT count(*) FROM entry WHERE kind = 'meal'")
    assert all_books == 5
    both_sides_are_equal(wire)


def test_a_clock_that_was_ahead_has_pruned_no_meal(wire: Wire) -> None:
    """A clock chip is months ahead until a time server answers. No meal is served or paid twice."""
    box = wire.box
    wire.central.policy(double_meal="keep")
    for pause_ms in (DAY_MS, 60_000):
        assert [box.tap(card) for card in (CARD, UNKNOWN_CARD)] == [Signal.SERVED] * 2
        box.tap_unreadable()
        wire.settle()
        wire.pass_time(pause_ms)
    switched_on_ahead(wire, days=100)
    wire.connect()
    wire.pass_time(5_000)
    assert box.moment().at > "2027"
    box.synced, box.wall_offset = True, timedelta()
    assert [box.tap(card) for card in (CARD, UNKNOWN_CARD)] == [Signal.ALREADY_SERVED] * 2
    assert box.ask("meal", account="a-1", day=TODAY) == {
        "error": f"no meal for account a-1: already served on {TODAY}"
    }
    wire.settle()
    assert wire.central.balance("a-1") == 2 * -366
    everything_is_consistent(wire)


def test_a_rule_that_keeps_longer_does_not_reopen_a_pruned_day(wire: Wire) -> None:
    wire.central.policy(keep_days=1, double_meal="keep")
    wire.settle()
    for _ in range(4):
        wire.box.tap(CARD)
        wire.box.tap(OTHER_CARD)
        wire.settle()
        wire.pass_time(DAY_MS)
    balance = wire.central.balance("a-1")
    wire.central.policy(keep_days=60, double_meal="keep")
    wire.settle()
    assert "some meals of that day were pruned" in str(
        wire.box.ask("meal", account="a-1", day="2026-11-23")
    )
    wire.settle()
    assert wire.central.balance("a-1") == balance


def test_a_day_of_which_a_part_was_pruned_takes_no_late_meal(wire: Wire) -> None:
    """The pruned part may have had this meal: only the office knows."""
    wire.central.policy(keep_days=1, double_meal="keep")
    wire.settle()
    for card in (CARD, OTHER_CARD):  # an hour apart
        wire.box.tap(card)
        wire.pass_time(3_600_000)
    wire.clock.pass_ms(DAY_MS - 5_400_000)  # the first is older than a day, the second is not
    wire.box.tap(UNKNOWN_CARD)  # the newest day is never pruned
    wire.pass_time(60_000)
    assert [entry.account for entry in wire.box.entries()] == ["a-2", None]
    wire.central.policy(keep_days=60, double_meal="keep")
    wire.settle()
    for account in ("a-1", "a-2"):
        answer = wire.box.ask("meal", account=account, day=TODAY)
        assert "some meals of that day were pruned" in str(answer)
    wire.settle()
    assert [wire.central.balance(account) for account in ("a-1", "a-2")] == [-366, -366]


def switched_on_ahead(wire: Wire, *, days: int) -> None:
    """The terminal was off; now its clock is ahead and no time server has answered yet."""
    wire.disconnect()
    wire.box.boot, wire.box.synced, wire.box.wall_offset = "boot-2", False, timedelta(days=days)
    wire.clock.mono_ms = 5_000
    wire.box.restart()


# C109
def test_a_central_restored_to_before_the_kept_entries_records_a_hole_and_continues(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.central.policy(keep_days=1)
    wire.settle()
    for _ in range(5):
        wire.box.tap(CARD)
        wire.settle()
        wire.pass_time(24 * 3_600_000)
    assert standing(wire.box.db).oldest > 1
    wire.disconnect()
    with wire.central.books.transaction() as sql:  # a backup from before the first meal
        sql.execute("DROP TRIGGER entry_never_deleted")
        sql.execute("DROP TRIGGER posting_never_deleted")
        sql.execute("DELETE FROM entry")
        sql.execute("DELETE FROM posting")
        sql.execute("DELETE FROM chain")
        sql.execute("UPDATE account SET balance = 0")
        sql.execute("UPDATE central SET position = 8")
        sql.execute("UPDATE account SET p = 3")
    wire.central.restart()
    caplog.set_level(logging.CRITICAL)
    wire.connect()
    for _ in range(4):
        wire.pass_time(60_000)
    assert wire.central.value("SELECT count(*) FROM incident WHERE kind = 'hole'") == 1
    both_sides_are_equal(wire)


def test_the_hello_has_the_terminals_standing(wire: Wire) -> None:
    wire.box.tap(CARD)
    wire.settle()
    wire.pass_time(300_000)
    hello = decode([payload for topic, payload in wire.log if topic.endswith(HELLO)][-1], Hello)
    own = standing(wire.box.db)
    assert (hello.last, hello.acked, hello.position) == (1, 1, own.position)
    assert (hello.head, hello.acked_head) == (own.end.hash, own.end.hash)


def test_a_batch_has_the_hashed_entries(wire: Wire) -> None:
    wire.box.tap(CARD)
    wire.box.tap(OTHER_CARD)
    wire.settle()
    batch = decode([payload for topic, payload in wire.log if topic.endswith(ENTRIES)][-1], Entries)
    assert [msgspec.json.decode(raw)["seq"] for raw in batch.entries] == [1, 2]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE record SET body = json_set(body, '$.balance', 6400) WHERE id = 'a-1'",
        "DELETE FROM record WHERE id = 'a-1'",
    ],
)
def test_a_changed_file_is_noticed_within_one_heartbeat_and_repaired(
    wire: Wire, damage: str
) -> None:
    wire.box.tap(CARD)
    wire.settle()
    wire.box.db.sql.execute(damage)
    assert wire.box.balance("a-1") != wire.central.balance("a-1")
    wire.pass_time(HEARTBEAT_MS)
    a_difference_is_found_once_and_repaired(wire.box.db, wire.central.books, "t-1", before=0)


@pytest.mark.parametrize("ago_ms", [CONTACT_EVERY_MS, CONTACT_EVERY_MS - 1, -1, -604_800_000])
def test_a_contact_a_minute_old_or_of_the_future_is_replaced(wire: Wire, ago_ms: int) -> None:
    """A clock that was ahead for a minute would spoil the age of the data for days."""
    wire.settle()
    at = format_instant(wire.clock.now + timedelta(milliseconds=HEARTBEAT_MS))
    before = format_instant(parse_instant(at) - timedelta(milliseconds=ago_ms))
    writes.note_contact(wire.box.db, before)
    wire.pass_time(HEARTBEAT_MS)
    is_kept = 0 <= ago_ms < CONTACT_EVERY_MS
    assert standing(wire.box.db).last_contact_at == (before if is_kept else at)


def test_a_central_that_lost_pruned_entries_is_followed(wire: Wire) -> None:
    """Pruned entries cannot be sent again: acknowledging fewer is no step back."""
    for _ in range(4):
        wire.box.tap(CARD)
    wire.settle()
    assert pruning.prune(wire.box.db, before="2027-01-01T00:00:00.000Z", below=2**60) == 3
    older = last_changes(wire) | {
        "generation": "b" * 32,
        "replaces": last_changes(wire)["generation"],
        "from": 0,
        "to": 5,
        "reset": True,
    }
    start = {"epoch": standing(wire.box.db).epoch, "seq": 0, "hash": "0" * 64}
    down(wire, json.dumps(older | {"acked": start | {"seq": 1}, "digest": None}).encode())
    down(
        wire,
        json.dumps(
            older
            | {"acked": start, "from": 5, "to": 6, "reset": False, "replaces": None, "digest": None}
        ).encode(),
    )
    own = standing(wire.box.db)
    assert (own.generation, own.position, own.acked.seq, own.pending) == ("b" * 32, 6, 3, 1)


def test_after_a_new_epoch_an_entry_is_acknowledged_without_a_hello(wire: Wire) -> None:
    """An answer to entries also says that the earlier epochs are booked."""
    wire.box.tap(CARD)
    wire.settle()
    order(wire.central.books, "t-1", "new_epoch")
    wire.settle()
    wire.log.clear()
    wire.box.tap(OTHER_CARD)
    wire.settle()
    assert [topic.rpartition("/")[2] for topic, _ in wire.log] == ["entries", "changes"]
