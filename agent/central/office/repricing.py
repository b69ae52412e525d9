"""Repricing back to a day: the meals since then cost what the prices say now, by adjustments.

An entry is never changed. A meal's adjustments sum to the difference between its price of today's
roster and what it was charged; running it again adds nothing. Prices are whole cents for a meal, so
nothing is rounded here.
"""

from typing import NamedTuple

from agent.central.books import accounts, meals, postings
from agent.central.books.database import Books
from agent.central.books.meals import ChargedMeal
from agent.central.books.postings import Payment, PaymentKey
from agent.central.office.credit import Credit, post_credit
from agent.domain.canteen import Price, price_on
from agent.domain.clock import Day, Instant

CHANNEL = "repricing"


class Repriced(NamedTuple):
    """How many meals of an account are adjusted, and by how much in sum."""

    account: str
    meals: int
    adjusted_cents: int


def plan_repricing(books: Books, since: Day, reason: str) -> list[Credit]:
    """Return the adjustments of all meals of a day and later."""
    charged = meals.charged_since(books, since)
    prices = accounts.prices_of(books, {meal.account for meal in charged})
    credits = (_adjustment(books, meal, prices.get(meal.account, []), reason) for meal in charged)
    return [credit for credit in credits if credit is not None]


def reprice(books: Books, since: Day, reason: str, at: Instant) -> list[Credit]:
    """Book the adjustments of all meals of a day and later, in one transaction."""
    with books.transaction():
        credits = plan_repricing(books, since, reason)
        for credit in credits:
            post_credit(books, credit, at=at)
    return credits


def by_account(credits: list[Credit]) -> list[Repriced]:
    """Return the adjustments summed by account."""
    sums: dict[str, Repriced] = {}
    for credit in credits:
        account, cents, _ = credit.payment
        before = sums.get(account, Repriced(account, 0, 0))
        sums[account] = Repriced(account, before.meals + 1, before.adjusted_cents + cents)
    return [sums[account] for account in sorted(sums)]


def _adjustment(books: Books, meal: ChargedMeal, prices: list[Price], reason: str) -> Credit | None:
    """Return what a meal lacks; None if nothing, or if it has no price.

    A meal that was undone or given back costs nothing, so its adjustments sum to 0.
    """
    price = price_on(prices, meal.service, meal.day)
    if price is None:
        return None
    wanted = -price - meal.cents if meal.counts else 0
    name = f"{meal.key.terminal} {meal.key.epoch} {meal.key.seq} {meal.key.hash[:8]} "
    before = postings.of_prefix(books, CHANNEL, name)
    cents = wanted - sum(posting.cents for posting in before)
    if cents == 0:
        return None
    key = PaymentKey(CHANNEL, f"{name}{len(before) + 1}")
    return Credit(Payment(meal.account, cents, key), "adjustment", reason)
