"""No entry is refused: applied, flagged or set aside, and the account it names gets a new position."""

import json
from typing import Any

import pytest

from agent.domain.clock import ClockTrust
from agent.domain.ledger import Entry, How, Kind, canonical, chain_hash, genesis, seal
from agent.store.standing import standing
from tests.conftest import CARD
from tests.invariants import the_books_are_right
from tests.parts.wire import TODAY, TOWN, Wire

EPOCH = "1-00000000000000aa"
TERMINAL = "t-9"


class Foreign:
    """A terminal of another maker: it says what it likes."""

    def __init__(self, wire: Wire) -> None:
        from agent.central.office.desk import add_terminal

        self.wire = wire
        self.seq = 0
        self.previous = genesis(TOWN, TERMINAL, EPOCH)
        add_terminal(wire.central.ledger, TERMINAL, "primaria")
        self.hello()

    def hello(self) -> dict[str, Any]:
        hello = {
            "epoch": EPOCH, "oldest": 1, "last": self.seq, "acked": 0, "head": self.previous, "acked_head": genesis(TOWN, TERMINAL, EPOCH),
            "generation": None, "position": 0, "order_done": None, "software": "other", "schema": 1, "clock": "synced",
            "at": "2026-11-23T11:00:00.000Z",
        }  # fmt: skip
        return self.answer("hello", hello)

    def send(self, *entries: dict[str, Any], first: int | None = None) -> dict[str, Any]:
        """Send entries as one batch, each sealed as it is, and return the answer."""
        batch: dict[str, Any] = {"epoch": EPOCH, "prev": self.previous, "entries": []}
        for entry in entries:
            self.seq += 1
            sealed = {**entry, "seq": first if first is not None else self.seq}
            sealed["hash"] = chain_hash(self.previous, canonical(sealed))
            self.previous = sealed["hash"]
            batch["entries"].append(sealed)
        return self.answer("entries", batch)

    def answer(self, leaf: str, message: dict[str, Any]) -> dict[str, Any]:
        topic = f"canteen/v1/{TOWN}/t/{TERMINAL}/{leaf}"
        sent = self.wire.central.exchange.receive(
            topic, json.dumps(message).encode(), self.wire.clock.instant
        )
        return json.loads(sent[0].payload) if sent else {}


def meal(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "meal", "account": "a-1", "cents": -366, "service": "lunch", "day": TODAY, "at": "2026-11-23T11:02:05.331Z",
        "clock": "synced", "boot": "b", "mono_ms": 1, "how": "card", **changes,
    }  # fmt: skip


@pytest.fixture
def foreign(wire: Wire) -> Foreign:
    return Foreign(wire)


def status(foreign: Foreign) -> tuple[str, str]:
    row = foreign.wire.central.ledger.sql.execute(
        "SELECT status, reason FROM entry WHERE terminal = ? ORDER BY seq DESC LIMIT 1", (TERMINAL,)
    ).fetchone()
    return row["status"], row["reason"]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (meal(kind="dance"), "not an entry: Invalid enum value 'dance'"),
        (meal(cents=366), "a meal with positive cents"),
        (meal(cents="much"), "not an entry: Expected `int`"),
        (meal(account=["a-1"]), "not an entry: Expected `str | null`"),
        (meal(account="nobody"), "unknown_account"),
        (meal(day=None, service=None), "a meal without service and day"),
        (meal(kind="storno", cents=366, reverses={"epoch": EPOCH, "seq": 77}), "storno_of_no_meal"),
        (meal(kind="unknown_meal", account=None, card="ab" * 16, cents=0), "unknown_card"),
    ],
)
def test_what_cannot_be_booked_is_set_aside_and_the_mark_moves_on(
    foreign: Foreign, entry: dict[str, Any], reason: str
) -> None:
    entry = {name: value for name, value in entry.items() if value is not None}
    answer = foreign.send(entry, meal(account="a-2"))
    assert answer["acked"]["seq"] == 2
    assert answer["notes"][0]["status"] == "set_aside" and answer["notes"][0]["reason"].startswith(
        reason
    )
    assert foreign.wire.central.balance("a-2") == -366 and foreign.wire.central.balance("a-1") == 0
    the_books_are_right(foreign.wire.central.ledger)


def test_an_account_the_central_does_not_have_is_said_to_be_gone(foreign: Foreign) -> None:
    answer = foreign.send(meal(account="nobody"))
    assert {"k": "gone", "of": "account", "id": "nobody"}.items() <= answer["records"][-1].items()


def test_an_entry_named_in_vain_still_renews_its_account(foreign: Foreign) -> None:
    answer = foreign.send(meal(cents=366))
    assert [record["id"] for record in answer["records"] if record["k"] == "account"] == ["a-1"]


def test_a_storno_twice_is_set_aside(foreign: Foreign) -> None:
    storno = meal(kind="storno", cents=366, reverses={"epoch": EPOCH, "seq": 1})
    foreign.send(meal(), storno)
    foreign.send(storno)
    assert status(foreign) == ("set_aside", "storno_repeated")
    assert foreign.wire.central.balance("a-1") == 0


def test_a_storno_that_comes_before_its_meal_undoes_it_when_it_comes(foreign: Foreign) -> None:
    """Both are of one number: the meal is on another copy of that disk."""
    start = foreign.previous
    undone = chain_hash(start, canonical({**meal(), "seq": 1}))
    foreign.send(
        meal(kind="storno", cents=366, reverses={"epoch": EPOCH, "seq": 1, "hash": undone})
    )
    assert status(foreign) == ("set_aside", "storno_of_no_meal")
    foreign.seq, foreign.previous = 0, start
    foreign.send(meal())
    assert foreign.wire.central.one("SELECT count(*) FROM entry WHERE hash = ?", undone) == 1
    assert foreign.wire.central.balance("a-1") == 0
    the_books_are_right(foreign.wire.central.ledger)


def test_a_storno_of_another_amount_is_booked_and_flagged(foreign: Foreign) -> None:
    foreign.send(meal(), meal(kind="storno", cents=100, reverses={"epoch": EPOCH, "seq": 1}))
    assert status(foreign) == ("flagged", "not_the_amount_of_its_meal")
    assert foreign.wire.central.balance("a-1") == -266


def test_a_hash_that_does_not_fit_is_flagged_and_booked(foreign: Foreign) -> None:
    batch = {
        "epoch": EPOCH,
        "prev": foreign.previous,
        "entries": [{**meal(), "seq": 1, "hash": "ab" * 32}],
    }
    answer = foreign.answer("entries", batch)
    assert answer["notes"] == [{"seq": 1, "status": "flagged", "reason": "its hash does not fit"}]
    assert foreign.wire.central.balance("a-1") == -366


def test_the_same_batch_again_is_answered_as_the_first_time(foreign: Foreign) -> None:
    sealed, _ = seal(
        Entry(
            kind=Kind.MEAL, cents=-366, at="2026-11-23T11:02:05.331Z", clock=ClockTrust.SYNCED, boot="b", mono_ms=1, how=How.CARD,
            account="a-1", service="lunch", day=TODAY,
        ),
        seq=1,
        previous=foreign.previous,
    )  # fmt: skip
    batch = {"epoch": EPOCH, "prev": foreign.previous, "entries": [json.loads(canonical(sealed))]}
    first, second = foreign.answer("entries", batch), foreign.answer("entries", batch)
    assert first["acked"] == second["acked"]
    assert foreign.wire.central.balance("a-1") == -366


def test_a_batch_behind_a_gap_is_ignored_and_the_answer_shows_where_the_prefix_ends(
    foreign: Foreign,
) -> None:
    foreign.seq, foreign.previous = 5, "cd" * 32
    answer = foreign.send(meal())
    assert answer["acked"]["seq"] == 0
    assert foreign.wire.central.balance("a-1") == 0


@pytest.mark.parametrize(
    "entries",
    [
        [{**meal(), "seq": 1, "hash": "ab" * 32}, {**meal(), "seq": 3, "hash": "ab" * 32}],
        [{**meal(), "seq": "1", "hash": "ab" * 32}],
        [7],
        [],
    ],
)
def test_a_batch_without_consecutive_keys_is_set_aside_whole(
    foreign: Foreign, entries: list[Any]
) -> None:
    foreign.answer("entries", {"epoch": EPOCH, "prev": foreign.previous, "entries": entries})
    assert foreign.wire.central.one("SELECT count(*) FROM set_aside") == 1
    foreign.send(meal())
    assert foreign.wire.central.balance("a-1") == -366


def test_a_terminal_nobody_added_is_set_aside_with_what_to_do(wire: Wire) -> None:
    wire.central.exchange.receive(
        f"canteen/v1/{TOWN}/t/stranger/state", b'{"online":true}', wire.clock.instant
    )
    assert "central terminals add" in str(wire.central.one("SELECT reason FROM set_aside"))


def test_two_boxes_with_one_identity_are_both_booked_flagged_and_parted(wire: Wire) -> None:
    import shutil

    from tests.parts.wire import Box

    wire.box.tap(CARD)
    wire.settle()
    wire.box.db.checkpoint()
    clone_path = wire.box.path.with_name("clone.db")
    shutil.copyfile(wire.box.path, clone_path)
    wire.disconnect()
    clone = Box("t-1", clone_path, wire.clock)
    clone.epochs = 50  # its own randomness
    wire.clock.pass_ms(24 * 3_600_000)
    wire.box.tap(CARD)
    clone.tap("em:010063e9ae")
    wire.connect()
    assert wire.central.balance("a-1") == -2 * 366
    original = wire.boxes["t-1"]
    wire.disconnect()
    wire.boxes["t-1"] = clone
    wire.connect()
    assert wire.central.balance("a-2") == -366
    assert wire.central.one("SELECT forked FROM terminal WHERE id = 't-1'") == 1
    wire.pass_time(300_000)
    assert standing(clone.db).epoch != standing(original.db).epoch
    for account in ("a-1", "a-2"):
        assert clone.balance(account) == wire.central.balance(account)
