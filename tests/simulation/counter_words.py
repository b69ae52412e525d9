"""The words of a script about the counter: taps, the staff's commands, and time that passes."""

from agent.domain.canteen import policy_on, price_on
from agent.domain.card import CardId
from agent.ops.control_messages import Closing, Meal, SetDay, Storno
from agent.readers.events import CardPresented, CardUnreadable
from agent.store import reads
from agent.terminal.control import Request
from tests import counter_invariants
from tests.counter_invariants import STAFF
from tests.parts.wire import ZONE
from tests.simulation.parts import Box
from tests.simulation.script import Step
from tests.simulation.words import FEW, Words

WAITS_MS = (10, 300, 3_000, 20_000, 120_000, 400_000, 3_600_000)
LUNCH_ENDS_H = 13  # UTC hour; a longer wait goes on at the next day's lunch
TO_NEXT_LUNCH_MS = 20 * 3_600_000 + 45 * 60_000
DAY_MS = 24 * 3_600_000
SELDOM = slice(FEW, 4 * FEW)  # cards that few steps choose: most have not eaten today


def _floor_cents(box: Box) -> int | None:
    """Return the floor of today, None where nobody is refused for it."""
    policy = policy_on(reads.policies(box.db), _day(box))
    return policy.floor if policy.shortage == "refuse" else None


def _price_cents(box: Box, account: str | None) -> int:
    """Return what lunch costs an account today, 0 if the terminal does not know that."""
    known = reads.account(box.db, account) if account is not None else None
    return price_on(known.prices, "lunch", _day(box)) or 0 if known is not None else 0


def _day(box: Box) -> str:
    return f"{box.environment.now.astimezone(ZONE):%Y-%m-%d}"


class CounterWords(Words):
    def tap(self, step: Step) -> None:
        """A child taps."""
        self._tap(self._box(step), self._card(step))

    def _tap(self, box: Box, card: CardId) -> None:
        self.engine.send_event(box, CardPresented(reader="counter", card=card, tap=1))

    def spend_to_the_floor(self) -> None:
        """Take money back until a meal is a cent short, then pay that cent. All is connected.

        No time passes, so only a message that the central sends at once says so to a terminal.
        """
        books = self.engine.central.office
        for box in self.engine.boxes:
            if not (box.linked and box.is_right() and self._is_alone(box)):
                continue
            for card, account in [*zip(self.office.cards, self.office.owners, strict=True)][SELDOM]:
                floor_cents = _floor_cents(box)
                price_cents = _price_cents(box, account)
                if account is None or floor_cents is None or not price_cents:
                    continue
                row = books.only_row("SELECT balance FROM account WHERE id = ?", (account,))
                for cents in (floor_cents + price_cents - 1 - row[0], 1):
                    self.office.pay(account, cents)
                    self.engine.run(self.engine.central)
                    self.engine.settle()
                    self._tap(box, card)
                    self.engine.settle()
                    self._check_debt(box, account, floor_cents)

    def _check_debt(self, box: Box, account: str, floor_cents: int) -> None:
        """Check the central's balance if the newest entry is a meal that the floor bounds."""
        made = [*box.disk.entries.values()][-1:]
        if made and made[0].hash in self.engine.observer.bounded:
            row = self.engine.central.office.only_row(
                "SELECT balance FROM account WHERE id = ?", (account,)
            )
            counter_invariants.debt_at_the_central_is_bounded(account, row[0], floor_cents)

    def double_tap(self, step: Step) -> None:
        """A child taps twice."""
        self.tap(step)
        self.tap(step)

    def siblings_tap(self, step: Step) -> None:
        """Two siblings tap, and again in the other order, perhaps at the next terminal."""
        family = self.office.family(step.b)
        for number, cards in ((step.a, family), (step.a + step.c % 2, family[::-1])):
            for card in cards:
                self._tap(self.engine.boxes[number % len(self.engine.boxes)], card)

    def lunch(self, step: Step) -> None:
        """One or two classes tap: more entries than fit a batch."""
        box = self._box(step)
        for n in range(40 + step.b % 80):
            self._tap(box, self.office.cards[(step.c + n) % len(self.office.cards)])

    def rush(self, step: Step) -> None:
        """Taps and messages arrive while the loop is busy; then it finds them all in its inbox."""
        box = self._box(step)
        if not box.alive:
            return
        for n in range(1 + step.b % 4):
            self.engine.deliver(box.client_id, pick=step.c % (n + 1), at_once=False)
            card = self.office.cards[(step.c + n) % len(self.office.cards)]
            box.inbox.put(CardPresented(reader="counter", card=card, tap=n + 1))
        self.engine.run(box)

    def unreadable(self, step: Step) -> None:
        """Somebody holds a phone to the reader."""
        event = CardUnreadable(reader="counter", fault="random", sentence="a phone", tap=1)
        self.engine.send_event(self._box(step), event)

    def storno(self, step: Step) -> None:
        """The staff undo one of the last entries, whatever its kind."""
        box = self._box(step)
        seq = max(1, box.disk.end.seq - step.b % 4)
        self.engine.send_event(box, Request(Storno(seq=seq)))

    def late(self, step: Step) -> None:
        """The staff enter a meal of today or of one of the two days before."""
        day = self.office.day(-(step.c % 3))
        meal = Meal(account=self._account(step), day=day, service="lunch")
        self.engine.send_event(self._box(step), Request(meal))

    def staffs_day(self, step: Step) -> None:
        """The staff enter today's date, correctly."""
        self.engine.send_event(self._box(step), Request(SetDay(day=self.office.day(0))))

    def by_name(self, step: Step) -> None:
        """The staff enter a meal of now for an account."""
        request = Request(Meal(account=self._account(step)))
        self.engine.send_event(self._box(step), request)

    def closing(self, step: Step) -> None:
        """The staff close the service with the number of trays."""
        self.engine.send_event(self._box(step), Request(Closing(trays=step.b % 300)))

    def staff_card(self, step: Step) -> None:
        """A person of the staff taps, and then corrects, serves by name or closes."""
        known = zip(self.office.cards, self.office.owners, strict=True)
        cards = [card for card, owner in known if owner in STAFF]
        if cards:
            self._tap(self._box(step), cards[step.b % len(cards)])
        (self.storno, self.by_name, self.late, self.closing)[step.c % 4](step)

    def wait(self, step: Step) -> None:
        """Time passes: from 10 ms to an hour, and after lunch to the next day's lunch."""
        environment = self.engine.environment
        environment.pass_ms(WAITS_MS[step.a % len(WAITS_MS)])
        if environment.now.hour >= LUNCH_ENDS_H:
            environment.pass_ms(TO_NEXT_LUNCH_MS)

    def next_day(self, step: Step) -> None:
        """A day passes."""
        self.engine.environment.pass_ms(DAY_MS)

    def turn(self, step: Step) -> None:
        """A terminal's loop takes a turn without an event."""
        self.engine.run(self._box(step))

    def turn_central(self, step: Step) -> None:
        """The central's loop takes a turn without an event."""
        self.engine.run(self.engine.central)
