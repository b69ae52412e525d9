"""What `systemctl show` printed, and what the doctor says of it."""

from pathlib import Path

import pytest

from agent.terminal.doctor.finding import Level
from agent.terminal.doctor.unit import RESTARTS_MAX, judge, judge_reach, look_at_unit

RUNNING = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "Result": "success",
    "ExecMainStatus": "0",
    "NRestarts": "0",
    "UnitFileState": "enabled",
}


def test_a_running_and_enabled_unit_is_well() -> None:
    assert {finding.level for finding in judge(RUNNING)} == {Level.OK}


@pytest.mark.parametrize(
    ("change", "seen", "mend"),
    [
        ({"LoadState": "not-found"}, "there is no unit", "--reinstall canteen-agent"),
        ({"ActiveState": "inactive", "SubState": "dead"}, "is inactive (dead", "systemctl restart"),
        (
            {"ActiveState": "failed", "ExecMainStatus": "78"},
            "configuration is wrong",
            "configuration.file",
        ),
        ({"ActiveState": "failed", "ExecMainStatus": "203"}, "program is missing", "--reinstall"),
        ({"ActiveState": "failed", "ExecMainStatus": "216"}, "a group", "systemd-sysusers"),
        ({"ActiveState": "failed", "ExecMainStatus": "217"}, "the user", "systemd-sysusers"),
        ({"ActiveState": "failed", "ExecMainStatus": "243"}, "a secret", "credential.file"),
        ({"ActiveState": "failed", "ExecMainStatus": "1"}, "is failed", "systemctl restart"),
        ({"UnitFileState": "disabled"}, "is disabled", "systemctl enable"),
    ],
)
def test_a_unit_that_is_not_well_has_a_line_that_mends_it(
    change: dict[str, str], seen: str, mend: str
) -> None:
    (finding,) = [one for one in judge(RUNNING | change) if one.level is Level.FAULT]
    assert seen in finding.seen and mend in finding.mend


@pytest.mark.parametrize(
    ("restarts", "level"), [(RESTARTS_MAX, Level.OK), (RESTARTS_MAX + 1, Level.WARNING)]
)
def test_many_restarts_are_a_warning(restarts: int, level: Level) -> None:
    state, _ = judge(RUNNING | {"NRestarts": str(restarts)})
    assert state.level is level
    assert level is Level.OK or "systemctl reset-failed canteen-agent" in state.mend


TOML = Path("/etc/canteen-agent/agent.toml")
REACH = {"ProtectSystem": "strict", "StateDirectory": "canteen-agent", "ReadWritePaths": ""}


@pytest.mark.parametrize(
    ("folder", "change", "level"),
    [
        ("/var/lib/canteen-agent", {}, Level.OK),
        ("/etc/canteen-agent/state", {}, Level.FAULT),
        ("/mnt/state/t-1", {"ReadWritePaths": "/srv /mnt/state"}, Level.OK),
        ("/mnt/state/t-1", {"ProtectSystem": "no"}, Level.OK),
    ],
)
def test_a_state_folder_that_the_unit_may_not_write_is_a_fault(
    folder: str, change: dict[str, str], level: Level
) -> None:
    finding = judge_reach(Path(folder), REACH | change, TOML)
    assert finding.level is level
    assert level is Level.OK or finding.mend.startswith(
        "sudo sed -i '/^state_dir *=/d' " + str(TOML)
    )


def test_this_machine_can_be_looked_at() -> None:
    assert {finding.id for finding in look_at_unit()} <= {"service.state", "service.enabled"}
