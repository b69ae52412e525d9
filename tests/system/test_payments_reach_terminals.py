"""Story 25: in the middle of lunch a mother pays, and the terminal shows it within a second."""

import time
from contextlib import ExitStack
from pathlib import Path

from tests.parts.bank import Bank, get, post
from tests.parts.broker import Mosquitto
from tests.parts.canteen import canteen
from tests.parts.pay_site import pay_site
from tests.parts.payment_messages import Receipt, soap_receipt
from tests.parts.process import wait_for

WITHIN_S = 1.0


def test_a_payment_is_at_the_online_terminal_within_a_second(tmp_path: Path) -> None:
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(tmp_path / "broker"))
        town = stack.enter_context(
            canteen(tmp_path, central_url=broker.url, terminal_url=broker.url, terminals=1)
        )
        bank = stack.enter_context(Bank(times=2))
        site = stack.enter_context(pay_site(town.central.db, bank))
        (terminal,) = town.terminals
        town.tap(0)

        paid = site.notice("a-0=20.00")
        post(f"{paid['link']}/pay", b"")
        get(f"{bank.url.removesuffix('/pay')}/OK?order=0")
        began = time.monotonic()
        wait_for(lambda: terminal.balance("a-0") == 2_000 - 366, "the credit", WITHIN_S)
        assert time.monotonic() - began < WITHIN_S

        receipt = soap_receipt(Receipt(paid["iuv"]))  # the same notice, paid at a shop too
        unknown = soap_receipt(Receipt("47000000000000000", "receipt-2"))
        broker.stop()
        for data in (receipt, receipt, unknown):
            assert "<outcome>OK" in post(f"{site.url}/pagopa", data).text
        other = site.notice("a-1=10.00")
        pushed = Receipt(other["iuv"], "receipt-3", "10.00")._replace(
            transfers=(Receipt("").transfers[0]._replace(euro="10.00"),)
        )
        assert "<outcome>OK" in post(f"{site.url}/pagopa", soap_receipt(pushed)).text
        broker.start()
        wait_for(lambda: terminal.balance("a-1") == 1_000, "the credit after the outage", 60)
        wait_for(town.all_booked, "the acknowledgements")
        assert terminal.balance("a-0") == 2_000 - 366
        town.stop()
        town.check()
