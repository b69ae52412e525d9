"""Starts `canteen-central`. Without its extra it stops with a sentence that names it."""

import logging
import sys

from agent.console import run_command, run_guarded
from agent.errors import ConfigError
from agent.ops import journal


def main() -> None:
    """Run `canteen-central`."""
    journal.set_up(level=logging.INFO, program="canteen-central")
    sys.exit(run_guarded(_run))


def _run() -> int:
    try:
        from agent.central.cli import cli
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("agent."):
            raise
        raise ConfigError(
            f"the Python module {error.name.split('.')[0]} is not installed; a central needs the"
            " extra central: pip install 'canteen-agent[central]'"
        ) from None
    return run_command(cli)
