"""What journalctl has of the last boots, and what the doctor says of it."""

import json

import pytest

from agent.terminal.doctor.boots import BOOTS_MAX, judge, look_at_boots, read
from agent.terminal.doctor.finding import Finding, Level
from agent.terminal.doctor.unit import RESTARTS_MAX

SERVING, STOPPED = ("77", "Serving as b/t-1 with 1 readers."), ("77", "Stopped.")
ENDED = ("1", "canteen-agent.service: Deactivated successfully.")
FAILED = ("1", "canteen-agent.service: Failed with result 'exit-code'.")
AGAIN = ("1", "canteen-agent.service: Scheduled restart job, restart counter is at 1.")
HUNG = ("1", "canteen-agent.service: Watchdog timeout (limit 30s)!")
CLEAN = [SERVING, STOPPED, ENDED]


def findings_of(*boots: list[tuple[str, str]]) -> list[Finding]:
    """Return the findings about boots, of which the last goes on."""
    lines = [
        json.dumps({"_BOOT_ID": str(number), "_PID": process, "MESSAGE": message})
        for number, boot in enumerate(boots)
        for process, message in boot
    ]
    return list(judge(read(lines), present=str(len(boots) - 1)))


def test_boots_that_end_with_a_stop_of_the_agent_are_well() -> None:
    (finding,) = findings_of(CLEAN, CLEAN, [SERVING])
    assert finding.level is Level.OK


def test_a_boot_that_ended_while_the_agent_ran_is_a_power_cut() -> None:
    (finding,) = findings_of(CLEAN, [SERVING], [SERVING])
    assert finding.level is Level.WARNING
    assert finding.seen == "1 of the last 3 boots ended by a power cut, while the agent ran"
    assert "poweroff" in finding.mend


def test_an_agent_that_failed_before_the_machine_ended_is_no_power_cut() -> None:
    (finding,) = findings_of([("77", "agent.toml: is not TOML"), FAILED], [SERVING])
    assert finding.level is Level.OK


def test_a_power_cut_before_the_last_boots_is_forgotten() -> None:
    (finding,) = findings_of([SERVING], *[CLEAN] * (BOOTS_MAX - 1), [SERVING])
    assert finding.level is Level.OK
    (finding,) = findings_of([SERVING], *[CLEAN] * (BOOTS_MAX - 2), [SERVING])
    assert finding.level is Level.WARNING


def test_an_agent_that_hung_is_named_with_the_file_for_support() -> None:
    (finding,) = findings_of([SERVING, HUNG, FAILED, AGAIN, SERVING])
    assert finding.level is Level.WARNING and "hung 1 times in this boot" in finding.seen
    assert "bundle" in finding.mend


@pytest.mark.parametrize(
    ("restarts", "level"), [(RESTARTS_MAX, Level.OK), (RESTARTS_MAX + 1, Level.WARNING)]
)
def test_many_restarts_over_the_last_boots_are_a_warning(restarts: int, level: Level) -> None:
    (finding,) = findings_of([AGAIN] * restarts, [SERVING])
    assert finding.level is level


def test_journalctl_without_the_agent_is_no_fault() -> None:
    (finding,) = findings_of()
    assert finding.level is Level.HIDDEN


def test_what_journalctl_has_of_this_machine_can_be_looked_at() -> None:
    assert {finding.id for finding in look_at_boots()} == {"machine.boots"}
