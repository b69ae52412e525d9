"""Three days without a network at twenty terminals: 20,000 entries go up at a measured pace, and nobody at the counter notices."""

import json
from pathlib import Path

import pytest

from agent.sync.messages import BATCH_ENTRIES_MAX, BATCHES_UNACKED_MAX
from tests.parts.broker import Listener, Mosquitto
from tests.parts.canteen import Canteen, canteen, write_backlog
from tests.parts.process import wait_for
from tests.parts.town import TOWN

TERMINALS = 20
ENTRIES = 1_000
TAPS = 10


def most_under_way(heard: list[tuple[str, bytes]], name: str) -> int:
    """Return how many entries of a terminal were ever sent and not yet acknowledged, in the order the broker saw it."""
    sent = acked = most = 0
    for topic, payload in heard:
        if topic.endswith(f"/t/{name}/entries"):
            sent = max(sent, json.loads(payload)["entries"][-1]["seq"])
        elif topic.endswith(f"/t/{name}/changes"):
            acked = max(acked, json.loads(payload)["acked"]["seq"])
        most = max(most, sent - acked)
    return most


@pytest.mark.timeout(300)
def test_a_backlog_drains_at_a_pace_and_the_counter_goes_on(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path / "broker") as broker,
        Listener(broker.port, f"canteen/v1/{TOWN}/#") as listener,
        canteen(
            tmp_path,
            central_url=broker.url,
            terminal_url=broker.url,
            terminals=TERMINALS,
            start=False,
        ) as town,
    ):
        for number, terminal in enumerate(town.terminals):
            write_backlog(terminal, number, ENTRIES)
            town.tapped += ENTRIES
        for terminal in town.terminals:
            town.start(terminal)
        town.central.start()
        wait_for(lambda: 0 < booked(town) < TERMINALS * ENTRIES // 2, "the backlog moving", 60)
        for n in range(TAPS):
            town.tap(n % TERMINALS)
        assert booked(town) < TERMINALS * ENTRIES, "the taps were to fall into the backlog"
        wait_for(town.all_booked, "everything booked", 200)
        wait_for(lambda: town.all_equal("a-1"), "equal balances", 60)
        town.stop()
        town.check()
        for terminal in town.terminals:
            assert (
                most_under_way(listener.received, terminal.name)
                <= BATCHES_UNACKED_MAX * BATCH_ENTRIES_MAX
            )


def booked(town: Canteen) -> int:
    return int(town.central.rows("SELECT count(*) FROM entry")[0][0])
