"""Cards in the books."""

from agent.central.books import cards, town
from agent.central.books.cards import Card, UsedCard
from agent.central.books.file import FileBooks
from agent.domain.card import Token
from tests.parts.foreign_terminal import ForeignTerminal, meal

TOKEN, OTHER = Token("ab" * 16), Token("cd" * 16)


def test_a_card_replaces_what_the_books_had_of_it(books: FileBooks) -> None:
    cards.put(books, Card(TOKEN, "a-1", "active"))
    cards.put(books, Card(TOKEN, "a-2", "blocked"))
    assert cards.find(books, TOKEN) == Card(TOKEN, "a-2", "blocked")
    assert cards.find(books, OTHER) is None
    assert cards.of_accounts(books, ["a-1"]) == []
    assert cards.of_accounts(books, ["a-1", "a-2"]) == [Card(TOKEN, "a-2", "blocked")]


def test_a_card_that_is_sent_again_has_the_newest_position(books: FileBooks) -> None:
    cards.put(books, Card(TOKEN, "a-1", "active"))
    cards.put(books, Card(OTHER, "a-1", "active"))
    cards.bump_all(books, [TOKEN])
    (row,) = books.rows("SELECT p FROM card WHERE token = ?", (TOKEN,))
    assert row == (town.standing(books).position,)


def test_used_cards_are_the_assigned_ones_and_those_of_unknown_meals(
    foreign: ForeignTerminal,
) -> None:
    assigned = cards.used(foreign.central.books)
    unknown_meal = meal(kind="unknown_meal", account=None, card=OTHER, cents=0)
    foreign.send(unknown_meal, unknown_meal, meal(card=TOKEN))
    added = [card for card in cards.used(foreign.central.books) if card not in assigned]
    assert len(assigned) == 2 and added == [UsedCard(OTHER, None, "not assigned")]


def test_many_cards_are_written_and_read_at_once(books: FileBooks) -> None:
    first, second = Card(TOKEN, "a-2", "active"), Card(OTHER, "a-1", "active")
    cards.add_all(books, [first, second])
    assert books.rows("SELECT p FROM card ORDER BY p") == [(1,), (2,)]
    assert cards.active(books) == [second, first]
    assert cards.find_all(books, [OTHER, "ef" * 16]) == {OTHER: second}
    cards.put(books, first._replace(status="replaced"))
    assert cards.active(books) == [second]
