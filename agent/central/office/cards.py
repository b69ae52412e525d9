"""Cards and accounts as the office sees them: assign, block, replace, find, move."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from agent.central.books import accounts, cards, tombstones
from agent.central.books.cards import Card
from agent.central.books.database import Books
from agent.central.books.tombstones import Gone
from agent.central.corrections import book_meals_of_card
from agent.domain.card import CardId, Token, card_token
from agent.domain.clock import Instant
from agent.errors import CentralError


class CardMatch(Struct, frozen=True, kw_only=True):
    """A card that fits a printed number: only a person with the card in hand asks for it."""

    card: str
    account: str | None
    status: str


def assign_card(books: Books, token: Token, account: str, *, at: Instant) -> int:
    """Let a card point at an account.

    Book the meals that the card was served as an unknown one, and return how many.
    """
    with books.transaction():
        if accounts.find(books, account) is None:
            raise CentralError(f"account {account!r} does not exist; import it first")
        known = cards.find(books, token)
        if known is not None and known.status != "active" and known.account != account:
            raise CentralError(
                f"this card is {known.status} and belonged to account {known.account};"
                f" give account {account} another card"
            )
        put_card(books, Card(token, account, "active"))
        return book_meals_of_card(books, token, account, at=at)


def block_card(books: Books, token: Token) -> str:
    """Block a card and return its account."""
    with books.transaction():
        account = _account_of(books, token)
        put_card(books, Card(token, account, "blocked"))
    return account


def replace_card(books: Books, old: Token, new: Token, *, at: Instant) -> str:
    """Give an old card's account a new card, and return the account.

    Meals that the new card was served as an unknown one are booked.
    """
    with books.transaction():
        account = _account_of(books, old)
        known = cards.find(books, new)
        if known is not None:
            raise CentralError(
                f"the new card already belongs to account {known.account}; use an unassigned card"
            )
        put_card(books, Card(old, account, "replaced"))
        put_card(books, Card(new, account, "active"))
        book_meals_of_card(books, new, account, at=at)
    return account


def put_card(books: Books, card: Card) -> bool:
    """Write a card within the caller's transaction; return whether anything about it changed.

    The site that loses the card gets a tombstone.
    """
    known = cards.find(books, card.token)
    if known == card:
        return False
    site = _site(books, card.account)
    if known is not None and (old_site := _site(books, known.account)) != site:
        tombstones.add(books, old_site, "card", card.token)
    cards.put(books, card)
    tombstones.remove(books, site, "card", card.token)
    return True


def move_accounts(books: Books, sites: Mapping[str, str]) -> None:
    """Move accounts, by id, and their cards to other sites, within the caller's transaction."""
    before = accounts.find_all(books, sites)
    owned = cards.of_accounts(books, sites)
    gone = [Gone(account.site, "account", account.id) for account in before.values()]
    gone += [Gone(before[card.account].site, "card", card.token) for card in owned]
    tombstones.add_all(books, gone)
    accounts.set_sites(books, sites)
    cards.bump_all(books, [card.token for card in owned])
    tombstones.remove_of_present(books)


def find_cards(books: Books, candidates: Iterable[CardId], card_key: bytes) -> list[CardMatch]:
    """Return which candidates of a printed number the books name."""
    used = {card.token: card for card in cards.used(books)}
    matches = []
    for candidate in candidates:
        card = used.get(card_token(card_key, candidate))
        if card is not None:
            match = CardMatch(card=candidate.text, account=card.account, status=card.status)
            matches.append(match)
    return matches


def _account_of(books: Books, token: Token) -> str:
    card = cards.find(books, token)
    if card is None:
        raise CentralError(
            f"card {token[:8]}… belongs to no account; assign it with: canteen-central card assign"
        )
    return card.account


def _site(books: Books, account: str) -> str:
    known = accounts.find(books, account)
    if known is None:
        raise CentralError(f"account {account!r} does not exist; import it first")
    return known.site
