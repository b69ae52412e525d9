"""The town at work: turns of real loops, deliveries between them, kills and starts, and the checks.

The order is that of the real loops: an event is put into the inbox, the loop takes one turn, its
effects are done in order. A turn may be killed; the next start uses what it left on the disk.
"""

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

from agent.central.fleet_health import LOOK_EVERY_MS
from agent.errors import AgentError
from agent.readers.events import Show
from agent.sync.events import Acknowledge, Arrived, DropLink, LinkEffect, Publish
from agent.sync.messages import Entries, Hello, decode
from agent.sync.session import HEARTBEAT_MS
from agent.terminal.events import Event
from tests import counter_invariants, invariants, silence_invariants
from tests.simulation.broker import Broker, Client, Message
from tests.simulation.kill import Killed
from tests.simulation.model import ExpectedBooks, OfficeFacts
from tests.simulation.observe import Observer
from tests.simulation.observe_counter import BoxTurn
from tests.simulation.paper import Paper, held_records, records_of
from tests.simulation.parts import Box, Central, Environment, Process

OVERTAKES_MAX = 8  # messages that one message may overtake
COPIES_MAX = 50  # delivered messages that may be sent again
RECONNECT_MS = 1_000  # from the end of a link to the next one
DELIVERIES_MAX = 10_000  # if so many messages lead to further ones, they never end


class AcknowledgementCheck:
    """Checks the first acknowledgement of a turn, and that no write follows it."""

    def __init__(self, process: Process, event: object) -> None:
        self._process = process
        self._set_aside = process.count_set_aside() if isinstance(event, Arrived) else 0
        self._written: int | None = None

    def acknowledged(self, effect: Acknowledge) -> None:
        """Check that the message was set aside if, and only if, no receiver can use it."""
        if self._written is not None:
            return
        self._written = self._process.file().sql.total_changes
        assert isinstance(effect.receipt, tuple)
        set_aside = self._process.count_set_aside() - self._set_aside
        invariants.only_unusable_messages_are_set_aside(
            max(0, set_aside),  # a wipe deletes them
            is_garbage=effect.receipt[1].is_garbage,
        )

    def turn_ended(self) -> None:
        if self._written is not None:
            invariants.nothing_is_written_after_an_acknowledgement(
                self._written, self._process.file().sql.total_changes
            )


class Engine:
    """Everything in a town, and what may be done to it.

    `messages` is a hash over every message published, in order: two runs with the same hash are the
    same run. `may_differ`: the central's disk was restored without `new-generation`, so the digest
    may find a difference. `has_moved`: a terminal moved to another
    site. `has_retired`: a terminal was retired, and no disk is copied from then on. A copy of a
    wiped disk would stay wiped when its twin gets work again.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        facts: OfficeFacts,
        central: Callable[[Environment], Central] = Central,
    ) -> None:
        self.environment = Environment(random.Random(seed), folder)
        self.broker = Broker()
        self.facts, self.paper = facts, Paper()
        self.observer = Observer(ExpectedBooks(facts))
        self.central = central(self.environment)
        self.boxes: list[Box] = []
        self.copies: list[tuple[str, Message]] = []
        self.messages = hashlib.sha256()
        self.resting_since_ms: int | None = None
        self.may_differ = False
        self.has_moved = False
        self.has_retired = False

    @property
    def processes(self) -> list[Process]:
        return [self.central, *self.boxes]

    def send_event(self, box: Box, event: Event, kill_after: int | None = None) -> None:
        """Put an event into a terminal's inbox and run its loop, if it is alive."""
        if box.alive:
            box.inbox.put(event)
            self.run(box, kill_after=kill_after)

    def run(self, process: Process, *, kill_after: int | None = None) -> None:
        """Take turns until the inbox is empty and the loop would wait.

        With `kill_after` the first turn may be killed.
        """
        if process.alive and kill_after is not None:
            process.arm_kill(kill_after)
        event = process.inbox.get(0)
        while process.alive:
            was_idle = event is None
            try:
                if isinstance(process, Box):
                    self._turn_box(process, event)
                else:
                    self._turn_central(event)
            except Killed:
                if isinstance(process, Box):
                    invariants.records_and_position_change_together(process.db)
                self.kill(process)
            except AgentError as error:
                invariants.a_process_ends_only_on_a_full_disk(error, full=process.full)
                self.kill(process)  # systemd starts it again
            event = process.inbox.get(0)
            if event is None and (was_idle or not process.is_busy()):
                break

    def _turn_box(self, box: Box, event: Event | None) -> None:
        turn = BoxTurn(event)
        before = box.db.transactions
        check = AcknowledgementCheck(box, event)
        try:
            for effect in box.core.turn(event, box.reading()):
                if box.kill_switch is not None:
                    box.kill_switch.count()
                if isinstance(effect, Show):
                    turn.shown.append(effect)
                else:
                    self._perform_for_box(box, effect, check)
            turn.finished = True
        finally:
            box.disarm_kill()
            turn.wrote = box.db.transactions != before
            self.observer.box_turned(box, turn)
        check.turn_ended()

    def _perform_for_box(self, box: Box, effect: LinkEffect, check: AcknowledgementCheck) -> None:
        match effect:
            case Publish(topic=topic, payload=payload):
                self._add_to_hash(effect)
                if topic.endswith("/hello"):
                    box.hellos.append(decode(payload, Hello).nonce)
                is_batch = topic.endswith("/entries")
                entries = len(decode(payload, Entries).entries) if is_batch else 0
                invariants.a_message_is_within_its_limits(payload, entries)
            case Acknowledge():
                check.acknowledged(effect)
            case DropLink():
                invariants.an_answered_link_is_not_dropped(
                    self.resting_since_ms, self.environment.mono_ms
                )
        self.broker.perform(box, effect, None)

    def _turn_central(self, event: object) -> None:
        central = self.central
        is_observed = False
        check = AcknowledgementCheck(central, event)
        try:
            for effect in central.exchange.turn(event, central.instant):  # type: ignore[arg-type]
                if central.kill_switch is not None:
                    central.kill_switch.count()
                if not is_observed:
                    is_observed = True
                    self.observer.central_turned(central, event)
                if isinstance(effect, Acknowledge):
                    check.acknowledged(effect)
                proof = None
                if isinstance(effect, Publish):
                    self._add_to_hash(effect)
                    proof = self.observer.proof_of(effect)
                self.broker.perform(central, effect, proof)
        finally:
            central.disarm_kill()
            if not is_observed:
                self.observer.central_turned(central, event)
        check.turn_ended()

    def _add_to_hash(self, message: Publish) -> None:
        """Add a message to the run's hash, without the random name of the run's folder."""
        folder = str(self.environment.folder).encode()
        self.messages.update(message.payload.replace(folder, b""))

    def kill(self, process: Process, *, unnoticed: bool = False) -> None:
        """End a process. If it is `unnoticed`, the broker still delivers to it."""
        if process.alive:
            process.stop()
            process.linked = False
            if not unnoticed:
                self.broker.notice_death(process)

    def start(self, process: Process) -> None:
        """Start a dead process. On a full disk it may fail; systemd tries again later."""
        if not process.alive:
            try:
                process.start()
            except AgentError:
                return

    def connect(self, process: Process) -> None:
        if process.alive:
            self.broker.connect(process)
            self.run(process)

    def client(self, process: Process) -> Client:
        return self.broker.clients.setdefault(process.client_id, Client())

    def deliver(
        self,
        name: str,
        *,
        pick: int = 0,
        times: int = 1,
        kill_after: int | None = None,
        at_once: bool = True,
    ) -> bool:
        """Deliver a queued message to a client. Return whether there was one.

        `pick` selects one of the first few. `times` is 0 for a lost message, 2 for a doubled one.
        `at_once`: the receiver's loop runs before further events arrive.
        """
        client = self.broker.clients[name]
        if not client.queue:
            return False
        at = pick % min(len(client.queue), OVERTAKES_MAX)
        message = client.queue[at]
        del client.queue[at]
        self._remember(name, message)
        for _ in range(times):
            if self.broker.deliver(name, message) and client.process is not None and at_once:
                self.run(client.process, kill_after=kill_after)
        return True

    def _remember(self, name: str, message: Message) -> None:
        if len(self.copies) < COPIES_MAX:
            self.copies.append((name, message))
        else:
            self.copies[self.environment.random.randrange(COPIES_MAX)] = (name, message)

    def settle(self) -> None:
        """Deliver all messages, and those that they lead to, until none is queued."""
        for process in self.processes:
            if process.linked:
                self.run(process)
        for _ in range(DELIVERIES_MAX):
            delivered = False
            for name, client in list(self.broker.clients.items()):
                delivered |= client.process is not None and self.deliver(name)
            if not delivered:
                return
        raise AssertionError(f"messages did not end within {DELIVERIES_MAX} deliveries")

    def rest(self, lasting_ms: int) -> None:
        """Repair everything, let time pass without faults, and check that both sides are equal.

        Boxes with one identity are connected one after the other. Each must be equal in its turn.
        """
        for process in self.processes:
            self._repair(process)
        for round_number in range(max(len(twins) for twins in self._twins())):
            connected = [twins[round_number % len(twins)] for twins in self._twins()]
            for box in self.boxes:
                if box not in connected:
                    self.broker.disconnect(box, "taken off")
                    self.run(box)
            self._let_time_pass(connected, lasting_ms)
            for box in connected:
                self._check_box(box)
        self._check_central()

    def pass_a_heartbeat(self, box: Box) -> None:
        self._let_time_pass([box], HEARTBEAT_MS + RECONNECT_MS)

    def pass_with_looks(self, lasting_ms: int) -> None:
        """Let time pass for what is connected, with a turn of each loop at each of the looks."""
        for _ in range(lasting_ms // LOOK_EVERY_MS):
            self.environment.pass_ms(LOOK_EVERY_MS)
            self.settle()

    def _let_time_pass(self, boxes: list[Box], lasting_ms: int) -> None:
        """Keep boxes and central connected, and run each loop when it would wake up."""
        self.resting_since_ms = self.environment.mono_ms
        until_ms = self.environment.mono_ms + lasting_ms
        idle_turns = 0
        while True:
            for process in [self.central, *boxes]:
                if not process.linked:
                    self.connect(process)
            self.settle()
            left_ms = until_ms - self.environment.mono_ms
            if left_ms <= 0:
                break
            wakes_ms = [
                box.core.wake_ms(box.reading()) if box.linked else RECONNECT_MS
                for box in boxes
                if box.alive
            ]
            soonest_ms = min([left_ms, *(wake_ms for wake_ms in wakes_ms if wake_ms is not None)])
            idle_turns = 0 if soonest_ms > 0 else idle_turns + 1
            silence_invariants.a_loop_with_nothing_to_do_waits(idle_turns)
            self.environment.pass_ms(max(1, soonest_ms))
        self.resting_since_ms = None

    def _repair(self, process: Process) -> None:
        client = self.client(process)
        if client.is_broken and client.process is process:
            self.broker.disconnect(process, "keepalive")
        process.full = False
        if process.alive:
            process.fill(False)
        self.start(process)

    def _twins(self) -> list[list[Box]]:
        """Return the boxes, grouped by identity."""
        names = sorted({box.client_id for box in self.boxes})
        return [self._named(name) for name in names]

    def _named(self, name: str) -> list[Box]:
        return [box for box in self.boxes if box.client_id == name]

    def _check_box(self, box: Box) -> None:
        books, name = self.central.office, box.client_id
        invariants.meals_of_green_lights_are_kept(box.disk, box.db)
        self.observer.check_pruned(box)
        invariants.the_hash_chain_is_intact(box.db)
        invariants.every_entry_is_booked(box.db, books, name)
        if not self.may_differ:  # a central restored without a word lacks remarks, or has others
            invariants.notes_are_those_of_the_central(box.db, books, name)
        invariants.a_terminal_equals_the_central(box.db, books, name)
        self._check_records(box)
        if len(self._named(name)) == 1:
            invariants.no_order_is_pending(books, name)
        # After a move to another site the digest finds late messages of the old site, and other
        # disks of the same identity.
        if not self.may_differ and not self.has_moved and not box.disk.was_damaged:
            invariants.the_digest_finds_no_difference_without_damage(box.db)

    def _check_records(self, box: Box) -> None:
        """Check a terminal's records against what the office wrote."""
        (site,) = self.central.office.only_row(
            "SELECT site FROM terminal WHERE id = ?", (box.client_id,)
        )
        rows = box.db.sql.execute("SELECT kind, id, body FROM record").fetchall()
        expected = records_of(self.observer.books, self.paper, site) if site is not None else {}
        invariants.a_terminal_holds_what_the_office_wrote(
            box.client_id, held_records(rows), expected
        )

    def _check_central(self) -> None:
        books = self.central.office
        invariants.the_books_are_consistent(books)
        query = "SELECT id, balance FROM account ORDER BY id"
        for account, balance in books.sql.execute(query).fetchall():
            expected = self.observer.books.balance(account)
            invariants.a_balance_is_payments_less_meals(account, balance, expected)
            if (lowest := self.observer.lowest_cents(account)) is not None:
                counter_invariants.debt_at_the_central_is_bounded(account, balance, lowest)
