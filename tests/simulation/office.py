"""What the office does. It keeps a log of its actions and repeats them after a restore."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from agent.central.books import accounts, cards
from agent.central.books.accounts import Account
from agent.central.books.postings import Payment, PaymentKey
from agent.central.corrections import book_meals_without_price
from agent.central.office.cards import assign_card, block_card, move_accounts, replace_card
from agent.central.office.credit import credit
from agent.central.office.rules import set_policy, set_service
from agent.central.office.terminals import (
    add_terminal,
    new_generation,
    order,
    retire_terminal,
)
from agent.domain.canteen import PolicyRecord, Price, ServiceRecord, Shortage, UnknownCard
from agent.domain.card import CardId, card_token, parse_card_id
from agent.errors import CentralError
from tests.parts.wire import KEY, ZONE
from tests.simulation.engine import Engine
from tests.simulation.model import DatedPrice, ExpectedBooks, Rule
from tests.simulation.paper import Members, Paper, PaperCard, members_of
from tests.simulation.parts import Image
from tests.simulation.script import Town

FIRST_DAY = "2026-09-01"


class Service(NamedTuple):
    name: str
    opens: str
    closes: str


SERVICES = (Service("lunch", "11:30", "15:00"), Service("snack", "15:00", "16:00"))


@dataclass(frozen=True, slots=True)
class NewPolicy:
    """A town's policy from a day on."""

    from_day: str
    refuses: bool
    floor_cents: int
    gives_back: bool
    serve_all_until: str | None = None


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of the central's file and what the model knew then. `actions` were done before it."""

    image: Image
    books: ExpectedBooks
    paper: Paper
    actions: int
    position: int


class Office:
    """The office of a town.

    `cards` are all cards. `owners` has the account of each, None while the office does not know it.
    """

    def __init__(self, engine: Engine, town: Town) -> None:
        self.engine = engine
        self.town = town
        self.services = SERVICES[: town.services]
        self.sites = [f"site-{n}" for n in range(len(town.terminals))]
        self.accounts = [f"a-{n}" for n in range(town.accounts)]
        self.cards: list[CardId] = []
        self.owners: list[str | None] = []
        self.payments: list[Payment] = []
        self.keep_days = town.keep_days
        self._actions: list[Callable[[], object]] = []
        self._backups: list[Backup] = []
        self.set_policy(NewPolicy(FIRST_DAY, town.refuses, town.floor_cents, town.gives_back))
        for site in self.sites:
            for service in self.services:
                self._open_service(site, service)
        for n, account in enumerate(self.accounts):
            self._open_account(n, account)
        for _ in range(town.cards_unknown):
            self.new_card(None)

    def _open_service(self, site: str, service: Service) -> None:
        record = ServiceRecord(
            id=service.name,
            p=0,
            name=service.name,
            opens=service.opens,
            closes=service.closes,
            weekdays=[1, 2, 3, 4, 5, 6, 7],
        )
        set_service(self.engine.central.office, site, record)
        self.engine.paper.services.setdefault(site, []).append(members_of(record))

    def _open_account(self, n: int, account: str) -> None:
        """Add an account with a card. Every eleventh is staff, every fifth eats free."""
        category = "staff" if n % 11 == 10 else "pupil"
        site = self.sites[n % len(self.sites)]
        with self.engine.central.office.transaction():
            new = Account(account, site, category, "active", "1A")
            accounts.add(self.engine.central.office, new)
        self.engine.paper.sites[account] = site
        members: Members = {"k": "account", "id": account, "category": category, "group": new.group}
        self.engine.paper.accounts[account] = members
        every = self.town.unpriced_every
        if not every or n % every != every - 1:
            for service in self.services:
                self.set_price(account, service.name, FIRST_DAY, 0 if n % 5 == 4 else 100 + n)
        self.new_card(account)

    def do(self, action: Callable[[], object]) -> None:
        """Do an action and log it."""
        self._actions.append(action)
        action()
        self.engine.observer.accounts_moved(self.engine.central)

    def new_card(self, account: str | None) -> int:
        """Hand out a new card and return its number. Its account may be unknown."""
        number = len(self.cards)
        self.cards.append(parse_card_id(f"em:{number + 1:010x}"))
        self.owners.append(None)
        if account is not None:
            self.assign(number, account)
        return number

    def assign(self, number: int, account: str) -> None:
        """Assign a card to an account."""
        token = card_token(KEY, self.cards[number])
        self.owners[number] = account

        def action() -> None:
            self.engine.observer.books.assign_card(token, account)
            assign_card(self.engine.central.office, token, account, at=self.engine.central.instant)
            self.engine.paper.cards[token] = PaperCard(account, "active")

        self.do(action)

    def learn_owner(self, number: int) -> None:
        """Assign one of the unknown cards."""
        unknown = [card for card, owner in enumerate(self.owners) if owner is None]
        if unknown:
            self.assign(unknown[number % len(unknown)], self.accounts[number % len(self.accounts)])

    def block(self, number: int) -> None:
        if self.owners[number] is not None:
            token = card_token(KEY, self.cards[number])

            def action() -> None:
                account = block_card(self.engine.central.office, token)
                self.engine.paper.cards[token] = PaperCard(account, "blocked")

            self.do(action)

    def unblock(self, number: int) -> None:
        if (owner := self.owners[number]) is not None:
            self.assign(number, owner)

    def replace(self, number: int) -> None:
        """Replace a lost card by a new one of the same account."""
        owner = self.owners[number]
        if owner is None:
            return
        new = self.new_card(None)
        self.owners[new] = owner
        old_token, new_token = card_token(KEY, self.cards[number]), card_token(KEY, self.cards[new])

        def action() -> None:
            self.engine.observer.books.assign_card(new_token, owner)
            replace_card(
                self.engine.central.office, old_token, new_token, at=self.engine.central.instant
            )
            self.engine.paper.replace_card(old_token, new_token)

        self.do(action)

    def sibling(self, account: str) -> str | None:
        """Return the other account of a family. Each two successive accounts are one."""
        other = self.accounts.index(account) ^ 1
        return self.accounts[other] if other < len(self.accounts) else None

    def family(self, number: int) -> list[CardId]:
        """Return the cards of a child and of its sibling."""
        child = self.accounts[number % len(self.accounts)]
        both = (child, self.sibling(child))
        return [
            card
            for card, owner in zip(self.cards, self.owners, strict=True)
            if owner in both and owner is not None
        ]

    def transfer(self, number: int, cents: int) -> None:
        """Move credit from a child's account to the sibling's."""
        child = self.accounts[number % len(self.accounts)]
        if (other := self.sibling(child)) is not None:
            self.pay(child, -cents)
            self.pay(other, cents)

    def mix_up(self, number: int) -> None:
        """Assign an active card to the sibling of its owner. The central refuses a blocked one."""
        card = number % len(self.cards)
        owner, token = self.owners[card], card_token(KEY, self.cards[card])
        other = self.sibling(owner) if owner is not None else None
        known = cards.find(self.engine.central.office, token)
        if other is not None and known is not None and known.status == "active":
            self.assign(card, other)

    def set_price(self, account: str, service: str, from_day: str, cents: int) -> None:
        def action() -> None:
            books = self.engine.central.office
            self.engine.observer.books.set_price(account, service, DatedPrice(from_day, cents))
            with books.transaction():
                price = Price(service=service, from_day=from_day, cents=cents)
                accounts.set_price(books, account, price)
                accounts.move_balances(books, {account: 0})
                book_meals_without_price(books, [account], at=self.engine.central.instant)

        self.do(action)

    def has_price(self, account: str, service: str) -> bool:
        """Return whether a price was ever set."""
        return bool(self.engine.observer.books.prices[account, service])

    def set_policy(self, new: NewPolicy) -> None:
        self.engine.facts.rules.append(Rule(new.from_day, new.gives_back))
        policy = PolicyRecord(
            from_day=new.from_day,
            p=0,
            shortage=Shortage.REFUSE if new.refuses else Shortage.SERVE,
            floor=new.floor_cents,
            unknown_card=UnknownCard.SERVE if self.town.serves_unknown else UnknownCard.REFUSE,
            serve_all_until=new.serve_all_until,
            keep_days=self.keep_days,
        )
        double_meal = "give_back" if new.gives_back else "keep"

        def action() -> None:
            central = self.engine.central
            set_policy(central.office, policy, double_meal, at=central.instant)
            self.engine.paper.policies[new.from_day] = members_of(policy)

        self.do(action)

    def set_keep_days(self, from_day: str, *, keep_days: int) -> None:
        """Set a policy that differs from the town's first one in `keep_days` alone."""
        self.keep_days = keep_days
        rule = max(self.engine.facts.rules, key=lambda rule: rule.from_day)
        town = self.town
        self.set_policy(NewPolicy(from_day, town.refuses, town.floor_cents, rule.gives_back))

    def day(self, ahead: int) -> str:
        """Return the day in the town so many days from now."""
        now = self.engine.environment.now.astimezone(ZONE)
        return f"{now + timedelta(days=ahead):%Y-%m-%d}"

    def move(self, account: str, to: int) -> None:
        """Move an account to a site."""
        site = self.sites[to % len(self.sites)]

        def action() -> None:
            books = self.engine.central.office
            with books.transaction():
                known = accounts.find(books, account)
                if known is not None and known.site != site:
                    move_accounts(books, {account: site})
            self.engine.paper.sites[account] = site

        self.do(action)

    def place_terminal(self, terminal: str, to: int) -> None:
        """Add a terminal at a site, or move it there."""
        site = self.sites[to % len(self.sites)]
        self.do(lambda: add_terminal(self.engine.central.office, terminal, site))

    def retire_terminal(self, terminal: str) -> None:
        self.do(lambda: retire_terminal(self.engine.central.office, terminal))

    def order(self, terminal: str, do: str) -> None:
        order(self.engine.central.office, terminal, do)

    def pay(self, account: str, cents: int) -> None:
        """Book a payment, or, with negative cents, a refund."""
        self._book(self._new_payment(account, cents))

    def pay_again(self, number: int) -> None:
        """Book a payment that was booked before."""
        if self.payments:
            self._book(self.payments[number % len(self.payments)])

    def all_payments_again(self) -> None:
        """Book the treasury's whole list. It contains what a restored file has lost."""
        for payment in self.payments:
            self._book(payment)

    def pay_with_kill(self, account: str, cents: int, *, kill_after: int) -> None:
        """Kill the command that books a payment after so many statements, then repeat it."""
        central = self.engine.central
        payment = self._new_payment(account, cents)
        central.command(lambda: credit(central.office, payment, at=central.instant), kill_after)
        query = "SELECT 1 FROM posting WHERE external = ?"
        external = payment.key.external
        if central.office.sql.execute(query, (external,)).fetchone() is not None:
            self.engine.observer.books.pay(account, cents, external)
            self.engine.observer.accounts_moved(central)
        self._book(payment)

    def _new_payment(self, account: str, cents: int) -> Payment:
        payment = Payment(account, cents, PaymentKey("pos", f"pay-{len(self.payments)}"))
        self.payments.append(payment)
        return payment

    def _book(self, payment: Payment) -> None:
        central, observer = self.engine.central, self.engine.observer
        observer.books.pay(payment.account, payment.cents, payment.key.external)
        credit(central.office, payment, at=central.instant)
        observer.accounts_moved(central)

    def back_up(self) -> None:
        observer = self.engine.observer
        image = self.engine.central.save()
        books = observer.books.copy()
        paper, actions = self.engine.paper.copy(), len(self._actions)
        self._backups.append(Backup(image, books, paper, actions, observer.position))

    def close_backups(self) -> None:
        for backup in self._backups:
            backup.image.close()

    def restore(self, number: int, *, is_announced: bool) -> None:
        """Restore a backup and repeat the logged actions since it was made.

        `is_announced`: the administrator runs `new-generation` after the restore. Payments return
        with the treasury's next list.
        """
        if not self._backups:
            return
        central, observer = self.engine.central, self.engine.observer
        backup = self._backups[number % len(self._backups)]
        self.engine.kill(central)
        central.restore(backup.image)
        observer.restored(backup.books.copy(), backup.position)
        self.engine.paper = backup.paper.copy()
        if is_announced:
            generation = central.new_generation()
            new_generation(central.office, generation, at=central.instant, reason="restored")
        for action in self._actions[backup.actions :]:
            try:
                action()
            except CentralError:
                continue  # the action is done already, or no longer possible
        # Not after each action: the model knows the last rules before the first action is repeated.
        observer.accounts_moved(central)
        self.engine.start(central)
