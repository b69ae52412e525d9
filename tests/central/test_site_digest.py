"""The digest that is kept up equals the one of all records, whatever the office did in between."""

import random
from collections.abc import Callable, Iterator

import pytest

from agent.central.books import accounts, cards, records, rules, tombstones, town
from agent.central.books.accounts import Account, AccountPrice
from agent.central.books.cards import Card
from agent.central.books.database import Books
from agent.central.books.file import FileBooks
from agent.central.books.records import Interval
from agent.central.books.rules import Rules
from agent.central.site_digest import SiteDigests
from agent.domain.canteen import PolicyRecord, Price, ServiceRecord
from agent.domain.card import Token
from agent.domain.digest import Tally, tally
from agent.sync.messages import Digest

SITES = ("nord", "sud")
STEPS = 150


def recomputed(books: Books, site: str) -> Digest:
    """Return a site's digest from all its records."""
    every = ((each.kind, each.body) for each in records.find(books, Interval(site, 0)))
    total = tally(every, Tally())
    return Digest(
        position=town.standing(books).position,
        accounts=total.accounts,
        cards=total.cards,
        cents=total.cents,
        sum=total.sum_hex,
    )


def kept(digests: SiteDigests, books: Books, site: str | None) -> Digest:
    return digests.of(books, site, town.standing(books))


class Office:
    """What may happen to a town's records, by chance."""

    def __init__(self, books: Books, seed: int) -> None:
        self.books = books
        self.chance = random.Random(seed)
        self.sites: dict[str, str] = {}
        self.tokens: list[Token] = []

    def steps(self) -> Iterator[Callable[[], None]]:
        yield from (self.account, self.account, self.money, self.move, self.card, self.price)
        yield from (self.policy, self.service, self.labels)

    def step(self) -> None:
        with self.books.transaction():
            self.chance.choice(list(self.steps()))()

    def one_of_them(self) -> str | None:
        return self.chance.choice(sorted(self.sites)) if self.sites else None

    def account(self) -> None:
        name, site = f"a-{len(self.sites)}", self.chance.choice(SITES)
        accounts.add(self.books, Account(name, site, "pupil", "active", "1A", "Nora K."))
        self.sites[name] = site

    def money(self) -> None:
        if (name := self.one_of_them()) is not None:
            accounts.move_balances(self.books, {name: self.chance.randint(-500, 2_000)})

    def move(self) -> None:
        if (name := self.one_of_them()) is not None:
            before, after = self.sites[name], self.chance.choice(SITES)
            own = [card.token for card in cards.of_accounts(self.books, [name])]
            if before != after:
                tombstones.add(self.books, before, "account", name)
                for token in own:
                    tombstones.add(self.books, before, "card", token)
            accounts.set_sites(self.books, {name: after})
            cards.bump_all(self.books, own)
            tombstones.remove_of_present(self.books)
            self.sites[name] = after

    def card(self) -> None:
        if (name := self.one_of_them()) is not None:
            self.tokens.append(Token(f"{len(self.tokens):032x}"))
            token = self.chance.choice(self.tokens)
            owner = cards.find(self.books, token)
            if owner is not None and self.sites[owner.account] != self.sites[name]:
                tombstones.add(self.books, self.sites[owner.account], "card", token)
            cards.put(self.books, Card(token, name, self.chance.choice(["active", "blocked"])))
            tombstones.remove_of_present(self.books)

    def price(self) -> None:
        if (name := self.one_of_them()) is not None:
            day = f"2026-09-{self.chance.randint(1, 28):02}"
            price = Price(service="lunch", from_day=day, cents=self.chance.randint(0, 500))
            accounts.set_prices(self.books, [AccountPrice(name, price)])
            accounts.move_balances(self.books, {name: 0})

    def policy(self) -> None:
        day = f"2026-10-{self.chance.randint(1, 28):02}"
        floor = self.chance.randint(-500, 0)
        rules.put_policy(
            self.books, Rules(PolicyRecord(from_day=day, p=0, floor=floor), rules.GIVE_BACK)
        )

    def service(self) -> None:
        hour = self.chance.randint(10, 12)
        service = ServiceRecord(id="lunch", p=0, name="Pranzo", opens=f"{hour}:00", closes="14:00")
        rules.put_service(self.books, self.chance.choice(SITES), service)

    def labels(self) -> None:
        town.set_labels(self.books, self.chance.random() < 0.5)
        accounts.bump_all(self.books)


@pytest.mark.parametrize("seed", range(8))
def test_a_digest_that_is_kept_up_is_that_of_all_records(books: FileBooks, seed: int) -> None:
    office, digests = Office(books, seed), SiteDigests()
    for n in range(STEPS):
        office.step()
        if office.chance.random() < 0.4 or n == STEPS - 1:
            for site in SITES:
                assert kept(digests, books, site) == recomputed(books, site)


def test_a_site_is_read_once_and_then_only_what_changed(
    books: FileBooks,
) -> None:
    office, digests = Office(books, 1), SiteDigests()
    for _ in range(30):
        office.step()
    kept(digests, books, "nord")
    statements: list[str] = []
    books.sql.set_trace_callback(statements.append)
    assert kept(digests, books, "nord") == recomputed_once(books, statements)
    office.step()
    assert kept(digests, books, "nord") == recomputed(books, "nord")


def recomputed_once(books: FileBooks, statements: list[str]) -> Digest:
    """Return the digest of all records, after nothing was read for the one that was kept."""
    assert [text for text in statements if "FROM account" in text] == []
    return recomputed(books, "nord")


def test_another_generation_or_an_earlier_position_is_read_again(books: FileBooks) -> None:
    office, digests = Office(books, 2), SiteDigests()
    for _ in range(20):
        office.step()
    first = kept(digests, books, "nord")
    standing = town.standing(books)
    books.sql.execute("UPDATE account SET balance = balance + 1")  # as a backup may differ
    assert digests.of(books, "nord", standing) == first
    renewed = digests.of(books, "nord", standing._replace(generation="f" * 32))
    assert renewed.cents == first.cents + renewed.accounts
    books.sql.execute("UPDATE account SET balance = balance + 1, p = 1")
    books.sql.execute("UPDATE card SET p = 1")
    earlier = digests.of(books, "nord", standing._replace(position=1, generation="f" * 32))
    assert earlier.accounts == renewed.accounts
    assert earlier.cents == renewed.cents + renewed.accounts


def test_a_retired_terminal_has_the_digest_of_nothing(books: FileBooks) -> None:
    digest = kept(SiteDigests(), books, None)
    assert (digest.accounts, digest.cards, digest.cents, digest.sum) == (0, 0, 0, "0" * 16)
