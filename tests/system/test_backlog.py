"""Ten terminals replicate a backlog of 20,000 entries, paced, while they serve."""

import json
from pathlib import Path

import pytest

from agent.sync.messages import BATCH_ENTRIES_MAX, BATCHES_UNACKED_MAX
from tests.parts.broker import Listener, Mosquitto
from tests.parts.canteen import Canteen, canteen, write_backlog
from tests.parts.process import wait_for
from tests.parts.town import TOWN

# Twenty would fill a /tmp of 500 MB: each keeps 12 MB of headroom in its file, and again in its
# write-ahead log.
TERMINALS = 10
ENTRIES = 2_000
TAPS = 10
IN_FLIGHT_MAX = BATCHES_UNACKED_MAX * BATCH_ENTRIES_MAX


def most_in_flight(messages: list[tuple[str, bytes]], name: str) -> int:
    """Return the most entries of a terminal that were ever sent and not yet acknowledged.

    `messages` are in the order in which the broker saw them.
    """
    sent = acked = most = 0
    for topic, payload in messages:
        if topic.endswith(f"/t/{name}/entries"):
            sent = max(sent, json.loads(payload)["entries"][-1]["seq"])
        elif topic.endswith(f"/t/{name}/changes"):
            acked = max(acked, json.loads(payload)["acked"]["seq"])
        most = max(most, sent - acked)
    return most


def booked(town: Canteen) -> int:
    return int(town.central.rows("SELECT count(*) FROM entry")[0][0])


@pytest.mark.timeout(300)
def test_a_backlog_is_paced_and_taps_are_served_meanwhile(tmp_path: Path) -> None:
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
        wait_for(lambda: 0 < booked(town) < TERMINALS * ENTRIES // 2, "the first batches", 60)
        for n in range(TAPS):
            town.tap(n % TERMINALS)
        assert booked(town) < TERMINALS * ENTRIES, "the taps came after the backlog"
        wait_for(town.all_booked, "everything booked", 200)
        wait_for(town.all_sent, "the newest accounts at every terminal", 60)
        town.stop()
        town.check()
        most = [most_in_flight(listener.received, terminal.name) for terminal in town.terminals]
        assert max(most) <= IN_FLIGHT_MAX
        assert max(most) > BATCH_ENTRIES_MAX  # the bound was put to the test
