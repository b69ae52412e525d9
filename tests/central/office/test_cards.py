"""Cards at the office: assigned, blocked, replaced, found; an account moves with its cards."""

import pytest

from agent.central.books import cards, entries
from agent.central.books.cards import Card
from agent.central.office.cards import (
    assign_card,
    block_card,
    find_cards,
    move_accounts,
    put_card,
    replace_card,
)
from agent.domain.card import Token, card_token, parse_card_id
from agent.errors import CentralError
from agent.readers.events import Signal
from tests.conftest import CARD, OTHER_CARD
from tests.parts.foreign_terminal import ForeignTerminal, meal
from tests.parts.wire import KEY, SITE, Wire

NEW_CARD = "a:04010203040506"


def token(card: str) -> Token:
    return card_token(KEY, parse_card_id(card))


def test_a_replaced_card_is_refused_and_the_new_one_served(wire: Wire) -> None:
    replace_card(wire.central.books, token(CARD), token(NEW_CARD), at=wire.clock.instant)
    wire.settle()
    assert [wire.box.tap(CARD), wire.box.tap(NEW_CARD)] == [Signal.REFUSED, Signal.SERVED]


def test_meals_that_the_new_card_was_served_before_are_booked_when_it_replaces_the_old(
    wire: Wire,
) -> None:
    wire.box.tap(NEW_CARD)
    wire.settle()
    assert wire.central.balance("a-1") == 0
    replace_card(wire.central.books, token(CARD), token(NEW_CARD), at=wire.clock.instant)
    assert wire.central.balance("a-1") == -366


def test_a_card_that_is_known_does_not_replace_another(wire: Wire) -> None:
    with pytest.raises(CentralError, match="already belongs to account a-2"):
        replace_card(wire.central.books, token(CARD), token(OTHER_CARD), at=wire.clock.instant)
    assert wire.box.tap(CARD) is Signal.SERVED


def test_a_card_given_to_another_account_moves(wire: Wire) -> None:
    assign_card(wire.central.books, token(CARD), "a-2", at=wire.clock.instant)
    wire.settle()
    wire.box.tap(CARD)
    assert wire.box.entries()[-1].account == "a-2"


def test_a_blocked_card_is_not_given_to_another_account(wire: Wire) -> None:
    """A person who finds a lost card would eat on that account."""
    assert block_card(wire.central.books, token(CARD)) == "a-1"
    with pytest.raises(CentralError, match="is blocked and belonged to account a-1"):
        assign_card(wire.central.books, token(CARD), "a-2", at=wire.clock.instant)
    assign_card(wire.central.books, token(CARD), "a-1", at=wire.clock.instant)
    assert cards.find(wire.central.books, token(CARD)) == Card(token(CARD), "a-1", "active")


def test_an_unassigned_card_is_named_by_8_digits_of_its_token_alone(wire: Wire) -> None:
    unassigned = token("em:00000000ff")
    with pytest.raises(CentralError) as raised:
        replace_card(wire.central.books, unassigned, token(NEW_CARD), at=wire.clock.instant)
    sentence = str(raised.value)
    assert f"card {unassigned[:8]}… belongs to no account" in sentence
    assert unassigned[:9] not in sentence and "00000000ff" not in sentence


def test_an_account_that_does_not_exist_gets_no_card(wire: Wire) -> None:
    with pytest.raises(CentralError, match="account 'nobody' does not exist"):
        assign_card(wire.central.books, token(NEW_CARD), "nobody", at=wire.clock.instant)
    assert cards.find(wire.central.books, token(NEW_CARD)) is None


def test_a_card_that_did_not_change_is_not_sent_again(wire: Wire) -> None:
    with wire.central.books.transaction():
        assert not put_card(wire.central.books, Card(token(CARD), "a-1", "active"))
        assert put_card(wire.central.books, Card(token(CARD), "a-1", "blocked"))


def test_a_card_that_moves_to_an_account_of_another_site_is_deleted_at_the_old_one(
    wire: Wire,
) -> None:
    wire.central.add_account("a-3", site="media")
    assign_card(wire.central.books, token(CARD), "a-3", at=wire.clock.instant)
    wire.settle()
    held = wire.box.db.rows("SELECT id FROM record WHERE kind = 'card'")
    assert [row[0] for row in held] == [token(OTHER_CARD)]


def test_an_account_that_moves_takes_its_cards_along_and_comes_back_with_them(wire: Wire) -> None:
    for site, seen in (("media", 1), (SITE, 2)):
        with wire.central.books.transaction():
            move_accounts(wire.central.books, {"a-1": site})
        wire.settle()
        for kind in ("account", "card"):
            held = wire.box.db.rows("SELECT id FROM record WHERE kind = ?", (kind,))
            assert len(held) == seen


def test_only_cards_that_the_books_name_are_found(foreign: ForeignTerminal) -> None:
    books = foreign.central.books
    foreign.send(meal(kind="unknown_meal", account=None, card=token(NEW_CARD), cents=0))
    assert entries.count(books) == 1
    ids = [parse_card_id(text) for text in (OTHER_CARD, NEW_CARD, "em:00000000ff")]
    found = [(card.card, card.account, card.status) for card in find_cards(books, ids, KEY)]
    assert found == [(OTHER_CARD, "a-2", "active"), (NEW_CARD, None, "not assigned")]
