"""What people at the office do. Every act is noted on paper: when the central's file was restored, it is done again."""

import sqlite3
from collections.abc import Callable
from datetime import timedelta

from agent.central.books import accounts, cards
from agent.central.books.accounts import Account
from agent.central.books.postings import Payment, PaymentKey
from agent.central.office.cards import assign_card, block_card, move_account, replace_card
from agent.central.office.credit import credit
from agent.central.office.rules import set_policy, set_service
from agent.central.office.terminals import add_terminal, new_generation, order
from agent.domain.canteen import PolicyRecord, Price, ServiceRecord, Shortage, UnknownCard
from agent.domain.card import CardId, card_token, parse_card_id
from agent.errors import CentralError
from tests.parts.wire import KEY, ZONE
from tests.simulation.engine import Engine
from tests.simulation.model import Books, Rule
from tests.simulation.parts import Fuse, FusedSql, Killed
from tests.simulation.script import Town

SERVICES = (("lunch", "11:30", "15:00"), ("snack", "15:00", "16:00"))


class Office:
    """`cards` are all there are; `owners` is the account of each, None as long as nobody knows whose it is."""

    def __init__(self, engine: Engine, town: Town) -> None:
        self.engine = engine
        self.town = town
        self.services = SERVICES[: town.services]
        self.sites = [f"site-{n}" for n in range(len(town.terminals))]
        self.accounts = [f"a-{n}" for n in range(town.accounts)]
        self.cards: list[CardId] = []
        self.owners: list[str | None] = []
        self.payments: list[tuple[str, int, str]] = []
        self.keep_days = town.keep_days
        self._acts: list[Callable[[], object]] = []
        self._backups: list[tuple[sqlite3.Connection, Books, int, int]] = []
        self.set_policy(
            "2026-09-01",
            refuses=town.refuses,
            floor_cents=town.floor_cents,
            gives_back=town.gives_back,
        )
        for site in self.sites:
            for service, opens, closes in self.services:
                record = ServiceRecord(
                    id=service,
                    p=0,
                    name=service,
                    opens=opens,
                    closes=closes,
                    weekdays=[1, 2, 3, 4, 5, 6, 7],
                )
                set_service(engine.central.office, site, record)
        for n, account in enumerate(self.accounts):
            self._open_account(n, account)
        for _ in range(town.cards_unknown):
            self.new_card(None)

    def _open_account(self, n: int, account: str) -> None:
        """Every eleventh is staff, every fifth eats free; brothers and sisters each have a card of their own."""
        category = "staff" if n % 11 == 10 else "pupil"
        site = self.sites[n % len(self.sites)]
        with self.engine.central.office.transaction():
            new = Account(account, site, category, "active", "1A")
            accounts.add(self.engine.central.office, new)
        for service, _, _ in self.services:
            self.set_price(account, service, "2026-09-01", 0 if n % 5 == 4 else 100 + n)
        self.new_card(account)

    def act(self, act: Callable[[], object]) -> None:
        """Do something, and note it on paper."""
        self._acts.append(act)
        act()
        self.engine.observer.accounts_moved(self.engine.central)

    # -- cards, prices, rules ----------------------------------------------------------------------------------------------

    def new_card(self, account: str | None) -> int:
        """Hand out a new card and return its number."""
        number = len(self.cards)
        self.cards.append(parse_card_id(f"em:{number + 1:010x}"))
        self.owners.append(None)
        if account is not None:
            self.assign(number, account)
        return number

    def assign(self, number: int, account: str) -> None:
        """A card is this account's, now or found out now."""
        token = card_token(KEY, self.cards[number])
        self.owners[number] = account

        def act() -> None:
            self.engine.observer.books.find(token, account)
            assign_card(self.engine.central.office, token, account, at=self.engine.central.instant)

        self.act(act)

    def found(self, number: int) -> None:
        """Somebody finds out whose a card is."""
        unknown = [card for card, owner in enumerate(self.owners) if owner is None]
        if unknown:
            self.assign(unknown[number % len(unknown)], self.accounts[number % len(self.accounts)])

    def block(self, number: int) -> None:
        if self.owners[number] is not None:
            token = card_token(KEY, self.cards[number])
            self.act(lambda: block_card(self.engine.central.office, token))

    def unblock(self, number: int) -> None:
        if (owner := self.owners[number]) is not None:
            self.assign(number, owner)

    def replace(self, number: int) -> None:
        """A card is lost: its account gets a new one."""
        owner = self.owners[number]
        if owner is None:
            return
        new = self.new_card(None)
        self.owners[new] = owner
        old_token, new_token = card_token(KEY, self.cards[number]), card_token(KEY, self.cards[new])

        def act() -> None:
            self.engine.observer.books.find(new_token, owner)
            replace_card(
                self.engine.central.office, old_token, new_token, at=self.engine.central.instant
            )

        self.act(act)

    def sibling(self, account: str) -> str | None:
        """Two accounts that follow each other are a family; of an odd number the last has none."""
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
        """What is left on an account goes to the sibling's."""
        child = self.accounts[number % len(self.accounts)]
        if (other := self.sibling(child)) is not None:
            self.pay(child, -cents)
            self.pay(other, cents)

    def mix_up(self, number: int) -> None:
        """Give a card to the sibling of whoever has it."""
        card = number % len(self.cards)
        owner, token = self.owners[card], card_token(KEY, self.cards[card])
        other = self.sibling(owner) if owner is not None else None
        known = cards.find(self.engine.central.office, token)
        # one that is not active goes to nobody else
        if other is not None and known is not None and known.status == "active":
            self.assign(card, other)

    def set_price(self, account: str, service: str, from_day: str, cents: int) -> None:
        self.engine.facts.prices[account, service].append((from_day, cents))

        def act() -> None:
            books = self.engine.central.office
            with books.transaction():
                price = Price(service=service, from_day=from_day, cents=cents)
                accounts.set_price(books, account, price)
                accounts.bump(books, account)

        self.act(act)

    def set_policy(
        self,
        from_day: str,
        *,
        refuses: bool,
        floor_cents: int,
        gives_back: bool,
        serve_all_until: str | None = None,
    ) -> None:
        self.engine.facts.rules.append(Rule(from_day, gives_back))
        policy = PolicyRecord(
            from_day=from_day,
            p=0,
            shortage=Shortage.REFUSE if refuses else Shortage.SERVE,
            floor=floor_cents,
            unknown_card=UnknownCard.SERVE if self.town.serves_unknown else UnknownCard.REFUSE,
            serve_all_until=serve_all_until,
            keep_days=self.keep_days,
        )
        self.act(
            lambda: set_policy(
                self.engine.central.office,
                policy,
                "give_back" if gives_back else "keep",
                at=self.engine.central.instant,
            )
        )

    def day(self, ahead: int) -> str:
        return f"{self.engine.world.now.astimezone(ZONE) + timedelta(days=ahead):%Y-%m-%d}"

    # -- places ------------------------------------------------------------------------------------------------------------

    def move(self, account: str, to: int) -> None:
        site = self.sites[to % len(self.sites)]

        def act() -> None:
            books = self.engine.central.office
            with books.transaction():
                known = accounts.find(books, account)
                if known is not None and known.site != site:
                    move_account(books, account, known.site, site)

        self.act(act)

    def place(self, terminal: str, to: int) -> None:
        site = self.sites[to % len(self.sites)]
        self.act(lambda: add_terminal(self.engine.central.office, terminal, site))

    def order(self, terminal: str, do: str) -> None:
        order(self.engine.central.office, terminal, do)

    # -- money -------------------------------------------------------------------------------------------------------------

    def pay(self, account: str, cents: int) -> None:
        """A payment, or, negative, one taken back."""
        self.payments.append((account, cents, f"pay-{len(self.payments)}"))
        self._book(self.payments[-1])

    def pay_again(self, number: int) -> None:
        """The same payment is heard of once more."""
        if self.payments:
            self._book(self.payments[number % len(self.payments)])

    def all_payments_again(self) -> None:
        """The treasury's list comes whole: what a restored file has lost is booked now."""
        for payment in self.payments:
            self._book(payment)

    def pay_and_die(self, account: str, cents: int, *, fuse: int) -> None:
        """Book a payment with a command that dies after so many statements, look whether it is booked, and book it if not."""
        central = self.engine.central
        name = f"pay-{len(self.payments)}"
        self.payments.append((account, cents, name))
        whole = central.office.sql
        central.office.sql = FusedSql(whole, Fuse(fuse))  # type: ignore[assignment]
        try:
            payment = Payment(account, cents, PaymentKey("pos", name))
            credit(central.office, payment, at=self.engine.central.instant)
        except Killed:
            whole.close()
            central.office = central.opened()
        else:
            central.office.sql = whole
        if (
            central.office.sql.execute(
                "SELECT 1 FROM posting WHERE external = ?", (name,)
            ).fetchone()
            is not None
        ):
            self.engine.observer.books.pay(account, cents, name)
            self.engine.observer.accounts_moved(central)
        self._book(self.payments[-1])

    def keep(self, from_day: str, *, keep_days: int) -> None:
        self.keep_days = keep_days
        rule = max(self.engine.facts.rules, key=lambda rule: rule.from_day)
        self.set_policy(
            from_day,
            refuses=self.town.refuses,
            floor_cents=self.town.floor_cents,
            gives_back=rule.gives_back,
        )

    def _book(self, payment: tuple[str, int, str]) -> None:
        account, cents, name = payment
        self.engine.observer.books.pay(account, cents, name)
        booked = Payment(account, cents, PaymentKey("pos", name))
        credit(self.engine.central.office, booked, at=self.engine.central.instant)
        self.engine.observer.accounts_moved(self.engine.central)

    # -- backups -----------------------------------------------------------------------------------------------------------

    def back_up(self) -> None:
        copy = self.engine.central.save()
        observer = self.engine.observer
        self._backups.append((copy, observer.books.copy(), len(self._acts), observer.position))

    def restore(self, number: int, *, says_so: bool) -> None:
        """Put an old backup in place; redo what paper says. Payments come again with the treasury's next list."""
        if not self._backups:
            return
        central, observer = self.engine.central, self.engine.observer
        copy, books, acts, position = self._backups[number % len(self._backups)]
        self.engine.die(central)
        central.restore(copy)
        observer.restored(books.copy(), position)
        if says_so:
            new_generation(
                central.office,
                central.new_generation(),
                at=self.engine.central.instant,
                reason="restored",
            )
        for act in self._acts[acts:]:
            try:
                act()
            except CentralError:
                continue  # the office sees that it is done, or cannot be done any more
        observer.accounts_moved(
            central
        )  # only now: paper knows the last rule before the first act is done again
        self.engine.start(central)
