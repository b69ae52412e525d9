"""The commands that make a box a terminal, and renew its certificate: `enrol` and `renew`.

They import late what a serving agent never needs: it takes 8 MiB.
"""

import os
import subprocess
from pathlib import Path

import click

from agent.errors import AgentError
from agent.sync.enrolment import parse_code
from agent.terminal.cli_readers import CONFIG, plugged_devices
from agent.terminal.doctor.finding import Level
from agent.terminal.doctor.look import look

UNIT = "canteen-agent"
USER = "canteen-agent"
START_S_MAX = 120
"""The unit may take so long to start: a large file is read whole."""
# What must be right before the service starts.
_CHECKED = ("configuration.", "credential.", "reader.", "broker.", "clock.")


@click.command()
@CONFIG
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    default=Path("/var/lib/canteen-agent"),
    show_default=True,
    help="The folder of the terminal's ledger.",
)
@click.option("--start/--no-start", default=True, help="Start the service at the end.")
@click.argument("code", nargs=-1, required=True)
def enrol(config_path: Path, state_dir: Path, start: bool, code: tuple[str, ...]) -> int:
    """Make this box a terminal with the CODE that canteen-central enrol new has printed.

    The code is good for a day and for one box. After a power cut give it again.
    """
    from agent.terminal.enrolling import Box
    from agent.terminal.enrolling import enrol as enrol_box

    user = USER if os.geteuid() == 0 and start else None
    box = Box(config=config_path, state_dir=state_dir, user=user)
    devices = plugged_devices()
    answer = enrol_box(parse_code(" ".join(code)), box, devices)
    click.echo(f"{config_path}: this box is terminal {answer.terminal} of {answer.town}")
    faults = 0
    for finding in look(config_path, devices):
        if finding.level in (Level.FAULT, Level.WARNING) and finding.id.startswith(_CHECKED):
            faults += finding.level is Level.FAULT
            click.echo(f"{finding.level.value:8}{finding.id:22}{finding.seen}")
            click.echo(f"{'':8}{'mend:':22}{finding.mend}")
    if start:
        _start()
        click.echo(f"{UNIT} is running; look at it with: canteen-agent doctor")
    return 1 if faults else 0


@click.command()
@CONFIG
def renew(config_path: Path) -> None:
    """Renew the terminal's certificate if it ends soon. A timer does it every day."""
    from agent.terminal.enrolling import present
    from agent.terminal.enrolling import renew as renew_certificate

    click.echo(renew_certificate(config_path, present()))


def _start() -> None:
    units = [UNIT, f"{UNIT}-renew.timer"]
    try:
        done = subprocess.run(
            ["systemctl", "enable", "--now", *units],
            capture_output=True,
            text=True,
            timeout=START_S_MAX,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AgentError(f"the service is not started: {error}") from error
    if done.returncode != 0:
        raise AgentError(f"the service does not start: {done.stderr.strip()}; see: doctor")
