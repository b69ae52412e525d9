"""Starts `canteen-agent`: a terminal, or with the word `screen` the staff's page.

Without its extra, either stops with a sentence that names it.
"""

import faulthandler
import logging
import sys

import click

from agent.console import run_command, run_guarded
from agent.errors import ConfigError
from agent.ops import journal

SCREEN = "screen"


def main() -> None:
    """Run `canteen-agent`."""
    # SQLite's index of the log (-shm) is mapped memory. A program that cuts it ends this process;
    # then the log has a trace, and the next start reads the log again.
    faulthandler.enable()
    journal.set_up(level=logging.INFO, program="canteen-agent")
    sys.exit(run_guarded(_run))


def _run() -> int:
    extra = SCREEN if sys.argv[1:2] == [SCREEN] else "terminal"
    try:
        command = _screen() if extra == SCREEN else _terminal()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("agent."):
            raise
        what, package = "the screen" if extra == SCREEN else "a terminal", error.name.split(".")[0]
        raise ConfigError(
            f"the Python module {package} is not installed; {what} needs the extra"
            f" {extra}: pip install 'canteen-agent[{extra}]'"
        ) from None
    return run_command(command)


def _terminal() -> click.Command:
    from agent.terminal.cli import cli

    return cli


def _screen() -> click.Command:
    from agent.screen.cli import screen

    del sys.argv[1]  # click takes the rest
    return screen
