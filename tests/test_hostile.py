"""Hostile or useless input from a terminal, the central, the staff or a file stops nobody."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.central.office.roster import read_roster
from agent.central.office.terminals import add_terminal, retire_terminal
from agent.domain.ledger import canonical, chain_hash, genesis
from agent.errors import REASON_LENGTH_MAX, CentralError
from agent.readers.events import Signal
from agent.store import lists
from agent.store.standing import standing
from tests.conftest import CARD, OTHER_CARD
from tests.invariants import the_books_are_consistent
from tests.parts.roster import load_roster
from tests.parts.wire import KEY, SITE, TODAY, TOWN, Wire, last_changes

Json = Mapping[str, object]
EPOCH = "1-00000000000000aa"
HASH = "ab" * 32
MEAL = {
    "kind": "meal",
    "account": "a-1",
    "cents": -366,
    "service": "lunch",
    "day": TODAY,
    "at": "2026-11-23T11:02:05.331Z",
    "clock": "synced",
    "boot": "b",
    "mono_ms": 1,
    "how": "card",
}
HELLO = {
    "epoch": EPOCH,
    "oldest": 1,
    "last": 1,
    "acked": 0,
    "head": HASH,
    "acked_head": genesis(TOWN, "t-9", EPOCH),
    "software": "x",
    "schema": 1,
    "clock": "synced",
    "at": "2026-11-23T11:00:00.000Z",
}


def batch(*entries: Json) -> bytes:
    """Return an `entries` message of terminal t-9, each entry with its seq and hash."""
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
    """Let the central receive a message of terminal t-9."""
    wire.central.exchange.receive(f"canteen/v1/{TOWN}/t/t-9/{leaf}", payload, wire.clock.instant)


BAD_BATCHES = {
    "a seq of 70 bits": batch({**MEAL, "seq": 2**70, "hash": HASH}),
    "a hash that is none, then a good entry": batch(
        {**MEAL, "hash": "z" * 64}, {**MEAL, "account": "a-2", "hash": HASH}
    ),
    "bad UTF-8 in an unknown field": batch({**MEAL, "x": "?"}).replace(b'"?"', b'"\xff"'),
    "an infinite number in an unknown field": batch({**MEAL, "x": 1}).replace(
        b'"x": 1', b'"x": 1e999'
    ),
    "a month 13 after an unset clock of the same boot": batch(
        {**MEAL, "clock": "unset"}, {**MEAL, "at": "2026-13-45T25:61:61.000Z"}
    ),
    "a monotonic clock of 285,000 years": batch(
        {**MEAL, "clock": "unset"}, {**MEAL, "mono_ms": 2**53}
    ),
    "a year in Arabic digits": batch({**MEAL, "at": "٢٠٢٦-11-23T11:02:05.331Z"}),
    "an account with 200,000 characters": batch({**MEAL, "account": "x" * 200_000}),
    "a meal of a billion euro": batch({**MEAL, "cents": -(10**11)}),
    "100,000 nested lists": batch(MEAL).replace(
        b'"boot"', b'"x": ' + b"[" * 100_000 + b"]" * 100_000 + b', "boot"'
    ),
}
BAD_UP = {name: ("entries", payload) for name, payload in BAD_BATCHES.items()} | {
    "bad UTF-8 in a state": ("state", b'{"online":true,"x":"\xff"}')
}


@pytest.mark.parametrize("name", BAD_UP)
def test_no_message_of_a_terminal_stops_the_central_or_another_terminal(
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


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([*MEAL.values(), EPOCH, HASH])
)
KEYS = st.sampled_from([*MEAL, "epoch", "prev", "entries", "seq", "hash"]) | st.text()
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner),
    max_leaves=12,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(leaf=st.sampled_from(["hello", "entries", "state", "changes"]), value=ANY_JSON)
def test_any_json_from_a_terminal_is_booked_or_set_aside(
    wire: Wire, leaf: str, value: object
) -> None:
    up(wire, leaf, json.dumps(value).encode())
    the_books_are_consistent(wire.central.books)


SERVICE = {"k": "service", "id": "lunch", "p": 9_000, "name": "x", "opens": "12:00"}
BAD_DOWN: list[Json] = [
    {"at": "2026-99-99T99:99:99.999Z"},
    {"at": "9999-12-31T23:59:59.999Z"},
    {"at": "2026-11-23T11:05:00.000Z\n"},
    {"records": [{**SERVICE, "closes": "14:00\n"}]},
    {"records": [{"k": "account", "id": "a-1", "p": 9_000, "balance": 2**70}]},
    {"order": {"id": "o-7\n", "do": "resync"}},
    {"notes": [{"seq": 1, "status": "\ud800", "reason": "x"}]},
]


@pytest.mark.parametrize("parts", BAD_DOWN)
def test_no_message_of_the_central_stops_a_terminal_before_or_after_a_restart(
    wire: Wire, parts: Json
) -> None:
    changes = last_changes(wire)
    to = changes["to"]
    assert isinstance(to, int)
    changes |= {"from": to, "to": to + 1, "digest": None, "reset": False, **parts}
    wire.deliver_down(f"canteen/v1/{TOWN}/t/t-1/changes", json.dumps(changes).encode())
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
def test_an_impossible_request_of_the_staff_is_refused_and_not_recorded(
    wire: Wire, do: str, arguments: dict[str, object]
) -> None:
    assert "error" in wire.box.ask(do, **arguments)
    wire.box.restart()
    assert wire.box.tap(CARD) is Signal.SERVED
    assert len(wire.box.entries()) == 1


def test_a_late_copy_of_a_done_order_is_not_obeyed(wire: Wire) -> None:
    retire_terminal(wire.central.books, "t-1")
    wire.settle()
    old = [payload for topic, payload in wire.log if b'"wipe"' in payload]
    wire.pass_time(300_000)
    add_terminal(wire.central.books, "t-1", SITE)
    wire.settle()
    wire.pass_time(300_000)
    assert wire.box.balance("a-1") == 0
    assert old
    for payload in old:
        wire.deliver_down(f"canteen/v1/{TOWN}/t/t-1/changes", payload)
    assert wire.box.balance("a-1") == 0


def test_meals_of_a_card_and_an_account_that_a_later_roster_adds_are_booked(
    wire: Wire, tmp_path: Path
) -> None:
    add_terminal(wire.central.books, "t-9", SITE)
    meal = batch({**MEAL, "account": "a-10"})
    up(wire, "entries", meal)  # the central books nothing before a hello
    up(wire, "hello", json.dumps(HELLO).encode())
    up(wire, "entries", meal)
    wire.box.tap("em:0100000001")
    wire.settle()
    path = tmp_path / "roster.csv"
    path.write_text(
        "account,site,cards,prices\n"
        "a-10,primaria,,lunch 2026-09-01 3.66\n"
        "a-11,primaria,em:0100000001,lunch 2026-09-01 2.00\n",
        encoding="utf-8",
    )
    load_roster(wire, path)
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
def test_a_roster_line_that_no_terminal_could_read_is_refused(tmp_path: Path, row: str) -> None:
    path = tmp_path / "roster.csv"
    path.write_text(f"account,site,class,prices\n{row}\n", encoding="utf-8")
    with pytest.raises(CentralError, match="line 2"):
        read_roster(path, KEY)


def test_a_blocked_card_is_refused_even_if_its_account_is_missing(wire: Wire) -> None:
    books = wire.central.books.sql
    books.execute("UPDATE card SET status = 'blocked', p = 100 WHERE account = 'a-1'")
    books.execute("UPDATE central SET position = 100")
    wire.settle()
    wire.box.db.sql.execute("DELETE FROM record WHERE id = 'a-1'")
    assert wire.box.tap(CARD) is Signal.REFUSED


def test_an_unknown_value_is_repeated_neither_in_the_file_nor_in_the_log(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    """A decoder quotes what it read. A flood of it must not fill the card."""
    changes = last_changes(wire)
    to = int(str(changes["to"]))
    record = {"k": "account", "id": "a-1", "p": to + 1, "balance": 7, "status": "x" * 50_000}
    changes |= {"from": to, "to": to + 1, "digest": None, "records": [record]}
    wire.deliver_down(f"canteen/v1/{TOWN}/t/t-1/changes", json.dumps(changes).encode())
    details = [row.detail for row in lists.incidents(wire.box.db)]
    assert len(details) == 1 and "xxx" not in details[0]
    assert len(details[0]) <= REASON_LENGTH_MAX
    assert max(map(len, caplog.messages)) < 3 * REASON_LENGTH_MAX
