"""What a town's technician sees of a terminal with a fault, silent, and back: on a real broker."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.broker import Mosquitto
from tests.parts.canteen import Canteen, canteen
from tests.parts.process import wait_for

TERMINAL = "Terminal t-1 at primaria: "


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Canteen]:
    with Mosquitto(tmp_path / "broker") as broker:
        url = broker.url
        with canteen(tmp_path, central_url=url, terminal_url=url, terminals=1) as town:
            yield town


def lines(town: Canteen) -> list[str]:
    """Return the central's lines about the terminal."""
    assert town.central.process is not None
    return [
        line.partition(TERMINAL)[2]
        for line in town.central.process.output().splitlines()
        if TERMINAL in line
    ]


def wait_for_line(town: Canteen, start: str) -> None:
    """Wait longer than SETTLE_MS: a central that has just started judges no silence."""
    wait_for(lambda: lines(town)[-1:] and lines(town)[-1].startswith(start), start, 60)


@pytest.mark.timeout(300)
def test_a_fault_a_silence_and_both_ends_have_a_line_each_and_lunch_without_it_an_incident(
    town: Canteen,
) -> None:
    (terminal,), (reader,) = town.terminals, town.lines
    town.tap(0)
    listed = json.loads(town.central.office("terminals", "--json"))
    assert listed[0]["condition"] == "ok" and listed[0]["disk_free_mb"] > 0
    reader.unplug()
    wait_for_line(town, "reader counter: down: ")
    reader.plug()
    wait_for_line(town, "reader counter is well again after ")

    assert terminal.process is not None
    terminal.process.kill()
    wait_for_line(town, "silent: offline: the broker has lost it")
    incident = "SELECT detail FROM incident WHERE kind = 'silent_at_serving'"
    wait_for(lambda: town.central.rows(incident), "the incident", 180)
    ((detail,),) = town.central.rows(incident)
    assert detail.startswith("t-1 at primaria is silent since ") and "lunch is served" in detail

    town.start(terminal)
    wait_for_line(town, "online again after 2 min")
    assert [line.partition(" ")[0] for line in lines(town)] == [
        "reader", "reader", "silent:", "silent", "online",
    ]  # fmt: skip
