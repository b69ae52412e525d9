"""The town of `make play`: its parts as processes, and what a click does to them."""

import contextlib
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from agent.domain.money import format_euro
from demo.screens import settings
from tests.parts.bank import Bank, post
from tests.parts.broker import Mosquitto, free_port
from tests.parts.pay_site import PaySite, pay_site
from tests.parts.payment_messages import Receipt, Transfer, soap_receipt
from tests.parts.pcsc import Pcscd, VirtualCard
from tests.parts.process import AGENT, Process, clock_of, listens, wait_for
from tests.parts.proxy import Proxy
from tests.parts.serial_line import SerialLine
from tests.parts.town import SITE, Access, Central, Terminal

CHILDREN = (
    "Alba A.",
    "Bruno B.",
    "Carla C.",
    "Dino D.",
    "Elsa E.",
    "Fabio F.",
    "Gaia G.",
    "Ugo U.",
)
PRICE, PAID = "3.66", "10.00"
LIGHT_S = 4.0
"""pcscd looks every 0.4 s; a box without power shows no light at all."""
WRONG_CLOCK = "@1970-01-01 00:00:10"


@dataclass
class Box:
    """A terminal with its plugs. `lay` holds a card to its reader and returns what was seen."""

    terminal: Terminal
    proxy: Proxy
    enter: list[str]
    lay: Callable[[int], str]
    is_clock_wrong: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def has_power(self) -> bool:
        process = self.terminal.process
        return process is not None and process.is_running

    def set_power(self, on: bool) -> None:
        """Start the agent, or end it with kill -9."""
        if on and not self.has_power:
            clock = clock_of(WRONG_CLOCK) if self.is_clock_wrong else []
            self.terminal.start(enter=[*self.enter, *clock])
        elif not on and self.terminal.process is not None and self.has_power:
            self.terminal.process.kill()

    def set_network(self, on: bool) -> None:
        """Let the terminal reach the broker, or cut the cable."""
        self.proxy.refuses = not on
        if not on:
            self.proxy.cut()

    def set_clock(self, right: bool) -> None:
        """Start the agent again under a right clock, or one of 1970."""
        self.set_power(False)
        self.is_clock_wrong = not right
        self.set_power(True)


class PlayTown:
    """Everything that runs. Each child has a contactless card and a 125 kHz tag."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._broker = stack.enter_context(Mosquitto(folder / "broker"))
        self._central = Central(folder / "central", Access(self._broker.url))
        self._bank = stack.enter_context(Bank(times=2))
        self._receipts = itertools.count(1)
        self._site: PaySite | None = None
        self.screen_ports = {name: free_port() for name in ("t-a", "t-b")}
        self.boxes = {"t-a": self._contactless(), "t-b": self._tags()}
        self.has_broker = True

    def open(self) -> None:
        """Start the town. Return when both terminals have the class."""
        central, stack = self._central, self._stack
        central.serve_lunch_all_day()
        rows = [
            f"a-{n},{SITE},1A,{name},{_cards(n)},lunch 2026-01-01 {PRICE}"
            for n, name in enumerate(CHILDREN)
        ]
        central.add_roster("account,site,class,label,cards,prices", rows)
        central.office("policy", "--shortage", "serve", "--labels", "short")
        for name in self.boxes:
            central.office("terminals", "add", name, SITE)
        central.start()
        stack.callback(central.stop)
        self._site = stack.enter_context(pay_site(central.db, self._bank))
        stack.callback(self._stop_agents)
        for name, box in self.boxes.items():
            box.set_power(True)
            box.terminal.wait_until_serving()
            box.terminal.wait_for_account(f"a-{len(CHILDREN) - 1}")
            log = self._folder / f"screen-{name}.log"
            stack.enter_context(Process([AGENT, "screen", "-c", box.terminal.config], log))
            wait_for(partial(listens, self.screen_ports[name]), f"the screen of {name}")

    def tap(self, box: str, child: int) -> str:
        """Lay a child's card on a reader; return what was seen there."""
        with self.boxes[box].lock:
            return self.boxes[box].lay(child)

    def pay(self, child: int) -> str:
        """Pay a notice of a child through the node's door; return what it answered."""
        assert self._site is not None
        notice = self._site.notice(f"a-{child}={PAID}")
        name = f"play-{next(self._receipts)}"
        receipt = Receipt(notice["iuv"], name, PAID, (Transfer(PAID),))
        answer = post(f"{self._site.url}/pagopa", soap_receipt(receipt))
        is_ok = "<outcome>OK" in answer.text
        return f"{CHILDREN[child]}: {PAID} euro {'paid' if is_ok else 'not taken'}"

    def plug(self, what: str, box: str, on: bool) -> str:
        """Pull or push a plug: broker, power, network or clock."""
        if what == "broker":
            if on != self.has_broker:
                self._broker.start() if on else self._broker.stop()
                self.has_broker = on
        else:
            chosen = self.boxes[box]
            with chosen.lock:
                {
                    "power": chosen.set_power,
                    "network": chosen.set_network,
                    "clock": chosen.set_clock,
                }[what](on)
        return f"{what} {box}: {'on' if on else 'off'}".replace("  ", " ")

    def state(self) -> dict[str, object]:
        """Return plugs, balances of both sides, and how much is on the way.

        That is how many entries wait for the central, or how many balances differ, if these are
        more: a payment or a meal that a terminal does not have yet.
        """
        central = dict(self._central.rows("SELECT id, balance FROM account"))
        held = {name: _balances(box.terminal) for name, box in self.boxes.items()}
        waiting = {name: box.terminal.pending() for name, box in self.boxes.items()}
        differing = sum(
            held[name].get(account) != cents for name in held for account, cents in central.items()
        )
        return {
            "broker": self.has_broker,
            "boxes": {
                name: {
                    "power": box.has_power,
                    "network": not box.proxy.refuses,
                    "clock": not box.is_clock_wrong,
                    "waiting": waiting[name],
                }
                for name, box in self.boxes.items()
            },
            "children": [
                {
                    "name": name,
                    "central": format_euro(central[f"a-{n}"]),
                    **{box: format_euro(held[box].get(f"a-{n}", 0)) for box in held},
                }
                for n, name in enumerate(CHILDREN)
            ],
            "on_the_way": max(sum(waiting.values()), differing),
        }

    def _contactless(self) -> Box:
        card = VirtualCard()
        self._stack.callback(card.take_away)
        pcscd = self._stack.enter_context(Pcscd(self._folder / "pcscd", card.port))

        def lay(child: int) -> str:
            try:
                light = card.tap(bytes.fromhex(_contactless_uid(child)), seconds=LIGHT_S)
            except (TimeoutError, AssertionError):
                return "no light"
            return "green light" if light.startswith(bytes.fromhex("FF00402E")) else "another light"

        reader = '[[reader]]\nname = "counter"\nprofile = "acs-acr122u"\n'
        return self._box("t-a", reader, pcscd.namespace.command(), lay)

    def _tags(self) -> Box:
        line = SerialLine(self._folder / "reader-b")
        line.plug()
        self._stack.callback(line.unplug)

        def lay(child: int) -> str:
            line.hold(bytes.fromhex(_tag_uid(child)), repeats=4)
            return "tag held"

        reader = f'[[reader]]\nname = "counter"\nprofile = "rdm6300"\nport = "{line.path}"\n'
        return self._box("t-b", reader, [], lay)

    def _box(self, name: str, reader: str, enter: list[str], lay: Callable[[int], str]) -> Box:
        proxy = self._stack.enter_context(Proxy(self._broker.port))
        table = reader + settings(self.screen_ports[name])
        key = self._central.card_key
        terminal = Terminal(self._folder / name, name, Access(proxy.url), key, table)
        return Box(terminal, proxy, enter, lay)

    def _stop_agents(self) -> None:
        for box in self.boxes.values():
            if box.terminal.process is not None:
                box.terminal.stop()


def _balances(terminal: Terminal) -> dict[str, int]:
    own = "SELECT sum(cents) FROM entry WHERE eater = record.id AND n > h AND cents <> 0"
    rows = terminal.rows(
        f"SELECT id, body ->> '$.balance' + coalesce(({own}), 0) FROM record WHERE kind = 'account'"
    )
    return {account: int(cents) for account, cents in rows}


def _cards(child: int) -> str:
    return f"a:{_contactless_uid(child)} em:{_tag_uid(child)}"


def _contactless_uid(child: int) -> str:
    return f"04b0a1{child:02x}c2d3e4"


def _tag_uid(child: int) -> str:
    return f"01006a{child:02x}ae"
