"""The readers that are plugged in, and what keeps each from working."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from agent.readers.open import ReaderConfig
from agent.readers.plugged import Device
from agent.readers.port_users import users_of
from agent.terminal.doctor.finding import Finding, fault, hidden, ok, warning
from agent.terminal.doctor.lines import edit


def look_at_devices(
    devices: Iterable[Device], readers: Sequence[ReaderConfig]
) -> Iterator[Finding]:
    """Yield what keeps each plugged device from working; a fault where agent.toml wants it."""
    ports = {os.path.realpath(reader.port) for reader in readers if reader.port is not None}
    wants_pcsc = any(reader.port is None for reader in readers)
    for device in devices:
        is_port = device.location is not None and device.location.startswith("/")
        is_used = os.path.realpath(device.location or "") in ports if is_port else wants_pcsc
        # of a serial module nobody knows the model but agent.toml
        obstacles = [] if is_port and is_used and device.profile is None else device.obstacles
        for obstacle in obstacles:
            seen = f"{device.description}: {obstacle.problem}"
            if is_used:
                yield fault("reader.obstacle", seen, obstacle.fix)
            else:
                yield hidden("reader.obstacle", f"not in agent.toml: {seen}")
        if is_used and not obstacles:
            yield ok("reader.obstacle", f"{device.description}: nothing is in its way")


def look_at_ports(
    readers: Sequence[ReaderConfig], config: Path, *, agent_runs: bool
) -> Iterator[Finding]:
    """Yield the findings about the ports of agent.toml. The agent itself may have them."""
    for reader in readers:
        if reader.port is None:
            continue
        if not Path(reader.port).exists():
            mend = edit(config, "port, from canteen-agent readers; or plug the reader in")
            yield fault("reader.plugged", f"reader {reader.name}: {reader.port} is missing", mend)
            continue
        yield ok("reader.plugged", f"reader {reader.name}: {reader.port} is there")
        users = [user for user in users_of(reader.port) if "canteen-agent" not in user]
        if users and not agent_runs:
            seen = f"reader {reader.name}: {', '.join(users)} has {reader.port}"
            yield warning("reader.port", seen, f"sudo fuser -k {reader.port}  # ends that program")
