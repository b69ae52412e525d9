"""The command line of the screen: `canteen-agent screen`."""

import logging
from pathlib import Path

import click
import uvicorn

from agent.ops import journal
from agent.ops.screen_settings import load_screen
from agent.screen.app import make_app

CONFIG_DEFAULT = "/etc/canteen-agent/agent.toml"
# Loopback only: a person who opens the page may undo a meal.
HOST = "127.0.0.1"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path, readable=False),
    default=CONFIG_DEFAULT,
    show_default=True,
    help="The terminal's agent.toml.",
)
def screen(config_path: Path) -> None:
    """Show the staff's page of the terminal on this machine, on a loopback port."""
    journal.set_up(level=logging.INFO, program="canteen-screen")
    settings = load_screen(config_path)
    click.echo(f"screen: http://{HOST}:{settings.port}/")
    uvicorn.run(
        make_app(settings),
        host=HOST,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
