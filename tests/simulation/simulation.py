"""One run: a town, and a method for every word a step may have."""

import logging
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from agent.domain.card import CardId
from agent.readers.events import CardPresented, CardUnreadable
from agent.sync.topics import Leaf
from agent.terminal.control import Request
from tests import invariants
from tests.parts.wire import ZONE
from tests.simulation.broker import Mail, garbage, oversized
from tests.simulation.engine import Engine
from tests.simulation.model import Facts
from tests.simulation.observe import ROTTEN
from tests.simulation.office import Office
from tests.simulation.office_words import OfficeWords
from tests.simulation.parts import CENTRAL, TOPICS, Box, Process
from tests.simulation.script import Step, Town

WAITS_MS = (10, 300, 3_000, 20_000, 120_000, 400_000, 3_600_000)
LUNCH_ENDS_H = 13  # UTC hour after which the next day's lunch begins
TO_NEXT_LUNCH_MS = 20 * 3_600_000 + 45 * 60_000
FUSE_MAX = 24
IMAGES_MAX = 4
BOXES_MAX = 8
FLIPPED = (
    "UPDATE record SET body = json_set(body, '$.balance', json_extract(body, '$.balance') + 64)"
)
LOST = "DELETE FROM record"
ROTTED = f"UPDATE record SET body = '{ROTTEN}'"
DAMAGES = (FLIPPED, LOST, ROTTED)
REST_MS = 25 * 60_000  # five heartbeats


class Simulation(OfficeWords):
    def __init__(self, folder: Path, town: Town) -> None:
        logging.disable(logging.CRITICAL)
        self.engine = Engine(folder, town.seed, Facts(ZONE))
        self.office = Office(self.engine, town)
        boxes = self.engine.boxes
        for number, count in enumerate(town.terminals):
            for _ in range(count):
                name = f"t-{len(boxes) + 1}"
                self.office.place(name, number)
                boxes.append(Box(self.engine.world, name, len(boxes)))
        for process in self.engine.processes:
            self.engine.connect(process)

    def do(self, step: Step) -> None:
        """Do one step and look. Raise `AssertionError` when something is not as it must be."""
        getattr(self, step.word)(step)

    def run(self, steps: Iterable[Step]) -> None:
        """Do steps, then come to rest. Raise `AssertionError`."""
        for step in steps:
            self.do(step)
        self.rest(Step("rest", 0, 0, 0))

    def close(self) -> None:
        for process in self.engine.processes:
            if process.alive:
                process.stop()
            process.medium.close()
        self.engine.central.office.close()
        logging.disable(logging.NOTSET)

    def _is_alone(self, box: Box) -> bool:
        """Return whether no other box has its name."""
        return sum(one.client_id == box.client_id for one in self.engine.boxes) == 1

    def _card(self, step: Step) -> CardId:
        """Choose a card: a few of them often, so that a child taps twice and at two terminals; and the newest, which nobody knows yet."""
        cards = self.office.cards
        few = min(len(cards), 4)
        return [cards, cards[:few], cards[:few], cards[-few:]][step.c % 4][
            step.b % (len(cards) if step.c % 4 == 0 else few)
        ]

    def tap(self, step: Step, fuse: int | None = None) -> None:
        self.engine.give(
            self._box(step), CardPresented(reader="counter", card=self._card(step), tap=1), fuse
        )

    def double_tap(self, step: Step) -> None:
        self.tap(step)
        self.tap(step)

    def siblings_tap(self, step: Step) -> None:
        """Brother and sister, one behind the other; at a second terminal, too, with the cards the other way round."""
        family = self.office.family(step.b)
        for box, cards in ((step.a, family), (step.a + step.c % 2, family[::-1])):
            for card in cards:
                self.engine.give(
                    self.engine.boxes[box % len(self.engine.boxes)],
                    CardPresented(reader="counter", card=card, tap=1),
                )

    def lunch(self, step: Step) -> None:
        """A class, or two, one behind the other: more entries than a batch may have."""
        box = self._box(step)
        for n in range(40 + step.b % 80):
            card = self.office.cards[(step.c + n) % len(self.office.cards)]
            self.engine.give(box, CardPresented(reader="counter", card=card, tap=1))

    def rush(self, step: Step) -> None:
        """Taps and messages come while the loop is busy with something else, and are found in its inbox all at once."""
        box = self._box(step)
        if box.alive:
            for n in range(1 + step.b % 4):
                self.engine.hand_over(box.client_id, pick=step.c % (n + 1), at_once=False)
                box.inbox.put(
                    CardPresented(
                        reader="counter",
                        card=self.office.cards[(step.c + n) % len(self.office.cards)],
                        tap=n + 1,
                    )
                )
            self.engine.run(box)

    def unreadable(self, step: Step) -> None:
        self.engine.give(
            self._box(step),
            CardUnreadable(reader="counter", fault="random", sentence="a phone", tap=1),
        )

    def storno(self, step: Step) -> None:
        """The newest meal, or one of the last entries, whatever it is."""
        box = self._box(step)
        named: dict[str, object] = (
            {"seq": max(1, box.disk.tail[1] - step.b % 4)} if step.c % 2 else {}
        )
        self.engine.give(box, Request("storno", named))

    def late(self, step: Step) -> None:
        asked: dict[str, object] = {
            "account": self._account(step),
            "day": self.office.day(-(step.c % 3)),
            "service": "lunch",
        }
        self.engine.give(self._box(step), Request("meal", asked))

    def staffs_day(self, step: Step) -> None:
        """The staff say what day it is, and know it."""
        self.engine.give(self._box(step), Request("day", {"day": self.office.day(0)}))

    def by_name(self, step: Step) -> None:
        self.engine.give(self._box(step), Request("meal", {"account": self._account(step)}))

    def closing(self, step: Step) -> None:
        self.engine.give(self._box(step), Request("closing", {"trays": step.b % 300}))

    def wait(self, step: Step) -> None:
        world = self.engine.world
        world.pass_ms(WAITS_MS[step.a % len(WAITS_MS)])
        if world.now.hour >= LUNCH_ENDS_H:
            world.pass_ms(TO_NEXT_LUNCH_MS)

    def next_day(self, step: Step) -> None:
        self.engine.world.pass_ms(24 * 3_600_000)

    def turn(self, step: Step) -> None:
        self.engine.run(self._box(step))

    def turn_central(self, step: Step) -> None:
        self.engine.run(self.engine.central)

    # -- messages ----------------------------------------------------------------------------------------------------------

    def deliver(self, step: Step) -> None:
        self.engine.hand_over(self._box(step).client_id)

    def deliver_central(self, step: Step) -> None:
        self.engine.hand_over(CENTRAL)

    def overtake(self, step: Step) -> None:
        self.engine.hand_over(self._box(step).client_id, pick=step.b)

    def overtake_central(self, step: Step) -> None:
        self.engine.hand_over(CENTRAL, pick=step.b)

    def lose(self, step: Step) -> None:
        self.engine.hand_over(self._box(step).client_id, pick=step.b, times=0)

    def lose_central(self, step: Step) -> None:
        self.engine.hand_over(CENTRAL, pick=step.b, times=0)

    def double(self, step: Step) -> None:
        self.engine.hand_over(self._box(step).client_id, times=2)

    def double_central(self, step: Step) -> None:
        self.engine.hand_over(CENTRAL, times=2)

    def late_copy(self, step: Step) -> None:
        """A message that was handed over long ago comes once more."""
        if self.engine.copies:
            name, mail = self.engine.copies[step.a % len(self.engine.copies)]
            self.engine.broker.clients[name].put(mail)

    def _copy(self, step: Step) -> tuple[str, Mail] | None:
        return self.engine.copies[step.b % len(self.engine.copies)] if self.engine.copies else None

    def garbage(self, step: Step) -> None:
        box, copy = self._box(step), self._copy(step)
        topic = TOPICS.central_state if step.b % 3 == 0 else TOPICS.of(box.client_id, Leaf.CHANGES)
        self.engine.client(box).put(
            Mail(
                topic,
                garbage(lambda n: step.c % n, copy[1].payload if copy else None),
                is_garbage=True,
            )
        )

    def garbage_central(self, step: Step) -> None:
        copy = self._copy(step)
        payload = garbage(lambda n: step.c % n, copy[1].payload if copy else None)
        self.engine.client(self.engine.central).put(
            Mail(copy[1].topic if copy else TOPICS.of("t-1", Leaf.HELLO), payload, is_garbage=True)
        )

    def oversized(self, step: Step) -> None:
        if copy := self._copy(step):
            self.engine.broker.clients[copy[0]].put(
                Mail(copy[1].topic, oversized(copy[1].payload), is_garbage=True)
            )

    # -- connections -------------------------------------------------------------------------------------------------------

    def join(self, step: Step) -> None:
        if not self._box(step).linked:
            self.engine.connect(self._box(step))

    def join_central(self, step: Step) -> None:
        self.engine.start(self.engine.central)
        if not self.engine.central.linked:
            self.engine.connect(self.engine.central)

    def _victim(self, step: Step) -> Process:
        return self.engine.central if step.b % 5 == 0 else self._box(step)

    def cut(self, step: Step) -> None:
        self.engine.broker.disconnect(self._victim(step), "cut")
        self.engine.run(self._victim(step))

    def cut_silently(self, step: Step) -> None:
        client = self.engine.client(self._victim(step))
        client.deaf = client.mute = True

    def cut_one_way(self, step: Step) -> None:
        client = self.engine.client(self._victim(step))
        client.deaf, client.mute = (True, client.mute) if step.c % 2 else (client.deaf, True)

    def notice(self, step: Step) -> None:
        for process in self.engine.processes:
            client = self.engine.client(process)
            dead = client.holder is process and not process.alive
            if (client.silent or dead) and client.holder is process:
                self.engine.broker.disconnect(process, "keepalive")
                self.engine.run(process)

    def forget_session(self, step: Step) -> None:
        self.engine.client(self._victim(step)).forget()

    def broker_restarts(self, step: Step) -> None:
        for process in self.engine.processes:
            self.engine.broker.disconnect(process, "the broker is gone")
        for client in self.engine.broker.clients.values():
            client.forget()
        self.engine.broker.retained.clear()

    def drop_retained(self, step: Step) -> None:
        self.engine.broker.retained.clear()

    # -- processes ---------------------------------------------------------------------------------------------------------

    def start(self, step: Step) -> None:
        box = self._box(step)
        if not box.alive:
            self.engine.start(box)
            self.engine.connect(box)

    def restart(self, step: Step) -> None:
        process = self._victim(step)
        self.engine.die(process)
        self.engine.start(process)
        self.engine.connect(process)

    def die_unnoticed(self, step: Step) -> None:
        """The broker delivers to a process that is dead."""
        self.engine.die(self._victim(step), unnoticed=True)

    def reboot(self, step: Step) -> None:
        """The box goes off and on: its monotonic clock begins anew, and nobody has told it the time yet."""
        box = self._box(step)
        self.engine.die(box)
        box.boot()
        box.synced = step.c % 3 == 0
        self.engine.start(box)

    def kill_tap(self, step: Step) -> None:
        self.tap(step, fuse=step.c // 3 % FUSE_MAX)

    def kill_turn(self, step: Step) -> None:
        self.engine.run(self._box(step), fuse=step.c % FUSE_MAX)

    def kill_deliver(self, step: Step) -> None:
        self.engine.hand_over(self._box(step).client_id, fuse=step.c % FUSE_MAX)

    def kill_central(self, step: Step) -> None:
        self.engine.hand_over(CENTRAL, fuse=step.c % (5 * FUSE_MAX))

    # -- clocks ------------------------------------------------------------------------------------------------------------

    def clock_jumps(self, step: Step) -> None:
        """By minutes or by days, forward or back."""
        box = self._box(step)
        box.wall_offset += timedelta(minutes=(step.b % 41 - 20) * (1 if step.c % 2 else 360))
        box.synced = step.c % 3 == 0

    def clock_1970(self, step: Step) -> None:
        box = self._box(step)
        box.wall_offset = timedelta(days=-20_000)
        box.synced = False

    def clock_drifts(self, step: Step) -> None:
        """It runs fast or slow: by seconds a day as crystals do, or by hours a day."""
        self._box(step).set_rate((step.b % 21 - 10) * (0.0001 if step.c % 2 else 0.02))

    def clock_right(self, step: Step) -> None:
        box = self._box(step)
        box.set_rate(0.0)
        box.wall_offset, box.synced = timedelta(), True

    def central_clock_jumps(self, step: Step) -> None:
        """The central's machine is wrong by minutes or by days, and everybody takes its time."""
        self.engine.central.wall_offset += timedelta(
            minutes=(step.b % 41 - 20) * (1 if step.c % 2 else 360)
        )

    def central_clock_right(self, step: Step) -> None:
        self.engine.central.wall_offset = timedelta()

    # -- disks -------------------------------------------------------------------------------------------------------------

    def disk_full(self, step: Step) -> None:
        self._fill(self._box(step), True)

    def disk_free(self, step: Step) -> None:
        self._fill(self._box(step), False)

    def central_full(self, step: Step) -> None:
        self._fill(self.engine.central, True)

    def central_free(self, step: Step) -> None:
        self._fill(self.engine.central, False)

    def _fill(self, process: Process, full: bool) -> None:
        process.full = full
        if process.alive:
            process.fill(full)

    def image(self, step: Step) -> None:
        box = self._box(step)
        if box.alive and len(box.images) < IMAGES_MAX:
            box.save_image()

    def restore_image(self, step: Step) -> None:
        """Somebody puts an older SD card into the box."""
        box = self._box(step)
        if box.images:
            self.engine.die(box)
            box.put_image(*box.images[step.b % len(box.images)])
            box.boot()
            self.engine.start(box)

    def clone(self, step: Step) -> None:
        """A second box lives with a copy of this one's disk."""
        box, boxes = self._box(step), self.engine.boxes
        if box.alive and len(boxes) < BOXES_MAX and self._is_alone(box):
            box.save_image()
            boxes.append(Box.copied(box, len(boxes)))

    def flip_balance(self, step: Step) -> None:
        """A bit rots in an account's balance."""
        self._damage(step, FLIPPED)

    def lose_record(self, step: Step) -> None:
        self._damage(step, LOST)

    def rot_record(self, step: Step) -> None:
        """A record cannot be read any more."""
        self._damage(step, ROTTED)

    def damage_at_rest(self, step: Step) -> None:
        """When all is equal a record goes wrong behind a terminal's back: the digest finds it, one heartbeat later at the most."""
        self.rest(step)
        box = self._box(step)
        if box.linked and self._is_alone(box):
            found = invariants.differences_found(box.db)
            if self._damage(step, DAMAGES[step.c % len(DAMAGES)]):
                self.engine.pass_a_heartbeat(box)
                invariants.a_difference_was_found_and_healed(
                    box.db, self.engine.central.office, box.client_id, found
                )

    def _damage(self, step: Step, change: str) -> bool:
        """Change an account's record behind the program's back; return whether there was one."""
        box, account = self._box(step), self._account(step)
        if not box.alive or account not in box.disk.views or account in box.disk.tainted:
            return False
        self.engine.may_differ = True
        box.damage(change, account)
        box.disk.tainted.add(account)
        return True

    # -- rest --------------------------------------------------------------------------------------------------------------

    def rest(self, step: Step) -> None:
        self.office.all_payments_again()
        self.engine.rest(REST_MS)
