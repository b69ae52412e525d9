"""One lunch from card to central and back, with real parts: `make demo`.

It starts a mosquitto, the reference central, and two terminals of one school, each with its screen.
One terminal reads contactless cards through pcscd and a virtual reader, the other reads 125 kHz
tags through a pty. In the middle the broker stops while children eat and parents pay, and one agent
is killed with kill -9. A mother pays a notice on a phone-sized page, at a bank. Eight moments of
the screens and of her page are kept as pictures.
At the end it compares every balance on both sides. Exits with 0 if all are equal, else 1.
"""

import argparse
import contextlib
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from agent.domain.money import format_euro
from demo.online import Online
from demo.screens import Screens, settings
from tests.parts.broker import Mosquitto
from tests.parts.pcsc import Pcscd, VirtualCard
from tests.parts.process import wait_for
from tests.parts.serial_line import SerialLine
from tests.parts.town import SITE, Access, Central, Terminal, run_agent

ROSTER = Path(__file__).with_name("borgofiorito.csv")
CONTACTLESS = [
    bytes.fromhex(f"1c78f2{n:02x}" if n % 10 == 9 else f"04b0a1{n:02x}c2d3e4") for n in range(20)
]
TAGS = [bytes.fromhex(f"01006a{n:02x}ae") for n in range(20, 40)]
BLOCKED = CONTACTLESS[5]
UNKNOWN_TAG = bytes.fromhex("0300abcdef")
LOST_TAG = bytes.fromhex("0300abcdee")
GREEN = bytes.fromhex("FF00402E")
CONVERGENCE_S = 30

console = Console()


class Lunch:
    """The town's broker, central, terminals, readers and screens, and the steps of the lunch."""

    def __init__(self, folder: Path, pictures: Path, stack: contextlib.ExitStack) -> None:
        self.screens = Screens(folder, pictures, stack)
        self.broker = stack.enter_context(Mosquitto(folder / "broker"))
        access = Access(self.broker.url)
        self.central = Central(folder / "central", access)
        self.online = Online(self.central, self.screens, self.say)
        self._stack = stack
        self.card = VirtualCard()
        stack.callback(self.card.take_away)
        self.pcscd = stack.enter_context(Pcscd(folder / "pcscd", self.card.port))
        self.line = SerialLine(folder / "reader-b")
        self.line.plug()
        stack.callback(self.line.unplug)
        key = self.central.card_key
        pcsc = '[[reader]]\nname = "counter"\nprofile = "acs-acr122u"\n'
        serial = f'[[reader]]\nname = "counter"\nprofile = "rdm6300"\nport = "{self.line.path}"\n'
        ports = self.screens.ports
        self.a = Terminal(folder / "a", "t-a", access, key, pcsc + settings(ports["t-a"]))
        self.b = Terminal(folder / "b", "t-b", access, key, serial + settings(ports["t-b"]))
        stack.callback(self._stop_agents)
        stack.callback(self.central.stop)
        self.greens = 0
        self.started = time.monotonic()

    def say(self, text: str) -> None:
        console.print(f"[dim]{time.monotonic() - self.started:5.1f} s[/]  {text}", highlight=False)

    def open(self) -> None:
        """Set up the town and start everything."""
        self.central.serve_lunch_all_day()
        self.central.office("import-roster", ROSTER)
        self.central.office(
            "policy", "--shortage", "serve", "--unknown-card", "serve", "--labels", "short"
        )
        for terminal in (self.a, self.b):
            self.central.office("terminals", "add", terminal.name, SITE)
        self.pay([f"a-{1001 + n}" for n in range(0, 40, 2)], "20.00", "first")
        self.central.office("card", "block", f"a:{BLOCKED.hex()}")
        self.central.start()
        self.a.start(enter=self.pcscd.namespace.command())
        self.b.start()
        for terminal in (self.a, self.b):
            self._wait_until_ready(terminal)
        self.say("broker, central, readers are up; both terminals have 42 accounts")
        for terminal in (self.a, self.b):
            self.say(f"screen of {terminal.name}: {self.screens.open(terminal)}")
        self.online.open(self._stack)

    def pay(self, accounts: list[str], euro: str, batch: str) -> None:
        for account in accounts:
            self.central.office(
                "credit", account, euro, "--channel", "pos", "--id", f"{batch}-{account}"
            )

    def eat_contactless(self, cards: list[bytes]) -> None:
        for uid in cards:
            is_green = self.card.tap(uid).startswith(GREEN)
            self.greens += is_green
            self.say(f"t-a  contactless card  {'green' if is_green else 'no meal'}")

    def eat_tags(self, tags: list[bytes]) -> None:
        for uid in tags:
            before = self._last_seq(self.b)
            self.line.hold(uid)
            wait_for(partial(self._has_entry_after, before), "a tap at t-b")
            (kind, reason) = self.b.rows(
                "SELECT kind, body ->> '$.reason' FROM entry ORDER BY n DESC LIMIT 1"
            )[0]
            self.say(f"t-b  125 kHz tag       {'served' if 'meal' in kind else reason}")

    def together(self, *steps: Callable[[], None]) -> None:
        """Run several steps at the same time, and raise the first error of any."""
        pool = ThreadPoolExecutor(len(steps))
        try:
            running = [pool.submit(step) for step in steps]
            # Short waits, so that Ctrl-C is handled soon.
            while wait(running, timeout=0.2).not_done:
                pass
            for step in running:
                step.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def serve(self) -> None:
        self.say("[bold]lunch begins[/]")
        self.eat_contactless(CONTACTLESS[4:5])
        self.screens.outcome(self.a, "served", "served")
        self.together(
            lambda: self.eat_contactless([*CONTACTLESS[:4], BLOCKED]),
            lambda: self.eat_tags(TAGS[:8]),
            lambda: self.pay(["a-1002", "a-1030"], "10.00", "during"),
        )
        self.online.pay(self.a)
        self.online.pay_again()
        wait_for(lambda: self.a.pending() == 0, "the acknowledgement of all entries of t-a")
        self.say("[bold red]the broker stops[/]: children still eat, parents still pay")
        self.broker.stop()
        self.together(
            lambda: self.eat_contactless(CONTACTLESS[6:]),
            lambda: self.eat_tags(TAGS[8:12]),
            lambda: self.pay(["a-1004", "a-1011", "a-1032"], "15.00", "outage"),
        )
        self.online.pay_in_the_outage()
        self.screens.waiting(self.a, len(CONTACTLESS[6:]), "offline")
        self.say("[bold red]kill -9[/] of t-b's agent; it restarts without a network")
        assert self.b.process is not None
        self.b.process.kill()
        self.b.start()
        self._wait_until_ready(self.b)
        self.eat_tags([*TAGS[12:14], TAGS[11]])
        pending = f"t-a {self.a.pending()}, t-b {self.b.pending()}"
        self.say(f"entries that the central has not yet acknowledged: {pending}")
        self.say("[bold green]the broker starts again[/]")
        self.broker.start()
        self.eat_contactless([CONTACTLESS[0]])
        self.screens.outcome(self.a, "already_served", "already-served")
        self.eat_tags([*TAGS[14:], TAGS[0], UNKNOWN_TAG])
        self.say("the office: unknown cards are no longer served")
        self.central.office("policy", "--unknown-card", "refuse")
        refusing = "SELECT 1 FROM record WHERE kind = 'policy' AND body LIKE '%\"refuse\"%'"
        wait_for(lambda: self.b.rows(refusing), "the rule at t-b")
        self.eat_tags([LOST_TAG])
        self.screens.outcome(self.b, "unknown_card", "unknown-card")
        self.end()

    def end(self) -> None:
        """Undo a meal, hold a terminal's file for a while, and close a service."""
        self.online.decide()
        (seq,) = self.a.rows("SELECT max(seq) FROM entry WHERE kind = 'meal'")[0]
        self.say("t-a  storno: " + run_agent("storno", "-c", self.a.config, str(seq)).strip())
        self.say("[bold red]another program holds t-b's file[/]: out of order")
        last = self._last_seq(self.b)
        with contextlib.closing(sqlite3.connect(self.b.db, isolation_level=None)) as technician:
            technician.execute("BEGIN IMMEDIATE")
            self.line.hold(TAGS[0])
            self.screens.outcome(self.b, "out_of_order", "out-of-order")
            technician.execute("ROLLBACK")
        wait_for(partial(self._has_entry_after, last), "the file of t-b")
        self.say("the file of t-b works again, and the tap is a refusal in its ledger")
        answer = self.screens.close_service(self.a, self.greens, "closing")
        self.say(f"t-a  {answer}")
        self.say(f"pictures of the screens: {self.screens.pictures}")

    def differences(self) -> Iterator[str]:
        """Yield a sentence for each difference between the central and the terminals."""
        for terminal in (self.a, self.b):
            if pending := terminal.pending():
                yield f"{terminal.name}: the central has not acknowledged {pending} entries"
        for account, cents, central_meals in self._at_central():
            for terminal in (self.a, self.b):
                if (held := terminal.balance(account)) != cents:
                    yield f"account {account}: central {cents} cents, {terminal.name} {held}"
            if (meals := self._meals(account)) != central_meals:
                yield f"account {account}: central {central_meals} meals, terminals {meals}"

    def compare(self) -> int:
        """Wait until both sides agree, print both, and return the exit code."""
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: not list(self.differences()), "both sides to agree", CONVERGENCE_S)
        self._print_balances()
        differences = [*self._compare_meals(), *self.differences()]
        for terminal in (self.a, self.b):
            verified = run_agent("ledger", "verify", "-c", terminal.config).strip()
            console.print(verified, highlight=False)
        console.print("central: " + self.central.office("check").strip(), highlight=False)
        for sentence in differences:
            console.print(f"[red]differs[/]: {sentence}", highlight=False)
        if differences:
            return 1
        console.print("[bold green]all equal[/]")
        return 0

    def _print_balances(self) -> None:
        table = Table(
            "account",
            "central €",
            "t-a €",
            "t-b €",
            "meals central",
            "meals terminals",
            title="after lunch",
        )
        for account, cents, meals in self._at_central():
            shown = [
                format_euro(held) if (held := t.balance(account)) is not None else "-"
                for t in (self.a, self.b)
            ]
            table.add_row(
                account, format_euro(cents), *shown, str(meals), str(self._meals(account))
            )
        console.print(table)

    def _compare_meals(self) -> Iterator[str]:
        """Print the meals of unknown cards and the green lights. Yield what differs."""
        unknown = sum(
            t.rows("SELECT count(*) FROM entry WHERE kind = 'unknown_meal'")[0][0]
            for t in (self.a, self.b)
        )
        ((aside,),) = self.central.rows(
            "SELECT count(*) FROM entry WHERE kind = 'unknown_meal' AND status = 'set_aside'"
        )
        console.print(
            f"meals of unknown cards: {unknown} at terminals, {aside} set aside at central"
        )
        ((meals,),) = self.a.rows(
            "SELECT count(*) FROM entry WHERE kind IN ('meal', 'unknown_meal')"
        )
        console.print(f"green lights on the PC/SC reader: {self.greens}, meals recorded: {meals}")
        if unknown != aside:
            yield f"unknown cards: {unknown} at terminals, {aside} at the central"
        if self.greens != meals:
            yield f"{self.greens} green lights, {meals} meals"

    def _at_central(self) -> list[tuple[str, int, int]]:
        return self.central.rows(
            "SELECT id, balance, (SELECT count(*) FROM entry m WHERE m.account = account.id"
            " AND kind = 'meal' AND NOT EXISTS (SELECT 1 FROM entry s WHERE s.terminal = m.terminal"
            " AND s.undoes_seq = m.seq AND s.undoes_epoch = m.epoch)) FROM account ORDER BY id"
        )

    def _meals(self, account: str) -> int:
        count = (
            "SELECT count(*) FROM entry m WHERE eater = ? AND kind = 'meal'"
            " AND NOT EXISTS (SELECT 1 FROM entry s WHERE s.reverses = m.n)"
        )
        return sum(int(terminal.rows(count, account)[0][0]) for terminal in (self.a, self.b))

    def _wait_until_ready(self, terminal: Terminal) -> None:
        """Wait until a terminal answers, has the roster, and its reader is ready."""
        name = terminal.name
        wait_for(terminal.answers, f"{name} answering")
        wait_for(lambda: terminal.balance("a-1040") is not None, f"the roster at {name}")
        wait_for(
            lambda: terminal.status()["readers"]["counter"] == "ready", f"the reader of {name}"
        )

    def _has_entry_after(self, seq: int) -> bool:
        return self._last_seq(self.b) > seq

    def _last_seq(self, terminal: Terminal) -> int:
        return int(terminal.rows("SELECT coalesce(max(seq), 0) FROM entry")[0][0])

    def _stop_agents(self) -> None:
        for terminal in (self.a, self.b):
            if terminal.process is not None:
                terminal.stop()


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # a shell that starts it in the background leaves Ctrl-C ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="python -m demo.lunch")
    parser.add_argument("--pictures", type=Path, help="the folder of the screens' pictures")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="canteen-lunch-"))
    console.print(f"logs and databases of this lunch: {folder}", highlight=False)
    try:
        with contextlib.ExitStack() as stack:
            lunch = Lunch(folder, given.pictures or folder / "pictures", stack)
            lunch.open()
            lunch.serve()
            return lunch.compare()
    except KeyboardInterrupt:
        console.print("stopped; nothing is left running")
        return 130


if __name__ == "__main__":
    sys.exit(main())
