"""The technician's command `canteen-agent bundle`."""

import sys
from contextlib import suppress
from pathlib import Path

import click

from agent.errors import AgentError
from agent.terminal.bundle import bundle as make_bundle
from agent.terminal.bundle import parts
from agent.terminal.cli_readers import CONFIG, plugged_devices

FILE_MODE = 0o600


@click.command()
@CONFIG
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    default=Path("canteen-bundle.tar.gz"),
    show_default=True,
    help="The file to write; - for the standard output, as on a full disk.",
)
def bundle(config_path: Path, output: Path) -> None:
    """Write one file for support: doctor, status, incidents, logs, versions, disk, readers.

    It has no key, no card number, no token, no name of a child, and no database.
    """
    is_file = str(output) != "-"
    if is_file and output.exists():
        raise AgentError(f"{output}: exists already; name another file with -o")
    files, made = parts(config_path, plugged_devices), list[bytes]()
    with click.progressbar(
        make_bundle(files), length=len(files) + 1, label="collecting", file=sys.stderr
    ) as steps:
        made += steps
    archive = made[-1]
    if not is_file:
        sys.stdout.buffer.write(archive)
        return
    try:
        output.touch(mode=FILE_MODE)
        output.write_bytes(archive)
    except OSError as error:
        with suppress(OSError):
            output.unlink(missing_ok=True)  # half a file helps nobody
        raise AgentError(
            f"{output}: {error.strerror}; write elsewhere with -o, or: canteen-agent bundle -o - |"
            " ssh HOST 'cat > bundle.tar.gz'"
        ) from error
    click.echo(f"{output}: {len(archive):,} bytes")
