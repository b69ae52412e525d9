"""The words of a script about the office and the central's file."""

from contextlib import suppress
from datetime import timedelta

from agent.domain.clock import format_instant
from agent.errors import CentralError
from tests.simulation.machine_words import KILL_AFTER_MAX
from tests.simulation.office import FIRST_DAY, NewPolicy
from tests.simulation.script import Step
from tests.simulation.words import Words


class OfficeWords(Words):
    def kill_office(self, step: Step) -> None:
        """A command that books a payment is killed, and given again."""
        cents = 100 + step.c % 900
        self.office.pay_with_kill(self._account(step), cents, kill_after=step.b % 8)

    def policy_keeps(self, step: Step) -> None:
        """The days for which terminals keep their entries change."""
        self.office.set_keep_days(self.office.day(step.c % 3 - 1), keep_days=(1, 3, 60)[step.b % 3])

    def backup(self, step: Step) -> None:
        """The central's file is backed up."""
        self.office.back_up()

    def restore_central(self, step: Step) -> None:
        """A backup is restored, with `new-generation` or, wrongly, without it."""
        is_announced = step.c % 2 == 0
        self.engine.may_differ |= not is_announced
        self.office.restore(step.b, is_announced=is_announced)

    def credit(self, step: Step) -> None:
        """A payment arrives."""
        self.office.pay(self._account(step), 1 + step.a % 1_500)

    def credit_again(self, step: Step) -> None:
        """A payment is reported once more."""
        self.office.pay_again(step.a)

    def credit_taken_back(self, step: Step) -> None:
        """Money is refunded."""
        self.office.pay(self._account(step), -(1 + step.a % 800))

    def siblings_transfer(self, step: Step) -> None:
        """Credit moves from a child's account to the sibling's."""
        self.office.transfer(step.b, 1 + step.c % 900)

    def siblings_mixed_up(self, step: Step) -> None:
        """A card is assigned to the sibling of its owner."""
        self.office.mix_up(step.b)

    def card_found(self, step: Step) -> None:
        """The office learns whose an unknown card is."""
        self.office.learn_owner(step.b)

    def card_blocked(self, step: Step) -> None:
        """A card is blocked."""
        self.office.block(step.b % len(self.office.cards))

    def card_free(self, step: Step) -> None:
        """A card is assigned to its owner again, which ends a block."""
        self.office.unblock(step.b % len(self.office.cards))

    def card_replaced(self, step: Step) -> None:
        """A lost card is replaced."""
        if len(self.office.cards) < 2 * len(self.office.accounts) + 10:
            self.office.replace(step.b % len(self.office.cards))

    def move(self, step: Step) -> None:
        """An account moves to another site."""
        self.office.move(self._account(step), step.a)

    def move_terminal(self, step: Step) -> None:
        """A terminal moves to another site."""
        self.engine.has_moved = True
        self.office.place_terminal(self._box(step).client_id, step.b)

    def retire(self, step: Step) -> None:
        """A terminal is retired: it is wiped when its entries are booked."""
        if not any(box.images or not self._is_alone(box) for box in self.engine.boxes):
            self.engine.has_moved = self.engine.has_retired = True
            self.office.retire_terminal(self._box(step).client_id)

    def work_again(self, step: Step) -> None:
        """A retired terminal gets a site."""
        if self.engine.has_retired:
            self.office.place_terminal(self._box(step).client_id, step.b)

    def price(self, step: Step) -> None:
        """An account's price changes from one of the next days on. A first one may count before."""
        service = self.office.services[step.a % len(self.office.services)].name
        is_first = not self.office.has_price(self._account(step), service)
        day = FIRST_DAY if is_first and step.c % 2 else self.office.day(step.a % 3)
        self.office.set_price(self._account(step), service, day, step.b % 900)

    def policy(self, step: Step) -> None:
        """The town's policy changes, from one of the next days on."""
        policy = NewPolicy(
            self.office.day(step.a % 3),
            refuses=step.b % 2 == 0,
            floor_cents=-(step.b % 3) * 500,
            gives_back=step.c % 4 > 0,
        )
        self.office.set_policy(policy)

    def serve_all(self, step: Step) -> None:
        """Everybody is served for some hours."""
        until = format_instant(self.engine.environment.now + timedelta(hours=step.b % 48))
        policy = NewPolicy(
            self.office.day(0),
            refuses=True,
            floor_cents=0,
            gives_back=True,
            serve_all_until=until,
        )
        self.office.set_policy(policy)

    def order(self, step: Step) -> None:
        """The office orders a resynchronisation or a new epoch.

        Every second time all is quiet before, and the terminal is killed while it does the order.
        """
        is_quiet = step.c % 2 == 1
        if is_quiet:
            self.engine.settle()
        self._order(step)
        if is_quiet:
            self.engine.run(self.engine.central)
            kill_after = step.c // 2 % KILL_AFTER_MAX
            self.engine.deliver(self._box(step).client_id, kill_after=kill_after)

    def _order(self, step: Step) -> None:
        with suppress(CentralError):  # a retired terminal is not resynchronised
            self.office.order(self._box(step).client_id, ("resync", "new_epoch")[step.b % 2])

    def orders_lost(self, step: Step) -> None:
        """A backup is restored, without `new-generation`, that lacks two orders a terminal did.

        Everything else in it is current, so no hello proves that it was restored. The next order
        gets a number that is done already.
        """
        self.engine.settle()
        self.office.back_up()
        for _ in range(2):
            self._order(step)
            self.engine.settle()
        self.office.restore(-1, is_announced=False)
        self.engine.may_differ = True  # entries of a second disk may have come in between
        self._order(step)
