"""What the office does."""

import sqlite3

import pytest

from agent.central.books.postings import Payment, PaymentKey
from agent.central.office.cards import assign_card, replace_card
from agent.central.office.check import check
from agent.central.office.credit import credit
from agent.central.office.rules import set_policy
from agent.domain.canteen import PolicyRecord
from agent.domain.card import Token, card_token, parse_card_id
from agent.errors import CentralError
from tests.conftest import CARD, OTHER_CARD
from tests.parts.wire import KEY, Wire


def test_a_payments_id_used_for_something_else_is_a_sentence(wire: Wire) -> None:
    wire.central.credit("a-1", 2_000, "iuv-1")
    with pytest.raises(CentralError, match=r"booked already, with 20\.00 for account a-1"):
        wire.central.credit("a-2", 2_000, "iuv-1")
    with pytest.raises(CentralError, match="a correction needs an id of its own"):
        wire.central.credit("a-1", 1_999, "iuv-1")
    assert wire.central.balance("a-1") == 2_000


def test_a_credit_for_nobody_is_a_sentence(wire: Wire) -> None:
    with pytest.raises(CentralError, match="no account 'nobody'"):
        wire.central.credit("nobody", 1, "x")


def test_a_replaced_card_is_refused_and_the_new_one_served(wire: Wire) -> None:
    new = "a:04010203040506"
    replace_card(wire.central.books, token(CARD), token(new), at=wire.clock.instant)
    wire.settle()
    assert [wire.box.tap(CARD), wire.box.tap(new)] == ["refused", "served"]


def test_a_card_given_to_another_account_moves(wire: Wire) -> None:
    assign_card(wire.central.books, token(CARD), "a-2", at=wire.clock.instant)
    wire.settle()
    wire.box.tap(CARD)
    assert wire.box.entries()[-1].account == "a-2"


def test_replacing_a_card_nobody_has_is_a_sentence(wire: Wire) -> None:
    with pytest.raises(CentralError, match="no account has card"):
        replace_card(
            wire.central.books, token("em:00000000ff"), token(OTHER_CARD), at=wire.clock.instant
        )


def test_labels_leave_the_central_only_when_the_town_wants_them(wire: Wire) -> None:
    wire.central.books.sql.execute("UPDATE account SET label = 'Nora K.'")
    wire.central.credit("a-1", 1, "r-1")
    wire.settle()
    assert b"Nora" not in b"".join(payload for _, payload in wire.log)
    set_policy(
        wire.central.books,
        PolicyRecord(from_day="2027-09-01", p=0, labels="short"),
        "give_back",
        at=wire.clock.instant,
    )
    wire.central.exchange.forget_day()  # as when another process has committed
    wire.settle()
    assert b"Nora" not in b"".join(payload for _, payload in wire.log)
    set_policy(
        wire.central.books,
        PolicyRecord(from_day="2026-09-01", p=0, labels="short"),
        "give_back",
        at=wire.clock.instant,
    )
    wire.central.exchange.forget_day()
    wire.settle()
    assert b"Nora K." in b"".join(payload for _, payload in wire.log)
    wire.log.clear()
    set_policy(
        wire.central.books,
        PolicyRecord(from_day="2026-11-01", p=0, labels="none"),
        "give_back",
        at=wire.clock.instant,
    )
    wire.central.exchange.forget_day()
    wire.settle()
    wire.pass_time(300_000)
    record = wire.box.db.sql.execute("SELECT group_concat(body) FROM record").fetchone()[0]
    assert "Nora" not in record and b"Nora" not in b"".join(payload for _, payload in wire.log)


def test_a_credit_booked_while_the_terminal_is_away_is_there_when_it_is_back(wire: Wire) -> None:
    wire.disconnect()
    payment = Payment("a-1", 5, PaymentKey("desk", "1"))
    credit(wire.central.books, payment, at=wire.clock.instant)
    wire.connect()
    assert wire.box.balance("a-1") == 5


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM entry",
        "UPDATE entry SET body = ''",
        "DELETE FROM posting",
        "UPDATE posting SET cents = 0",
    ],
)
def test_the_books_cannot_be_rewritten(wire: Wire, sql: str) -> None:
    wire.box.tap(CARD)
    wire.settle()
    with pytest.raises(sqlite3.IntegrityError):
        wire.central.books.sql.execute(sql)


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        (
            "UPDATE account SET balance = balance + 1 WHERE id = 'a-1'",
            "account a-1: holds -365 cents, its postings give -366",
        ),
        ("UPDATE entry SET cents = -1", "booked with -1 cents, its postings give -366"),
        (
            "DROP TRIGGER entry_never_changed; UPDATE entry SET body = replace(body, '-366', '-367')",
            "does not match its hash",
        ),
    ],
)
def test_check_finds_what_was_changed(wire: Wire, sql: str, sentence: str) -> None:
    wire.box.tap(CARD)
    wire.settle()
    wire.central.books.sql.executescript(sql)
    assert any(sentence in found for found in check(wire.central.books))


def token(card: str) -> Token:
    return card_token(KEY, parse_card_id(card))
