"""Starts `canteen-agent`. Without the extra `terminal` it stops with a sentence that names it."""

import faulthandler
import logging
import sys

from agent.console import run_command, run_guarded
from agent.errors import ConfigError
from agent.ops import journal


def main() -> None:
    """Run `canteen-agent`."""
    # SQLite's index of the log (-shm) is mapped memory. A program that cuts it ends this process;
    # then the log has a trace, and the next start reads the log again.
    faulthandler.enable()
    journal.set_up(level=logging.INFO, program="canteen-agent")
    sys.exit(run_guarded(_run))


def _run() -> int:
    try:
        from agent.terminal.cli import cli
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("agent."):
            raise
        raise ConfigError(
            f"the Python module {error.name} is not installed; a terminal needs the extra"
            " terminal: pip install 'canteen-agent[terminal]'"
        ) from None
    return run_command(cli)
