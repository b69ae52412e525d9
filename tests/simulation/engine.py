"""The town at work: turns of real loops, messages carried between them, deaths and starts, and the look after each.

The order of things is that of the real loops: an event into the inbox, one turn, its effects in order. A turn may be given a
fuse and then dies in its middle; what it left on the disk is what the next start finds.
"""

import hashlib
import random
from pathlib import Path

from agent.errors import AgentError
from agent.readers.events import Show
from agent.sync.events import Acknowledge, Arrived, DropLink, Publish
from agent.sync.messages import Entries, decode
from agent.sync.session import HEARTBEAT_MS
from agent.terminal.events import Event
from tests import invariants
from tests.simulation.broker import Broker, Client, Mail
from tests.simulation.model import Books, Facts
from tests.simulation.observe import Observer
from tests.simulation.parts import Box, Central, Killed, Process, World

OVERTAKES_MAX = 8  # how far one message may pass others
COPIES_MAX = 50  # messages remembered to come once more
RECONNECTED_MS = 1_000  # a link that was dropped is made again
CARRIED_MAX = 10_000  # a wire that does not come to rest within so many messages never does


class Engine:
    def __init__(self, folder: Path, seed: int, facts: Facts) -> None:
        self.world = World(random.Random(seed), folder)
        self.broker = Broker()
        self.facts = facts
        self.observer = Observer(Books(facts))
        self.central = Central(self.world)
        self.boxes: list[Box] = []
        self.copies: list[tuple[str, Mail]] = []
        self.messages = (
            hashlib.sha256()
        )  # every one published, in order: two runs are the same if this is
        self.resting_since_ms: int | None = None
        self.may_differ = (
            False  # somebody damaged a disk, or restored the central's and did not say so
        )
        self.has_moved = False

    @property
    def processes(self) -> list[Process]:
        return [self.central, *self.boxes]

    # -- turns -------------------------------------------------------------------------------------------------------------

    def give(self, box: Box, event: Event, fuse: int | None = None) -> None:
        """Let something happen at a terminal, if it lives."""
        if box.alive:
            box.inbox.put(event)
            self.run(box, fuse=fuse)

    def run(self, process: Process, *, fuse: int | None = None) -> None:
        """Turn the loop once, and on until the inbox is empty; then once more if it has something to do at once. The first turn may die by
        the fuse."""
        if process.alive and fuse is not None:
            process.light(fuse)
        event = process.inbox.get(0)
        while process.alive:
            was_idle = event is None
            try:
                self._turn_box(process, event) if isinstance(process, Box) else self._turn_central(
                    event
                )
            except Killed:
                if isinstance(process, Box):
                    invariants.records_and_position_moved_together(process.db)
                self.die(process)
            except AgentError as error:
                invariants.it_ended_for_a_reason(error, full=process.full)
                self.die(process)  # systemd starts it again
            event = process.inbox.get(0)
            if event is None and (was_idle or not process.is_busy()):
                break

    def _turn_box(self, box: Box, event: Event | None) -> None:
        shown: list[Show] = []
        written: int | None = None
        finished = False
        before, set_aside = (
            box.db.transactions,
            box.count_set_aside() if isinstance(event, Arrived) else 0,
        )
        try:
            for effect in box.core.turn(event, box.reading()):
                if box.fuse is not None:
                    box.fuse.burn()
                if isinstance(effect, Show):
                    shown.append(effect)
                    continue
                if isinstance(effect, Publish):
                    self._note(effect)
                    batch = (
                        decode(effect.payload, Entries).entries
                        if effect.topic.endswith("/entries")
                        else []
                    )
                    invariants.a_message_is_within_its_limits(effect.payload, len(batch))
                elif isinstance(effect, Acknowledge) and written is None:
                    written = box.db.sql.total_changes
                    self._look_set_aside(box, effect, set_aside)
                elif isinstance(effect, DropLink):
                    invariants.silence_is_noticed(self.resting_since_ms, self.world.mono_ms)
                self.broker.perform(box, effect, None)
            finished = True
        finally:
            box.put_out()
            self.observer.box_turned(
                box, event, shown, wrote=box.db.transactions != before, finished=finished
            )
        if written is not None:
            invariants.nothing_is_written_after_its_acknowledgement(
                written, box.db.sql.total_changes
            )

    def _turn_central(self, event: object) -> None:
        looked = False
        written: int | None = None
        set_aside = self.central.count_set_aside() if isinstance(event, Arrived) else 0
        try:
            for effect in self.central.exchange.turn(event, self.central.instant):  # type: ignore[arg-type]
                if self.central.fuse is not None:
                    self.central.fuse.burn()
                if not looked:
                    looked = True
                    self.observer.central_turned(self.central, event)
                if isinstance(effect, Acknowledge) and written is None:
                    written = self.central.books.sql.total_changes
                    self._look_set_aside(self.central, effect, set_aside)
                proof = None
                if isinstance(effect, Publish):
                    self._note(effect)
                    proof = self.observer.proof_of(effect)
                self.broker.perform(self.central, effect, proof)
        finally:
            self.central.put_out()
            if not looked:
                self.observer.central_turned(self.central, event)
        if written is not None:
            invariants.nothing_is_written_after_its_acknowledgement(
                written, self.central.books.sql.total_changes
            )

    def _note(self, message: Publish) -> None:
        """Take a message into the run's hash, without the folder that a full disk's sentence names."""
        self.messages.update(message.payload.replace(str(self.world.folder).encode(), b""))

    @staticmethod
    def _look_set_aside(process: Process, done: Acknowledge, before: int) -> None:
        """Look, when a message is acknowledged, whether it is kept if nobody can use it, and only then."""
        assert isinstance(done.receipt, tuple)
        invariants.what_cannot_be_used_is_set_aside(
            process.count_set_aside() - before, is_garbage=done.receipt[1].is_garbage
        )

    # -- life and death ----------------------------------------------------------------------------------------------------

    def die(self, process: Process, *, unnoticed: bool = False) -> None:
        """End a process; `unnoticed`: the broker goes on delivering to it for a while."""
        if process.alive:
            process.stop()
            process.linked = False
            if not unnoticed:
                self.broker.lose_holder(process)

    def start(self, process: Process) -> None:
        """Start what has died; on a full disk it may not come up, and systemd tries again."""
        if not process.alive:
            try:
                process.start()
            except AgentError:
                return

    def connect(self, process: Process) -> None:
        if process.alive:
            self.broker.connect(process)
            self.run(process)

    # -- messages ----------------------------------------------------------------------------------------------------------

    def client(self, process: Process) -> Client:
        return self.broker.clients.setdefault(process.client_id, Client())

    def hand_over(
        self,
        name: str,
        *,
        pick: int = 0,
        times: int = 1,
        fuse: int | None = None,
        at_once: bool = True,
    ) -> bool:
        """Let the broker hand a message to a client; `pick` says which of the first few, `at_once` whether it is looked at before others
        come. Return whether there was one."""
        client = self.broker.clients[name]
        if not client.queue:
            return False
        at = pick % min(len(client.queue), OVERTAKES_MAX)
        mail = client.queue[at]
        del client.queue[at]
        if len(self.copies) < COPIES_MAX:
            self.copies.append((name, mail))
        else:
            self.copies[self.world.random.randrange(COPIES_MAX)] = (name, mail)
        for _ in range(times):
            if self.broker.deliver(name, mail) and client.holder is not None and at_once:
                self.run(client.holder, fuse=fuse)
        return True

    def settle(self) -> None:
        """Deliver everything, and what it brings about, until nothing is under way."""
        for process in self.processes:
            if process.linked:
                self.run(process)
        for _ in range(CARRIED_MAX):
            carried = False
            for name, client in list(self.broker.clients.items()):
                carried |= client.holder is not None and self.hand_over(name)
            if not carried:
                return
        raise AssertionError("the wire does not come to rest")

    # -- rest --------------------------------------------------------------------------------------------------------------

    def rest(self, lasting_ms: int) -> None:
        """Mend what is broken, lose nothing more, let time pass until both sides can be equal, and hold them against each other.

        Two boxes with one identity are connected one after the other: each must end equal while it is there.
        """
        for process in self.processes:
            self._mend(process)
        for round_number in range(max(len(twins) for twins in self._twins())):
            here = [twins[round_number % len(twins)] for twins in self._twins()]
            for box in self.boxes:
                if box not in here:
                    self.broker.disconnect(box, "taken off")
                    self.run(box)
            self._let_time_pass(here, lasting_ms)
            for box in here:
                self._is_equal(box)
        self._central_is_right()

    def pass_a_heartbeat(self, box: Box) -> None:
        self._let_time_pass([box], HEARTBEAT_MS + RECONNECTED_MS)

    def _let_time_pass(self, here: list[Box], lasting_ms: int) -> None:
        """Wake each loop when it wants to be woken, as its own waiting does."""
        self.resting_since_ms = self.world.mono_ms
        until_ms = self.world.mono_ms + lasting_ms
        while True:
            for process in [self.central, *here]:
                if not process.linked:
                    self.connect(process)
            self.settle()
            if self.world.mono_ms >= until_ms:
                break
            wakes_ms = [
                box.core.wake_ms(box.reading()) if box.linked else RECONNECTED_MS
                for box in here
                if box.alive
            ]
            self.world.pass_ms(
                max(
                    1,
                    min(
                        [
                            until_ms - self.world.mono_ms,
                            *(wake_ms for wake_ms in wakes_ms if wake_ms is not None),
                        ]
                    ),
                )
            )
        self.resting_since_ms = None

    def _mend(self, process: Process) -> None:
        client = self.client(process)
        if client.silent and client.holder is process:
            self.broker.disconnect(process, "keepalive")
        process.full = False
        if process.alive:
            process.fill(False)
        self.start(process)

    def _twins(self) -> list[list[Box]]:
        names = sorted({box.client_id for box in self.boxes})
        return [self._named(name) for name in names]

    def _named(self, name: str) -> list[Box]:
        return [box for box in self.boxes if box.client_id == name]

    def _is_equal(self, box: Box) -> None:
        invariants.greens_are_still_there(box.disk, box.db)
        self.observer.what_is_pruned_was_booked(box)
        invariants.the_chain_holds(box.db)
        invariants.everything_recorded_is_booked(box.db, self.central.office, box.client_id)
        invariants.what_is_set_aside_is_listed_on_both_sides(
            box.db, self.central.office, box.client_id
        )
        invariants.a_terminal_equals_the_central(box.db, self.central.office, box.client_id)
        if len(self._named(box.client_id)) == 1:
            invariants.no_order_waits(self.central.office, box.client_id)
        # of a terminal that moved, late messages of its old site and other disks of its identity are found by the digest
        if not self.may_differ and not self.has_moved:
            invariants.no_difference_came_of_itself(box.db)

    def _central_is_right(self) -> None:
        invariants.the_books_are_right(self.central.office)
        for account, balance in self.central.office.sql.execute(
            "SELECT id, balance FROM account ORDER BY id"
        ).fetchall():
            invariants.a_balance_is_payments_less_meals(
                account, balance, self.observer.books.balance(account)
            )
