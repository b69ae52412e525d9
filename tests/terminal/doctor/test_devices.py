"""Faults of readers: an obstacle, a port that is missing, a port that another program has."""

import os
import pty
import subprocess
import sys
from pathlib import Path

from agent.readers.open import ReaderConfig
from agent.readers.plugged import Device, Obstacle
from agent.readers.profile_rules import load_profile
from agent.terminal.doctor.devices import look_at_devices, look_at_ports
from agent.terminal.doctor.finding import Level

RDM6300 = load_profile("rdm6300")
TOML = Path("/etc/canteen-agent/agent.toml")


def reader(port: str) -> ReaderConfig:
    return ReaderConfig(name="counter", profile=RDM6300, port=port, device=None)


def levels_of(device: Device, *readers: ReaderConfig) -> list[Level]:
    return [finding.level for finding in look_at_devices([device], readers)]


def test_each_obstacle_of_a_wanted_device_is_a_fault_with_its_fix() -> None:
    obstacles = [Obstacle("the driver allows no escape commands", "sudo sed …")]
    profile = load_profile("acs-acr122u")
    wanted = ReaderConfig(name="counter", profile=profile, port=None, device=None)
    device = Device("USB 072f:2200", "ACR122U", profile, "a USB id", obstacles)
    (finding,) = look_at_devices([device], [wanted])
    assert finding.level is Level.FAULT and finding.mend == "sudo sed …"
    assert levels_of(device) == [Level.HIDDEN]
    free = Device("USB 072f:2200", "ACR122U", profile, "a USB id")
    assert levels_of(free, wanted) == [Level.OK] and levels_of(free) == []


def test_a_serial_port_without_a_known_model_is_well_where_agent_toml_names_it(
    tmp_path: Path,
) -> None:
    port = tmp_path / "ttyS0"
    port.touch()
    (tmp_path / "by-id").symlink_to(port)
    obstacles = [Obstacle("the profile must be set in agent.toml", "write it")]
    device = Device("serial port ttyS0", str(port), None, "a serial port", obstacles)
    assert levels_of(device) == [Level.HIDDEN]
    assert levels_of(device, reader(str(tmp_path / "by-id"))) == [Level.OK]


def test_a_port_that_is_missing_is_a_fault(tmp_path: Path) -> None:
    (finding,) = look_at_ports([reader(str(tmp_path / "ttyUSB0"))], TOML, agent_runs=False)
    assert finding.level is Level.FAULT and "ttyUSB0 is missing" in finding.seen
    assert finding.mend.startswith(f"sudo nano {TOML} && sudo systemctl restart canteen-agent  #")


def test_another_program_at_a_port_is_named_until_it_ends() -> None:
    master, slave = pty.openpty()
    port = os.ttyname(slave)
    os.close(slave)
    code = f"import sys; f = open({port!r}, 'rb', 0); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"open\n"
        there, held = look_at_ports([reader(port)], TOML, agent_runs=False)
        assert there.level is Level.OK and held.level is Level.WARNING
        assert f"(pid {other.pid})" in held.seen and port in held.mend
        assert len(list(look_at_ports([reader(port)], TOML, agent_runs=True))) == 1
    assert [finding.level for finding in look_at_ports([reader(port)], TOML, agent_runs=False)] == [
        Level.OK
    ]
    os.close(master)
