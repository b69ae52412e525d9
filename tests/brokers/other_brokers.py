"""One day at two other brokers, amqtt and aedes, which support MQTT 3.1.1 only.

So nothing depends on mosquitto. `make test-brokers` installs both and runs this file; `make test`
does not need them.
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.parts.broker import free_port
from tests.parts.canteen import Canteen, canteen
from tests.parts.process import ROOT, Process, require, wait_for

AMQTT = ROOT / ".venv-brokers" / "bin" / "amqtt"
AEDES = Path(__file__).with_name("aedes.mjs")


def amqtt(folder: Path, port: int) -> Process:
    config = folder / "amqtt.yaml"
    config.write_text(
        f"listeners:\n  default:\n    type: tcp\n    bind: 127.0.0.1:{port}\nplugins:\n"
        "  amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n",
        encoding="utf-8",
    )
    return Process([AMQTT, "-c", config], folder / "amqtt.log")


def aedes(folder: Path, port: int) -> Process:
    return Process([require("node"), AEDES, str(port)], folder / "aedes.log")


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.mark.timeout(240)
@pytest.mark.parametrize("start", [amqtt, aedes])
def test_both_sides_end_equal_at_another_broker(
    start: Callable[[Path, int], Process], tmp_path: Path
) -> None:
    port = free_port()
    url = f"mqtt://127.0.0.1:{port}"
    broker = start(tmp_path, port)
    try:
        wait_for(lambda: listens(port), "the broker listening")
        with canteen(tmp_path, central_url=url, terminal_url=url) as town:
            lunch(town)
            broker.kill()
            town.tap(0)
            town.central.office("credit", "a-2", "10.00", "--id", "r-2")
            broker = start(tmp_path, port)
            wait_for(town.all_booked, "everything booked", 90)
            wait_for(lambda: town.all_equal("a-2"), "equal balances", 60)
            town.stop()
            town.check()
    finally:
        broker.stop()


def lunch(town: Canteen) -> None:
    for n in range(6):
        town.tap(n % 2)
    town.central.office("credit", "a-1", "10.00", "--id", "r-1")
    wait_for(town.all_booked, "everything booked")
    wait_for(lambda: town.all_equal("a-1"), "the top-up")
