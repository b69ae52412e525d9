"""What people request of a running terminal: answers, and refusals that change nothing."""

from datetime import timedelta

import pytest

from agent.central.books import lists as central_lists
from agent.central.office.terminals import order
from agent.domain.ledger import SEQ_MAX, Kind
from agent.ops.control_messages import Storno
from agent.store import lists, reads
from agent.terminal.control import Request
from tests.conftest import CARD, OTHER_CARD
from tests.parts.wire import TODAY, USER, Wire


def refusal(wire: Wire, do: str, **arguments: object) -> str:
    """Return the sentence of a refused request that recorded nothing."""
    before = len(wire.box.entries())
    answer = wire.box.ask(do, **arguments)
    assert list(answer) == ["error"] and len(wire.box.entries()) == before
    return str(answer["error"])


def test_a_meal_is_undone_and_its_price_comes_back(wire: Wire) -> None:
    wire.box.tap(CARD)
    answer = wire.box.ask("storno", seq=1)
    assert (answer["seq"], answer["account"], answer["cents"]) == (2, "a-1", 366)
    assert wire.box.balance("a-1") == 0


def test_a_meal_is_undone_once(wire: Wire) -> None:
    wire.box.tap(CARD)
    assert "error" not in wire.box.ask("storno", seq=1)
    again = wire.box.ask("storno", seq=1)
    assert again["repeated"] and again["seq"] == 2
    assert refusal(wire, "storno", seq=2) == "entry 2 is not a meal; only a meal can be undone"


def test_a_storno_without_a_meal_is_refused_and_a_retry_never_undoes_another_one(
    wire: Wire,
) -> None:
    """The answer is lost, the next child taps, and the client asks again."""
    wire.box.tap(CARD)
    assert refusal(wire, "storno") == "request 'storno': argument 'seq' is missing"
    first = wire.box.ask("storno", seq=1)
    wire.box.tap(OTHER_CARD)
    assert wire.box.ask("storno", seq=1) == {**first, "repeated": True}
    assert [entry.kind for entry in wire.box.entries()].count(Kind.STORNO) == 1


def test_a_late_meal_requested_again_is_the_first_one(wire: Wire) -> None:
    first = wire.box.ask("meal", account="a-1", day="2026-11-20")
    assert wire.box.ask("meal", account="a-1", day="2026-11-20") == {**first, "repeated": True}
    assert len(wire.box.entries()) == 1


def test_an_undo_that_names_its_epoch_never_undoes_another_childs_meal(wire: Wire) -> None:
    """After a new epoch the same number is another meal; the screen still shows the earlier one."""
    wire.box.tap(CARD)
    wire.settle()
    order(wire.central.books, "t-1", "new_epoch")
    wire.settle()
    wire.box.tap(OTHER_CARD)
    earlier, later = reads.entries(wire.box.db, newest=2)
    assert earlier.epoch != later.epoch and earlier.entry.seq == later.entry.seq == 1
    answer = wire.box.ask("storno", epoch=earlier.epoch, seq=1)
    assert (answer["kind"], answer["account"]) == ("storno", "a-1")
    assert wire.box.ask("storno", epoch=earlier.epoch, seq=1) == {**answer, "repeated": True}
    assert "has no entry 1" in refusal(wire, "storno", epoch="9-0000000000000000", seq=1)
    assert "Expected `str | null`" in refusal(wire, "storno", epoch=7, seq=1)


@pytest.mark.parametrize("seq", [SEQ_MAX + 1, SEQ_MAX + 2, 2**53, 2**64, 0, -1])
def test_a_seq_beyond_seq_max_is_refused_and_undoes_nothing(wire: Wire, seq: int) -> None:
    """In the file's integer it would be the place of another entry: 8589934593 is entry 1."""
    wire.box.tap(CARD)
    assert "request 'storno': Expected `int`" in refusal(wire, "storno", seq=seq)
    (listed,) = reads.entries(wire.box.db, newest=10)
    assert (listed.entry.kind, listed.is_undone) == (Kind.MEAL, False)


def test_the_seq_8589934593_of_the_defect_is_beyond_seq_max() -> None:
    assert SEQ_MAX + 2 == 8_589_934_593


def test_an_entry_that_does_not_exist_cannot_be_undone(wire: Wire) -> None:
    assert refusal(wire, "storno", seq=SEQ_MAX) == f"this terminal has no entry {SEQ_MAX}"


def test_a_meal_by_name_is_recorded_once(wire: Wire) -> None:
    answer = wire.box.ask("meal", account="a-1", day=None, service=None)
    assert (answer["kind"], answer["account"], answer["day"]) == ("meal", "a-1", TODAY)
    answer = wire.box.ask("meal", account="a-1")
    assert answer == {"error": "no meal for account a-1: already served"}
    refused = wire.box.entries()[-1]
    assert (refused.kind, refused.how) == (Kind.REFUSAL, "manual")  # it is recorded as well


def test_a_service_is_closed_with_both_counts(wire: Wire) -> None:
    wire.box.tap(CARD)
    answer = wire.box.ask("closing", trays=7)
    assert (answer["kind"], answer["served"]) == ("closing", 1)
    assert wire.box.entries()[-1].trays == 7


def test_the_staffs_day_counts_while_no_time_is_confirmed(wire: Wire) -> None:
    assert "is not a possible day" in refusal(wire, "day", day="2026-11-31")
    wire.disconnect()
    wire.box.synced, wire.box.boot, wire.box.wall_offset = False, "boot-2", timedelta(days=-3)
    wire.box.restart()
    answer = wire.box.ask("day", day="2026-11-24")
    assert (answer["day"], answer["clock"]) == ("2026-11-24", "unset")
    wire.box.tap(CARD)
    assert wire.box.entries()[-1].day == "2026-11-24"


@pytest.mark.parametrize(
    ("do", "arguments", "sentence"),
    [
        ("dance", {}, "this agent does not know the request 'dance'"),
        ("meal", {}, "request 'meal': argument 'account' is missing"),
        ("closing", {}, "request 'closing': argument 'trays' is missing"),
        ("closing", {"trays": "7"}, "request 'closing': Expected `int`, got `str`"),
        ("storno", {"seq": "1"}, "request 'storno': Expected `int`, got `str`"),
        ("meal", {"account": "a/1"}, "request 'meal': Expected `str` matching regex"),
        ("meal", {"account": "nobody"}, "this terminal has no account nobody"),
        ("meal", {"account": "a-1", "day": "2026-13-01"}, "2026-13-01 is not a day"),
        ("meal", {"account": "a-1", "day": "2026-11-24"}, "2026-11-24 is in the future"),
        ("meal", {"account": "a-1", "day": TODAY, "service": "tea"}, "there is no service tea"),
    ],
)
def test_a_request_that_cannot_be_done_is_refused_with_a_sentence(
    wire: Wire, do: str, arguments: dict[str, object], sentence: str
) -> None:
    assert sentence in refusal(wire, do, **arguments)


def test_every_entry_that_a_command_makes_has_the_user_at_both_ends(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    wire.box.tap(CARD)
    wire.box.ask("storno", seq=1)
    wire.box.ask("meal", account="a-2")
    wire.box.ask("meal", account="a-2")  # a refusal: already served
    wire.box.ask("meal", account="a-1", day="2026-11-20")
    wire.box.ask("closing", trays=1)
    wire.settle()
    expected = [None, *[USER] * 5]
    assert [entry.user for entry in wire.box.entries()] == expected
    assert [row.user for row in lists.entries(wire.box.db, newest=9)] == expected
    assert [row.user for row in central_lists.entries(wire.central.books, newest=9)] == expected
    fields = [record.fields for record in caplog.records if hasattr(record, "fields")]
    assert [line["user"] for line in fields if "user" in line] == expected[1:]
    assert f"storno of entry 1 (user {USER}): account a-1" in caplog.messages


def test_who_set_the_day_is_an_incident_and_in_the_log(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.box.ask("day", day="2026-11-24")
    (incident,) = lists.incidents(wire.box.db)
    assert (incident.kind, incident.detail) == (
        "day_set", f"the day was set to 2026-11-24 by user {USER}",
    )  # fmt: skip
    assert f"Clock: {incident.detail}." in caplog.messages


def test_a_day_that_is_none_is_no_incident(wire: Wire) -> None:
    assert "error" in wire.box.ask("day", day="2026-02-30")
    assert lists.incidents(wire.box.db) == []


def test_a_request_whose_client_has_timed_out_is_not_done(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.box.tap(CARD)
    request = Request(Storno(seq=1))
    assert request.claim()
    wire.box.handle(request)
    assert request.answers.empty() and len(wire.box.entries()) == 1
    assert "Request storno dropped: its client had timed out." in caplog.text


def test_a_request_that_the_disk_does_not_take_gets_an_error(wire: Wire) -> None:
    wire.box.tap(CARD)
    wire.box.db.sql.execute("PRAGMA query_only = ON")
    request = Request(Storno(seq=1))
    list(wire.box.core.turn(request, wire.box.reading()))
    assert "readonly database" in str(request.answers.get_nowait()["error"])
    assert len(wire.box.entries()) == 1
