"""Hostile input from either side, late messages and restores, with the real store, session and central."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.central.office.roster import import_roster, read_roster
from agent.central.office.terminals import add_terminal, order, retire_terminal
from agent.domain.ledger import canonical, chain_hash, genesis
from agent.errors import CentralError
from agent.readers.events import Signal
from agent.store.standing import standing
from agent.sync.events import Arrived
from agent.sync.session import HEARTBEAT_MS
from tests.conftest import CARD, OTHER_CARD
from tests.invariants import (
    both_sides_are_equal,
    everything_is_consistent,
    the_books_are_consistent,
)
from tests.parts.wire import KEY, SITE, TODAY, TOWN, Wire

DAY_MS = 24 * 3_600_000
EPOCH = "1-00000000000000aa"
MEAL = {
    "kind": "meal", "account": "a-1", "cents": -366, "service": "lunch", "day": TODAY, "at": "2026-11-23T11:02:05.331Z",
    "clock": "synced", "boot": "b", "mono_ms": 1, "how": "card",
}  # fmt: skip


def batch(*entries: dict[str, Any]) -> bytes:
    previous = start = genesis(TOWN, "t-9", EPOCH)
    sealed = []
    for seq, entry in enumerate(entries, start=1):
        members = {"seq": seq, **entry}
        if "hash" not in members:
            members["hash"] = chain_hash(previous, canonical(members))
        previous = str(members["hash"])
        sealed.append(members)
    return json.dumps({"epoch": EPOCH, "prev": start, "entries": sealed}).encode()


def up(wire: Wire, leaf: str, payload: bytes) -> None:
    wire.central.exchange.receive(f"canteen/v1/{TOWN}/t/t-9/{leaf}", payload, wire.clock.instant)


HASH = "ab" * 32
BAD_UP = {
    "seq beyond 64 bits": ("entries", batch({**MEAL, "seq": 2**70, "hash": HASH})),
    "a hash that is none, then a good entry": (
        "entries",
        batch({**MEAL, "hash": "z" * 64}, {**MEAL, "account": "a-2", "hash": HASH}),
    ),
    "bad UTF-8 in a field nobody knows": (
        "entries",
        batch({**MEAL, "x": "?"}).replace(b'"?"', b'"\xff"'),
    ),
    "a number out of range in a field nobody knows": (
        "entries",
        batch({**MEAL, "x": 1}).replace(b'"x": 1', b'"x": 1e999'),
    ),
    "a month 13 after an unset clock of the same boot": (
        "entries",
        batch({**MEAL, "clock": "unset"}, {**MEAL, "at": "2026-13-45T25:61:61.000Z"}),
    ),
    "a monotonic clock of aeons": (
        "entries",
        batch({**MEAL, "clock": "unset"}, {**MEAL, "mono_ms": 2**53}),
    ),
    "digits of another script": ("entries", batch({**MEAL, "at": "٢٠٢٦-11-23T11:02:05.331Z"})),
    "an account with a very long name": ("entries", batch({**MEAL, "account": "x" * 200_000})),
    "cents beyond any price": ("entries", batch({**MEAL, "cents": -(10**11)})),
    "bad UTF-8 in a state": ("state", b'{"online":true,"x":"\xff"}'),
    "nested beyond reason": (
        "entries",
        batch(MEAL).replace(b'"boot"', b'"x": ' + b"[" * 100_000 + b"]" * 100_000 + b', "boot"'),
    ),
}


@pytest.mark.parametrize("name", BAD_UP)
def test_nothing_a_terminal_sends_stops_the_central_or_another_terminal(
    wire: Wire, name: str
) -> None:
    add_terminal(wire.central.books, "t-9", SITE)
    up(wire, *BAD_UP[name])
    wire.box.tap(OTHER_CARD)
    wire.central.credit("a-2", 1_000, "r-1")
    wire.settle()
    assert wire.box.balance("a-2") == wire.central.balance("a-2") == 1_000 - 366
    assert standing(wire.box.db).pending == 0
    the_books_are_consistent(wire.central.books)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    leaf=st.sampled_from(["hello", "entries", "state", "changes"]),
    value=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.sampled_from([*MEAL.values(), EPOCH, HASH]),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from([*MEAL, "epoch", "prev", "entries", "seq", "hash"]) | st.text(),
                inner,
            )
        ),
        max_leaves=12,
    ),
)
def test_any_json_from_a_terminal_is_booked_or_set_aside(
    wire: Wire, leaf: str, value: object
) -> None:
    up(wire, leaf, json.dumps(value).encode())


BAD_DOWN = [
    {"at": "2026-99-99T99:99:99.999Z"},
    {"at": "9999-12-31T23:59:59.999Z"},
    {"at": "2026-11-23T11:05:00.000Z\n"},
    {
        "records": [
            {
                "k": "service",
                "id": "lunch",
                "p": 9_000,
                "name": "x",
                "opens": "12:00",
                "closes": "14:00\n",
            }
        ]
    },
    {"records": [{"k": "account", "id": "a-1", "p": 9_000, "balance": 2**70}]},
    {"order": {"id": "o-7\n", "do": "resync"}},
    {"notes": [{"seq": 1, "status": "\ud800", "reason": "x"}]},
]


@pytest.mark.parametrize("change", BAD_DOWN)
def test_nothing_the_central_sends_keeps_a_terminal_from_serving_now_or_after_a_restart(
    wire: Wire, change: dict[str, Any]
) -> None:
    changes = json.loads([payload for topic, payload in wire.log if topic.endswith("/changes")][-1])
    changes |= {
        "from": changes["to"],
        "to": changes["to"] + 1,
        "digest": None,
        "reset": False,
        **change,
    }
    wire.box.handle(
        Arrived(
            topic=f"canteen/v1/{TOWN}/t/t-1/changes",
            payload=json.dumps(changes).encode(),
            receipt=None,
        )
    )
    assert wire.box.tap(CARD) is Signal.SERVED
    wire.box.restart()
    assert wire.box.tap(OTHER_CARD) is Signal.SERVED


@pytest.mark.parametrize(
    ("do", "arguments"),
    [
        ("closing", {"trays": 1_000_000}),
        ("closing", {"trays": "7"}),
        ("meal", {"account": "a-1", "day": "126-11-20"}),
        ("meal", {"account": "a-1", "day": "2026-02-31"}),
        ("meal", {"account": "\ud800"}),
        ("meal", {}),
        ("storno", {"seq": 2**70}),
        ("storno", {"seq": [1]}),
        ("dance", {}),
    ],
)
def test_nothing_the_staff_types_is_recorded_that_cannot_be_read_again(
    wire: Wire, do: str, arguments: dict[str, Any]
) -> None:
    assert "error" in wire.box.ask(do, **arguments)
    wire.box.restart()
    assert wire.box.tap(CARD) is Signal.SERVED
    assert len(wire.box.entries()) == 1


def test_a_request_whose_asker_was_told_no_answer_is_not_done(wire: Wire) -> None:
    from agent.terminal.control import Request

    wire.box.tap(CARD)
    request = Request("storno", {})
    request.abandoned.set()
    wire.box.handle(request)
    assert len(wire.box.entries()) == 1


def test_a_late_copy_of_an_order_done_long_ago_is_not_obeyed(wire: Wire) -> None:
    retire_terminal(wire.central.books, "t-1")
    wire.settle()
    old = [payload for topic, payload in wire.log if b'"wipe"' in payload]
    wire.pass_time(300_000)
    add_terminal(wire.central.books, "t-1", SITE)
    wire.settle()
    wire.pass_time(300_000)
    assert wire.box.balance("a-1") == 0
    for payload in old:
        wire.deliver_down(f"canteen/v1/{TOWN}/t/t-1/changes", payload)
    assert wire.box.balance("a-1") == 0


def test_a_late_snapshot_of_a_journal_that_is_over_changes_nothing(wire: Wire) -> None:
    from agent.central.office.terminals import new_generation

    first = next(payload for topic, payload in wire.log if topic.endswith("/changes"))
    wire.box.tap(CARD)
    new_generation(wire.central.books, "f" * 32, at=wire.clock.instant, reason="test")
    wire.announce()
    wire.settle()
    before = standing(wire.box.db)
    assert before.generation == "f" * 32
    wire.deliver_down(f"canteen/v1/{TOWN}/t/t-1/changes", first)
    assert standing(wire.box.db) == before


def test_a_central_restored_from_before_a_new_epoch_gets_the_earlier_epochs_meals_back(
    wire: Wire, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.db"
    shutil.copyfile(wire.central.path, backup)
    wire.box.tap(CARD)
    wire.settle()
    order(wire.central.books, "t-1", "new_epoch")
    wire.settle()
    wire.clock.pass_ms(DAY_MS)
    wire.box.tap(OTHER_CARD)
    wire.settle()
    assert standing(wire.box.db).epoch.startswith("2-")
    wire.disconnect()
    wire.central.books.close()
    shutil.copyfile(backup, wire.central.path)
    wire.central.restart()
    wire.connect()
    wire.pass_time(5_000)
    assert (wire.central.balance("a-1"), wire.central.balance("a-2")) == (-366, -366)
    everything_is_consistent(wire)


def test_a_restored_central_begins_one_journal_however_many_terminals_have_pruned(
    tmp_path: Path,
) -> None:
    wire = Wire(tmp_path, "t-1", "t-2", "t-3")
    wire.central.policy(keep_days=1)
    wire.central.add_account("a-1", cards=(CARD,))
    wire.connect()
    backup = tmp_path / "backup.db"
    shutil.copyfile(wire.central.path, backup)
    for _ in range(5):
        for box in wire.boxes.values():
            box.tap(CARD)
        wire.settle()
        wire.pass_time(DAY_MS)
    assert all(standing(box.db).oldest > 1 for box in wire.boxes.values())
    wire.disconnect()
    wire.central.books.close()
    shutil.copyfile(backup, wire.central.path)
    wire.central.restart()
    wire.drop = lambda topic, payload: topic.endswith("/entries")  # nothing gets through at first
    wire.connect()
    wire.pass_time(60_000)
    wire.drop = lambda topic, payload: False
    for _ in range(6):
        wire.pass_time(120_000)
    assert wire.central.one("SELECT count(*) FROM incident WHERE kind = 'new_generation'") == 1
    both_sides_are_equal(wire)
    wire.close()


def test_order_ids_of_another_life_of_the_central_are_other_ids(wire: Wire, tmp_path: Path) -> None:
    backup = tmp_path / "backup.db"
    shutil.copyfile(wire.central.path, backup)
    first = order(wire.central.books, "t-1", "new_epoch")
    wire.settle()
    wire.disconnect()
    wire.central.books.close()
    shutil.copyfile(backup, wire.central.path)
    wire.central.restart()
    wire.box.tap(CARD)
    wire.connect()
    wire.pass_time(5_000)
    second = order(wire.central.books, "t-1", "new_epoch")
    wire.settle()
    assert first != second and standing(wire.box.db).epoch.startswith("3-")


def test_a_wipe_that_waits_is_not_displaced(wire: Wire) -> None:
    retire_terminal(wire.central.books, "t-1")
    order(wire.central.books, "t-1", "new_epoch")
    assert wire.central.one("SELECT order_do FROM terminal") == "wipe"


def test_a_wiped_box_holds_nothing_of_a_child_in_its_files(wire: Wire) -> None:
    wire.central.policy()
    wire.central.books.sql.execute("UPDATE account SET class = 'Classe Girasole'")
    wire.central.credit("a-1", 1, "r-1")
    wire.settle()
    wire.box.handle(
        Arrived(
            topic=f"canteen/v1/{TOWN}/t/t-1/changes", payload=b'{"Classe Girasole', receipt=None
        )
    )
    retire_terminal(wire.central.books, "t-1")
    wire.settle()
    files = b"".join(path.read_bytes() for path in wire.box.path.parent.glob("t-1.db*"))
    assert b"Girasole" not in files


def test_a_storno_on_a_restored_card_undoes_the_meal_of_its_own_line(
    wire: Wire, tmp_path: Path
) -> None:
    box = wire.box
    image = tmp_path / "image.db"
    shutil.copyfile(box.path, image)
    for suffix in ("-wal",):
        if Path(f"{box.path}{suffix}").exists():
            shutil.copyfile(f"{box.path}{suffix}", f"{image}{suffix}")
    for n in range(2):
        wire.clock.pass_ms(DAY_MS if n else 0)
        box.tap(CARD)
        wire.settle()
        box.ask("storno")
        wire.settle()
        wire.disconnect()
        box.db.close()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{box.path}{suffix}").unlink(missing_ok=True)
            if Path(f"{image}{suffix}").exists():
                shutil.copyfile(f"{image}{suffix}", f"{box.path}{suffix}")
        box.start()
        if n == 0:
            wire.connect()
    wire.connect()
    wire.pass_time(
        HEARTBEAT_MS
    )  # a hello no newer than the last may be an old one: it is believed when it is said again
    assert wire.central.balance("a-1") == 0
    both_sides_are_equal(wire)
    the_books_are_consistent(wire.central.books)


def test_meals_of_a_card_and_of_an_account_that_a_roster_brings_later_are_booked(
    wire: Wire, tmp_path: Path
) -> None:
    add_terminal(wire.central.books, "t-9", SITE)
    up(wire, "entries", batch({**MEAL, "account": "a-10"}))  # before any hello nothing is booked
    hello = {
        "epoch": EPOCH, "oldest": 1, "last": 1, "acked": 0, "head": HASH, "acked_head": genesis(TOWN, "t-9", EPOCH), "software": "x",
        "schema": 1, "clock": "synced", "at": "2026-11-23T11:00:00.000Z",
    }  # fmt: skip
    up(wire, "hello", json.dumps(hello).encode())
    up(wire, "entries", batch({**MEAL, "account": "a-10"}))
    wire.box.tap("em:0100000001")
    wire.settle()
    path = tmp_path / "r.csv"
    path.write_text(
        "account,site,cards,prices\na-10,primaria,,lunch 2026-09-01 3.66\na-11,primaria,em:0100000001,lunch 2026-09-01 2.00\n",
        "utf-8",
    )
    import_roster(wire.central.books, read_roster(path, KEY), lambda: None, at=wire.clock.instant)
    wire.settle()
    assert (wire.central.balance("a-10"), wire.central.balance("a-11")) == (-366, -200)
    assert wire.box.balance("a-11") == -200
    the_books_are_consistent(wire.central.books)


@pytest.mark.parametrize(
    "row",
    [
        "a-1,primaria,,lunch 2026-09-01 1000.01",
        "a-1,primaria,,lunch 2026-09-01 1.00 | lunch 2026-09-01 2.00",
        f"a-1,primaria,{'x' * 65},lunch 2026-09-01 1.00",
    ],
)
def test_a_roster_line_no_terminal_could_read_is_a_bad_line(tmp_path: Path, row: str) -> None:
    (tmp_path / "r.csv").write_text(f"account,site,class,prices\n{row}\n", encoding="utf-8")
    with pytest.raises(CentralError, match="line 2"):
        read_roster(tmp_path / "r.csv", KEY)


def test_a_blocked_card_is_blocked_even_where_its_account_is_not_known(wire: Wire) -> None:
    wire.central.books.sql.execute(
        "UPDATE card SET status = 'blocked', p = 100 WHERE account = 'a-1'"
    )
    wire.central.books.sql.execute("UPDATE central SET position = 100")
    wire.settle()
    wire.box.db.sql.execute("DELETE FROM record WHERE id = 'a-1'")
    assert wire.box.tap(CARD) is Signal.REFUSED
