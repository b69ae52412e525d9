"""The words of a script that are about the office and the central's file."""

from datetime import timedelta

from agent.domain.clock import format_instant
from tests.simulation.engine import Engine
from tests.simulation.office import Office
from tests.simulation.parts import Box
from tests.simulation.script import Step


class OfficeWords:
    engine: Engine
    office: Office

    def _box(self, step: Step) -> Box:
        return self.engine.boxes[step.a % len(self.engine.boxes)]

    def _account(self, step: Step) -> str:
        accounts = self.office.accounts
        return accounts[step.b % (min(len(accounts), 4) if step.c % 3 else len(accounts))]

    # -- at the counter ----------------------------------------------------------------------------------------------------

    def kill_office(self, step: Step) -> None:
        """The plug in the middle of an office command: a payment is booked or not, and the command is given again."""
        self.office.pay_and_die(self._account(step), 100 + step.c % 900, fuse=step.b % 8)

    def policy_keeps(self, step: Step) -> None:
        """Terminals are to keep their meals for longer, or for less long."""
        self.office.keep(self.office.day(step.c % 3 - 1), keep_days=(1, 3, 60)[step.b % 3])

    def backup(self, step: Step) -> None:
        self.office.back_up()

    def restore_central(self, step: Step) -> None:
        says_so = step.c % 2 == 0
        self.engine.may_differ |= not says_so
        self.office.restore(step.b, says_so=says_so)

    def credit(self, step: Step) -> None:
        self.office.pay(self._account(step), 1 + step.a % 1_500)

    def credit_again(self, step: Step) -> None:
        self.office.pay_again(step.a)

    def credit_taken_back(self, step: Step) -> None:
        self.office.pay(self._account(step), -(1 + step.a % 800))

    def siblings_transfer(self, step: Step) -> None:
        """What is left on a child's account goes to its brother's."""
        self.office.transfer(step.b, 1 + step.c % 900)

    def siblings_mixed_up(self, step: Step) -> None:
        """A card is given to the brother by mistake; the next time, back."""
        self.office.mix_up(step.b)

    def card_found(self, step: Step) -> None:
        self.office.found(step.b)

    def card_blocked(self, step: Step) -> None:
        self.office.block(step.b % len(self.office.cards))

    def card_free(self, step: Step) -> None:
        self.office.unblock(step.b % len(self.office.cards))

    def card_replaced(self, step: Step) -> None:
        if len(self.office.cards) < 2 * len(self.office.accounts) + 10:
            self.office.replace(step.b % len(self.office.cards))

    def move(self, step: Step) -> None:
        self.office.move(self._account(step), step.a)

    def move_terminal(self, step: Step) -> None:
        self.engine.has_moved = True
        self.office.place(self._box(step).client_id, step.b)

    def price(self, step: Step) -> None:
        service = self.office.services[step.a % len(self.office.services)][0]
        self.office.set_price(
            self._account(step), service, self.office.day(step.a % 3), step.b % 900
        )

    def policy(self, step: Step) -> None:
        day = self.office.day(step.a % 3)
        self.office.set_policy(
            day, refuses=step.b % 2 == 0, floor_cents=-(step.b % 3) * 500, gives_back=step.c % 4 > 0
        )

    def serve_all(self, step: Step) -> None:
        until = format_instant(self.engine.world.now + timedelta(hours=step.b % 48))
        self.office.set_policy(
            self.office.day(0), refuses=True, floor_cents=0, gives_back=True, serve_all_until=until
        )

    def order(self, step: Step) -> None:
        self.office.order(self._box(step).client_id, ("resync", "new_epoch")[step.b % 2])
