"""The words of a script about the counter: taps, the staff's commands, and time that passes."""

from agent.domain.card import CardId
from agent.ops.control_messages import Closing, Meal, SetDay, Storno
from agent.readers.events import CardPresented, CardUnreadable
from agent.terminal.control import Request
from tests.counter_invariants import STAFF
from tests.simulation.parts import Box
from tests.simulation.script import Step
from tests.simulation.words import Words

WAITS_MS = (10, 300, 3_000, 20_000, 120_000, 400_000, 3_600_000)
LUNCH_ENDS_H = 13  # UTC hour; a longer wait goes on at the next day's lunch
TO_NEXT_LUNCH_MS = 20 * 3_600_000 + 45 * 60_000
DAY_MS = 24 * 3_600_000


class CounterWords(Words):
    def tap(self, step: Step) -> None:
        """A child taps."""
        self._tap(self._box(step), self._card(step))

    def _tap(self, box: Box, card: CardId) -> None:
        self.engine.send_event(box, CardPresented(reader="counter", card=card, tap=1))

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
