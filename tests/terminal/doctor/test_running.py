"""What a running agent says of itself, and what the doctor makes of it."""

from pathlib import Path

import pytest

from agent.terminal.doctor.finding import Finding, Level
from agent.terminal.doctor.running import SILENT_S, judge, status_of
from tests.parts.wire import Wire


def found(status: dict[str, object]) -> dict[str, Finding]:
    return {finding.id: finding for finding in judge(status, "test")}


def test_a_terminal_that_works_is_well(wire: Wire) -> None:
    status = wire.box.ask("status") | {"readers": {"counter": "ready"}, "last_contact_s": 1}
    levels = {finding.id: finding.level for finding in judge(status, "test")}
    assert set(levels.values()) == {Level.OK}


@pytest.mark.parametrize(
    ("change", "check", "level"),
    [
        ({"readers": {"counter": "down since 12:00: unplugged"}}, "agent.reader", Level.FAULT),
        ({"software": "0.0.9"}, "agent.version", Level.WARNING),
        ({"link": "up, but the broker denies entries"}, "agent.link", Level.FAULT),
        ({"link": "down since 12:00: no route"}, "agent.link", Level.WARNING),
        ({"not_booked": "nothing booked since 12:00"}, "agent.booked", Level.FAULT),
        ({"last_contact_s": None}, "agent.central", Level.WARNING),
        ({"last_contact_s": SILENT_S + 1}, "agent.central", Level.WARNING),
        ({"last_contact_s": 1, "resyncing": True}, "agent.central", Level.WARNING),
        ({"wiped": True}, "agent.central", Level.FAULT),
        ({"clock_fault": "the central's clock is 2 h ahead"}, "agent.clock", Level.WARNING),
    ],
)
def test_what_the_agent_says_is_wrong_is_found(
    wire: Wire, change: dict[str, object], check: str, level: Level
) -> None:
    status = wire.box.ask("status") | {"readers": {"counter": "ready"}} | change
    finding = found(status)[check]
    assert finding.level is level and finding.mend


def test_an_agent_that_does_not_answer_is_a_fault(tmp_path: Path) -> None:
    finding = status_of(tmp_path / "control.sock")
    assert isinstance(finding, Finding) and finding.level is Level.FAULT
    assert "systemctl restart" in finding.mend
