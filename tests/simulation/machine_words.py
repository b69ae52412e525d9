"""The words of a script about machines: processes, power cuts, clocks, disks."""

from datetime import timedelta

from agent.central.fleet_health import LOOK_EVERY_MS, SETTLE_MS, SILENT_AT_SERVING_MS
from agent.central.terminal_faults import SILENT_MS
from agent.readers.events import CardPresented
from agent.sync.session import RECONNECT_AFTER_MS
from tests import invariants, silence_invariants
from tests.parts.wire import ZONE
from tests.silence_invariants import IncidentRow
from tests.simulation.observe_counter import UNREADABLE
from tests.simulation.parts import CENTRAL, Box, Process
from tests.simulation.script import Step
from tests.simulation.words import Words

KILL_AFTER_MAX = 24  # statements and effects of a terminal's turn; the central has more of them
IMAGES_MAX = 4
BOXES_MAX = 8
# Changes of a record without the program's knowledge.
FLIPPED = (
    "UPDATE record SET body = json_set(body, '$.balance', json_extract(body, '$.balance') + 64)"
)
LOST = "DELETE FROM record"
SPOILT = f"UPDATE record SET body = '{UNREADABLE}'"
# Of records of each kind; the digest must notice every one.
DAMAGES = (
    ("account", FLIPPED),
    ("account", LOST),
    ("account", SPOILT),
    ("account", "UPDATE record SET body = json_set(body, '$.prices[0].cents', 7)"),
    ("account", "UPDATE record SET body = json_set(body, '$.dish', 'other')"),
    ("card", "UPDATE record SET body = json_set(body, '$.status', 'replaced')"),
    ("card", LOST),
    ("policy", "UPDATE record SET body = json_set(body, '$.floor', 12345)"),
    ("service", "UPDATE record SET body = json_set(body, '$.closes', '23:58')"),
)
NAMES = "SELECT id FROM record WHERE kind = ? ORDER BY id"
REST_MS = 25 * 60_000  # five heartbeats
SILENCES = (
    "SELECT n, detail FROM incident WHERE kind = 'silent_at_serving' AND terminal = ? ORDER BY n"
)
LUNCH_MIN = 12 * 60  # minutes of the day in the town, at which a silence begins


def _error(step: Step) -> timedelta:
    """Return an error of a clock, ahead or behind: some minutes, days or years."""
    unit = (timedelta(minutes=7), timedelta(hours=25), timedelta(days=367))[step.c % 3]
    return (step.b % 21 - 10) * unit


class MachineWords(Words):
    def start(self, step: Step) -> None:
        """A dead terminal starts and connects."""
        box = self._box(step)
        if not box.alive:
            self.engine.start(box)
            self.engine.connect(box)

    def restart(self, step: Step) -> None:
        """A process is killed, starts and connects."""
        process = self._process(step)
        self.engine.kill(process)
        self.engine.start(process)
        self.engine.connect(process)

    def die_unnoticed(self, step: Step) -> None:
        """A process is killed, and the broker still delivers to it."""
        self.engine.kill(self._process(step), unnoticed=True)

    def reboot(self, step: Step) -> None:
        """A box loses power: its monotonic clock begins again, mostly without a time server."""
        box = self._box(step)
        self.engine.kill(box)
        box.boot()
        box.synced = step.c % 3 == 0
        self.engine.start(box)

    def kill_tap(self, step: Step) -> None:
        """A terminal is killed during a tap."""
        event = CardPresented(reader="counter", card=self._card(step), tap=1)
        self.engine.send_event(self._box(step), event, kill_after=step.c // 3 % KILL_AFTER_MAX)

    def kill_turn(self, step: Step) -> None:
        """A terminal is killed during a turn without an event."""
        self.engine.run(self._box(step), kill_after=step.c % KILL_AFTER_MAX)

    def kill_deliver(self, step: Step) -> None:
        """A terminal is killed while it takes a message."""
        self.engine.deliver(self._box(step).client_id, kill_after=step.c % KILL_AFTER_MAX)

    def kill_central(self, step: Step) -> None:
        """The central is killed while it takes a message."""
        self.engine.deliver(CENTRAL, kill_after=step.c % (5 * KILL_AFTER_MAX))

    def clock_jumps(self, step: Step) -> None:
        """A terminal's clock jumps by minutes or days, forward or back."""
        box = self._box(step)
        box.wall_offset += timedelta(minutes=(step.b % 41 - 20) * (1 if step.c % 2 else 360))
        box.synced = step.c % 3 == 0

    def time_server_wrong(self, step: Step) -> None:
        """A terminal's time server is wrong, by minutes, days or years, until it is set right."""
        box = self._box(step)
        box.set_rate(0.0)
        box.wall_offset, box.synced = _error(step), True
        self.engine.run(box)

    def clock_1970(self, step: Step) -> None:
        """A terminal's clock is unset."""
        box = self._box(step)
        box.wall_offset = timedelta(days=-20_000)
        box.synced = False

    def clock_drifts(self, step: Step) -> None:
        """A terminal's clock runs fast or slow, by seconds a day or by hours a day."""
        self._box(step).set_rate((step.b % 21 - 10) * (0.0001 if step.c % 2 else 0.02))

    def clock_right(self, step: Step) -> None:
        """A time server sets a terminal's clock right."""
        box = self._box(step)
        box.set_rate(0.0)
        box.wall_offset, box.synced = timedelta(), True

    def central_clock_jumps(self, step: Step) -> None:
        """The central's clock jumps by minutes or days, forward or back."""
        minutes = (step.b % 41 - 20) * (1 if step.c % 2 else 360)
        self.engine.central.wall_offset += timedelta(minutes=minutes)

    def central_clock_right(self, step: Step) -> None:
        """The central's clock is set right."""
        self.engine.central.wall_offset = timedelta()

    def central_wrong_once(self, step: Step) -> None:
        """The central's clock is wrong for one message that it takes."""
        central = self.engine.central
        before, central.wall_offset = central.wall_offset, _error(step)
        self.engine.deliver(CENTRAL, pick=step.a)
        central.wall_offset = before

    def disk_full(self, step: Step) -> None:
        """A terminal's disk is full."""
        self._fill(self._box(step), True)

    def disk_free(self, step: Step) -> None:
        """A terminal's disk has space again."""
        self._fill(self._box(step), False)

    def central_full(self, step: Step) -> None:
        """The central's disk is full."""
        self._fill(self.engine.central, True)

    def central_free(self, step: Step) -> None:
        """The central's disk has space again."""
        self._fill(self.engine.central, False)

    def _fill(self, process: Process, full: bool) -> None:
        process.full = full
        if process.alive:
            process.fill(full)

    def image(self, step: Step) -> None:
        """A technician makes an image of a terminal's SD card."""
        box = self._box(step)
        if box.alive and len(box.images) < IMAGES_MAX and not self.engine.has_retired:
            box.save_image()

    def restore_image(self, step: Step) -> None:
        """A technician puts an image back."""
        box = self._box(step)
        if box.images:
            self.engine.kill(box)
            box.put_image(*box.images[step.b % len(box.images)])
            box.boot()
            self.engine.start(box)

    def clone(self, step: Step) -> None:
        """A second box gets a copy of a terminal's disk, with its identity."""
        box, boxes = self._box(step), self.engine.boxes
        may_copy = box.alive and self._is_alone(box) and not self.engine.has_retired
        if may_copy and len(boxes) < BOXES_MAX:
            box.save_image()
            boxes.append(Box.copied(box, len(boxes)))

    def flip_balance(self, step: Step) -> None:
        """A bit flips in a balance on a terminal's disk."""
        self._damage(step, FLIPPED)

    def lose_record(self, step: Step) -> None:
        """A record disappears from a terminal's disk."""
        self._damage(step, LOST)

    def rot_record(self, step: Step) -> None:
        """A record on a terminal's disk becomes unreadable."""
        self._damage(step, SPOILT)

    def damage_at_rest(self, step: Step) -> None:
        """A record is damaged while both sides are equal.

        The terminal finds it within one heartbeat and repairs it.
        """
        self.rest(step)
        box = self._box(step)
        if box.linked and self._is_alone(box):
            before = invariants.count_differences(box.db)
            kind, change = DAMAGES[step.c % len(DAMAGES)]
            names = [name for (name,) in box.medium.execute(NAMES, (kind,))]
            if names and box.damage(change, kind, names[step.b % len(names)]):
                self.engine.pass_a_heartbeat(box)
                invariants.a_difference_is_found_once_and_repaired(
                    box.db, self.engine.central.office, box.client_id, before
                )

    def silence_at_lunch(self, step: Step) -> None:
        """A terminal dies while its school eats, or its messages are lost: that is noticed."""
        box, central = self._box(step), self.engine.central
        central.wall_offset = timedelta()
        self._wait_for_lunch()
        self.rest(step)
        self.engine.pass_with_looks(2 * SETTLE_MS)
        if not (box.linked and central.linked and self._is_alone(box)) or box.disk.was_wiped:
            return
        before = {other.client_id: self._silences(other) for other in self.engine.boxes}
        if step.c % 2:
            self.engine.kill(box)
            self.engine.pass_with_looks(SILENT_AT_SERVING_MS + LOOK_EVERY_MS)
        else:
            self.engine.client(box).loses_outgoing = True
            self.engine.pass_with_looks(SILENT_MS + LOOK_EVERY_MS)
        for other in self.engine.boxes:
            name, after = other.client_id, self._silences(other)
            if other is box:
                silence_invariants.a_silence_at_serving_is_noticed(name, before[name], after)
            elif other.linked and self._is_alone(other):
                silence_invariants.a_terminal_that_answers_is_not_missed(name, before[name], after)

    def _silences(self, box: Box) -> set[IncidentRow]:
        rows = self.engine.central.office.sql.execute(SILENCES, (box.client_id,))
        return {IncidentRow(*row) for row in rows}

    def _wait_for_lunch(self) -> None:
        local = self.engine.environment.now.astimezone(ZONE)
        left_min = (LUNCH_MIN - local.hour * 60 - local.minute) % (24 * 60)
        self.engine.environment.pass_ms(left_min * 60_000)

    def answers_lost(self, step: Step) -> None:
        """A terminal's connection brings nothing any more: the terminal ends it by itself."""
        self.rest(step)
        box = self._box(step)
        if box.linked and self._is_alone(box):
            self.engine.client(box).loses_incoming = True
            self.engine.pass_with_looks(RECONNECT_AFTER_MS + LOOK_EVERY_MS)
            silence_invariants.a_link_without_answers_is_dropped(
                box.client_id, is_linked=box.linked
            )

    def _damage(self, step: Step, change: str) -> None:
        """Damage an account's record, if there is one."""
        box, account = self._box(step), self._account(step)
        if not box.alive or account not in box.disk.views or account in box.disk.damaged:
            return
        box.damage(change, "account", account)
        box.disk.damaged.add(account)

    def rest(self, step: Step) -> None:
        """Faults end, time passes, and both sides must be equal."""
        self.office.all_payments_again()
        self.payers.all_again()
        self.engine.rest(REST_MS)
