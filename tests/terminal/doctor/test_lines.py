"""The mending lines are shell lines: what is no command stands behind a `#`."""

import subprocess
from pathlib import Path

import pytest

from agent.terminal.doctor import lines

LINES = [line for name, line in vars(lines).items() if name.isupper()]
TOML = Path("/etc/canteen-agent/agent.toml")


@pytest.mark.parametrize("line", [*LINES, lines.edit(TOML), lines.edit(TOML, "the key; or more")])
def test_a_shell_takes_each_line(line: str) -> None:
    command, _, hint = line.partition("  # ")
    assert command.startswith("sudo ") and "#" not in command + hint
    subprocess.run(["sh", "-n", "-c", line], check=True, timeout=10)
