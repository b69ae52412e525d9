"""Faults of the machine, in a folder that looks like its /proc and /sys."""

from pathlib import Path

import pytest

from agent.terminal.doctor.finding import Finding, Level
from agent.terminal.doctor.machine import HOT_C, MEMORY_MB_MIN, look_at_machine


def findings_of(root: Path) -> dict[str, Finding]:
    return {finding.id: finding for finding in look_at_machine(root)}


def machine(root: Path, *, free_mb: int, degrees: int) -> Path:
    (root / "dev").mkdir(parents=True, exist_ok=True)
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc" / "meminfo").write_text(
        f"MemTotal:  1000000 kB\nMemAvailable:  {free_mb * 1024} kB\n"
    )
    zone = root / "sys" / "class" / "thermal" / "thermal_zone0"
    zone.mkdir(parents=True, exist_ok=True)
    (zone / "temp").write_text(f"{degrees}000\n")
    return root


@pytest.mark.parametrize(
    ("free_mb", "level"), [(MEMORY_MB_MIN, Level.OK), (MEMORY_MB_MIN - 1, Level.FAULT)]
)
def test_little_memory_is_a_fault(tmp_path: Path, free_mb: int, level: Level) -> None:
    found = findings_of(machine(tmp_path, free_mb=free_mb, degrees=40))
    assert found["machine.memory"].level is level


@pytest.mark.parametrize(("degrees", "level"), [(HOT_C - 1, Level.OK), (HOT_C, Level.WARNING)])
def test_a_hot_processor_is_a_warning(tmp_path: Path, degrees: int, level: Level) -> None:
    found = findings_of(machine(tmp_path, free_mb=400, degrees=degrees))
    assert found["machine.temperature"].level is level


def test_a_machine_without_a_clock_of_its_own_is_a_warning_until_it_has_one(tmp_path: Path) -> None:
    root = machine(tmp_path, free_mb=400, degrees=40)
    assert findings_of(root)["clock.rtc"].level is Level.WARNING
    (root / "dev" / "rtc0").touch()
    assert findings_of(root)["clock.rtc"].level is Level.OK


def test_what_a_machine_does_not_show_is_no_fault(tmp_path: Path) -> None:
    found = findings_of(tmp_path)
    names = ("machine.memory", "machine.temperature")
    assert [found[name].level for name in names] == [Level.HIDDEN] * 2
