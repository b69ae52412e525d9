"""The technician's command `canteen-agent doctor`."""

from dataclasses import asdict
from pathlib import Path

import click

from agent.console import JSON, print_json
from agent.terminal.cli_readers import CONFIG, plugged_devices
from agent.terminal.doctor.finding import Level
from agent.terminal.doctor.look import look


@click.command()
@CONFIG
@JSON
def doctor(config_path: Path, as_json: bool) -> int:
    """Look at this terminal and its machine, and say what is wrong and which line mends it.

    Works without the agent and as any user; root sees most. Ends with 1 when there is a fault.
    """
    findings = list(look(config_path, plugged_devices()))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            click.echo(f"{finding.level.value:8}{finding.id:22}{finding.seen}")
            if finding.mend:
                click.echo(f"{'':8}{'mend:':22}{finding.mend}")
    return 1 if any(finding.level is Level.FAULT for finding in findings) else 0
