"""`canteen-central town`: the towns of a PostgreSQL server."""

import os
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.central.books.address import Database
from agent.central.books.file import FileBooks
from agent.central.books.town import Town, initialise
from agent.central.command import checked_id, checked_zone, now
from agent.central.generation import begin_generation
from agent.central.office.card_key import card_key_path, create_card_key
from agent.errors import AgentError
from agent.sync.topics import Topics, identity_fault

if TYPE_CHECKING:  # imported where it is used: only these commands need the driver
    from agent.central.books.postgres import Server


@click.group()
def town() -> None:
    """Add, list, copy and remove the towns of a server, named by --db postgresql://…"""


@contextmanager
def _server(database: Database) -> "Iterator[Server]":
    if database.server is None:
        raise AgentError(f"{database}: is a file, and has one town; a server has many")
    from agent.central.books.postgres import Server

    with closing(Server(database.server)) as server:
        yield server


@town.command("add")
@click.argument("name")
@click.option("--zone", default="Europe/Rome", show_default=True, help="The town's time zone.")
@click.pass_obj
def town_add(database: Database, name: str, zone: str) -> None:
    """Add the town NAME, with a role and a schema of its own, and create its card key."""
    new = Town(checked_id(name), checked_zone(zone))
    fault = identity_fault(Topics(name).central_identity)
    if fault is not None:
        raise AgentError(f"town {name!r} is not added: {fault}")
    key_path = card_key_path(Path(name))
    with _server(database) as server:
        from agent.central.books import towns

        is_new = not key_path.exists()  # a killed command may have left it
        if is_new:
            create_card_key(key_path)
        try:
            initialise(towns.add(server, name), new, secrets.token_hex(16), at=now())
        except AgentError:
            if is_new:
                key_path.unlink()
            raise
    click.echo(
        f"{database}: town {name}\n"
        f"{key_path}: the town's card key; copy it to every terminal and to nobody else"
    )


@town.command("list")
@click.pass_obj
def town_list(database: Database) -> None:
    """List the towns."""
    with _server(database) as server:
        from agent.central.books import towns

        for name in towns.names(server):
            click.echo(name)


@town.command("export")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def town_export(database: Database, name: str, file: Path) -> None:
    """Copy the town NAME into the new SQLite FILE, as one moment had it."""
    with _server(database) as server:
        from agent.central.books import towns
        from agent.central.books.postgres import TownBooks

        source = TownBooks(server, checked_id(name))
        before = os.umask(0o077)
        try:
            target = FileBooks(file, create=True)
        finally:
            os.umask(before)
        with closing(target):
            try:
                with target.transaction():
                    towns.copy(source, target)
            except AgentError:
                file.unlink()
                raise
    click.echo(f"{file}: town {name}; it has children's names")


@town.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def town_import(database: Database, file: Path) -> None:
    """Add the town of the SQLite FILE. Its terminals send what the file lacks."""
    with _server(database) as server, closing(FileBooks(file)) as source:
        from agent.central.books import towns

        name = towns.name_of(source)
        target = towns.add(server, name)
        with target.transaction():
            towns.copy(source, target)
            begin_generation(
                target, secrets.token_hex(16), at=now(), reason=f"imported from {file.name}"
            )
    click.echo(f"{database}: town {name}; put its card key beside the central's others")


@town.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def town_remove(database: Database, name: str, yes: bool) -> None:
    """Delete the town NAME with all its accounts, entries and payments. Export it first."""
    with _server(database) as server:
        from agent.central.books import towns

        if not yes:
            click.confirm(f"Delete town {name} with all that it has?", abort=True)
        towns.remove(server, checked_id(name))
    click.echo(f"{database}: town {name} is deleted")
