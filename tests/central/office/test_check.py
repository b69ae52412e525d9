"""`check` finds whatever was changed behind the program."""

import pytest

from agent.central.office.check import check
from tests.conftest import CARD
from tests.parts.foreign_terminal import START, ForeignTerminal, meal
from tests.parts.wire import Wire


@pytest.mark.parametrize(
    ("statements", "sentence"),
    [
        (
            "UPDATE account SET balance = balance + 1 WHERE id = 'a-1'",
            "account a-1: balance is -365 cents, its postings sum to -366",
        ),
        ("UPDATE entry SET cents = -1", "-1 cents are booked, its postings sum to -366"),
        ("UPDATE entry SET cents = -1", "-1 cents are booked, the terminal sent -366"),
        (
            "DROP TRIGGER entry_never_changed;"
            " UPDATE entry SET body = replace(body, '-366', '-367')",
            "does not match its hash",
        ),
        (
            f"DROP TRIGGER entry_never_changed; UPDATE entry SET prev = '{START}'",
            "the entry before it is missing",
        ),
    ],
)
def test_a_change_is_found_and_named(wire: Wire, statements: str, sentence: str) -> None:
    wire.box.tap(CARD)
    wire.settle()
    assert list(check(wire.central.books)) == []
    wire.central.books.sql.executescript(statements)
    assert any(sentence in found for found in check(wire.central.books))


def test_a_recorded_hole_and_a_flagged_hash_are_no_difference(foreign: ForeignTerminal) -> None:
    foreign.hello(oldest=6, last=6, head="cd" * 32)
    entry = {**meal(), "seq": 6, "hash": "ab" * 32}
    foreign.send_raw([entry], prev="cd" * 32)
    assert foreign.central.balance("a-1") == -366
    assert list(check(foreign.central.books)) == []
    foreign.central.books.sql.execute("DELETE FROM incident")
    assert any("entry before it is missing" in found for found in check(foreign.central.books))


def test_an_unreadable_entry_is_no_difference(foreign: ForeignTerminal) -> None:
    """Its number has no canonical form: the hash cannot be computed here."""
    raw = b'{"seq": 1, "hash": "%s", "x": 1e999}' % (b"ab" * 32)
    payload = b'{"epoch": "1-00000000000000aa", "prev": "%s", "entries": [%s]}'
    foreign.central.exchange.receive(
        "canteen/v1/borgofiorito/t/t-9/entries",
        payload % (START.encode(), raw),
        foreign.central.clock.instant,
    )
    foreign.seq = 1
    assert foreign.verdict()[0] == "set_aside"
    assert list(check(foreign.central.books)) == []
