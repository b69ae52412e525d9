"""The lunch's online payments: a phone-sized page, a bank and a node, against the real web server.

All of it runs in the main thread, which owns the browser.
"""

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, expect

from agent.domain.money import format_euro
from demo.screens import Screens
from tests.parts.bank import Bank, post
from tests.parts.pay_site import pay_site
from tests.parts.payment_messages import Receipt, Transfer, soap_receipt
from tests.parts.process import wait_for
from tests.parts.town import Central, Terminal

PHONE = ViewportSize(width=360, height=640)
WITHIN_S = 1.0
ACCOUNT = "a-1003"
IN_THE_OUTAGE = "a-1005"


class Online:
    """The town's web server, a bank that notifies twice, and the steps of the payments."""

    def __init__(self, central: Central, screens: Screens, say: Callable[[str], None]) -> None:
        self._central = central
        self._screens = screens
        self._say = say

    def open(self, stack: contextlib.ExitStack) -> None:
        """Start bank and web server, and open the payer's page."""
        self._bank = stack.enter_context(Bank(times=2))
        self._site = stack.enter_context(pay_site(self._central.db, self._bank))
        self._notice = self._site.notice(f"{ACCOUNT}=20.00")
        self._page = self._screens.new_page()
        self._page.set_viewport_size(PHONE)
        self._say(f"a mother's notice: {self._notice['link']}")

    def pay(self, terminal: Terminal) -> None:
        """Pay the notice on the phone, and measure when the terminal has the credit."""
        page = self._page
        page.goto(self._notice["link"])
        expect(page.locator("#amount")).to_have_text("20,00 €")
        self._keep(page, "notice")
        page.click("main button")
        before = terminal.balance(ACCOUNT)
        assert before is not None
        began = time.monotonic()
        page.click("#OK", no_wait_after=True)
        wait_for(
            lambda: terminal.balance(ACCOUNT) == before + 2_000,
            f"the credit at {terminal.name}",
            WITHIN_S,
        )
        took_ms = round((time.monotonic() - began) * 1_000)
        expect(page.locator("body")).to_have_attribute("data-view", "paid", timeout=15_000)
        self._keep(page, "paid")
        self._say(
            f"[bold green]a mother pays 20.00 on her phone[/]: {terminal.name} has it"
            f" {took_ms} ms after her click; the bank notified {len(self._bank.notified)} times"
        )

    def pay_again(self) -> None:
        """Send what must change nothing: a second payment of the notice, and an unknown one."""
        for words, iuv in (
            ("the same notice, paid at a shop too", self._notice["iuv"]),
            ("a notice that nobody gave out", "47000000000000000"),
        ):
            answer = post(f"{self._site.url}/pagopa", soap_receipt(Receipt(iuv, f"receipt-{iuv}")))
            assert "<outcome>OK" in answer.text, answer
            self._say(f"pagoPA receipt, {words}: answered OK")

    def pay_in_the_outage(self) -> None:
        """Take in a receipt while the broker is away; its answer does not wait for it."""
        notice = self._site.notice(f"{IN_THE_OUTAGE}=15.00")
        receipt = Receipt(notice["iuv"], "receipt-outage", "15.00", (Transfer("15.00"),))
        assert "<outcome>OK" in post(f"{self._site.url}/pagopa", soap_receipt(receipt)).text
        self._say("pagoPA receipt during the outage: answered OK, 15.00 booked at the central")

    def decide(self) -> None:
        """List what is parked, and decide it as the office does."""
        for payment in json.loads(self._central.office("payments", "--json")):
            number, euro = str(payment["n"]), format_euro(payment["amount_cents"])
            self._say(f"parked: payment {number}, {euro} euro: {payment['reason']}")
            self._central.office("payments", "refund", number, "--reason", "paid back")
        left = json.loads(self._central.office("payments", "--json"))
        self._say(f"the office paid both back; parked now: {len(left)}")

    def _keep(self, page: Page, picture: str) -> None:
        folder: Path = self._screens.pictures
        page.screenshot(path=folder / f"payer-{picture}.png")
