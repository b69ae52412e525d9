"""The command `canteen-central web`: the doors of node and bank, and the payer's pages."""

import click

from agent.central.books.address import Database
from agent.central.books.checks import require_whole
from agent.central.command import now, open_books
from agent.central.payments.settings import load_settings

LOOPBACK = "127.0.0.1"


@click.command()
@click.option("--host", default=LOOPBACK, show_default=True, help="The address to listen at.")
@click.option("--port", default=8090, show_default=True, type=click.IntRange(1024, 65_535))
@click.pass_obj
def web(database: Database, host: str, port: int) -> None:
    """Take payments over HTTP, and show notices to payers, behind a reverse proxy with TLS."""
    import uvicorn

    from agent.central.web.app import Doors, make_app

    settings = load_settings(database.files)
    with open_books(database) as books:
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
