"""The command `canteen-central web`: the doors of node and bank, and the payer's pages."""

from pathlib import Path

import click

from agent.central.books.checks import require_whole
from agent.central.command import needs_extra, now, open_books
from agent.central.payments.settings import load_settings

LOOPBACK = "127.0.0.1"


@click.command()
@click.option("--host", default=LOOPBACK, show_default=True, help="The address to listen at.")
@click.option("--port", default=8090, show_default=True, type=click.IntRange(1024, 65_535))
@click.pass_obj
def web(db_path: Path, host: str, port: int) -> None:
    """Take payments over HTTP, and show notices to payers, behind a reverse proxy with TLS."""
    with needs_extra("web"):
        import uvicorn

        from agent.central.web.app import Doors, make_app
    settings = load_settings(db_path)
    with open_books(db_path) as books:
        require_whole(books)
        click.echo(f"payments: http://{host}:{port}/")
        uvicorn.run(
            make_app(Doors(books, settings, now)),
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
