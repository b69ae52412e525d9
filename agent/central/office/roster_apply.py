"""Writes a plan to the books in one short transaction: all of it is visible at once, or nothing.

Whatever takes long is done before it: reading the file, reading the books, the comparison. Inside
the transaction many rows are written by few statements, so other commands wait a moment only.
Earlier meals of new cards and accounts are booked afterwards (`corrections.book_waiting_meals`).
"""

from collections.abc import Sequence

from agent.central.books import accounts, cards, rules, tombstones
from agent.central.books.database import Books
from agent.central.office.cards import move_accounts, put_card
from agent.central.office.roster import Line
from agent.central.office.roster_plan import Plan, Standing
from agent.errors import CentralError


def read_standing(books: Books, lines: Sequence[Line]) -> Standing:
    """Return what the books have of a roster's accounts and cards.

    Outside a transaction it is read in parts, so that other commands can write in between.
    """
    version = books.version()
    named = cards.find_all(books, [token for line in lines for token in line.tokens])
    ids = {line.account for line in lines}
    return Standing(
        version=version,
        accounts=accounts.find_all(books, ids | {card.account for card in named.values()}),
        prices=accounts.prices_of(books, ids),
        cards=named,
        ids=accounts.ids(books),
        services=rules.services(books),
    )


def apply_plan(books: Books, lines: Sequence[Line], plan: Plan, standing: Standing) -> None:
    """Write a plan that was made of lines and a standing.

    Raise `CentralError`, and write nothing, if another command has changed the standing since.
    """
    with books.transaction():
        is_same = books.version() == standing.version or read_standing(books, lines) == standing
        if not is_same:
            raise CentralError(
                "nothing imported: another command has changed these accounts meanwhile;"
                " import the file again"
            )
        sites = {account.id: account.site for account in plan.changed}
        moved = {id for id, site in sites.items() if standing.accounts[id].site != site}
        move_accounts(books, {id: sites[id] for id in sorted(moved)})
        accounts.add_all(books, plan.new)
        accounts.update_all(books, plan.changed)
        accounts.set_prices(books, plan.prices)  # the only place where a roster writes prices
        cards.add_all(books, [card for card in plan.cards if card.token not in standing.cards])
        for card in plan.cards:
            if card.token in standing.cards:
                put_card(books, card)
        tombstones.remove_of_present(books)
