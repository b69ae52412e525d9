"""The commands by which a box becomes a terminal: authority, codes, the server for them, broker.

What the extra `central` brings is imported late: other commands work without it.
"""

import os
import secrets
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.central.books import enrolments, town
from agent.central.books.address import Database
from agent.central.books.checks import require_whole
from agent.central.command import (
    authority_folder,
    card_key,
    checked_id,
    now,
    open_books,
)
from agent.central.office.terminals import add_terminal
from agent.console import Format, show_rows, table_format
from agent.domain.clock import OLDEST_PLAUSIBLE_YEAR, parse_instant
from agent.errors import AgentError, CentralError
from agent.sync.broker import Broker
from agent.sync.enrolment import SECRET_BYTES, format_code
from agent.sync.topics import Topics
from agent.whole_file import SECRET_MODE, write_whole

if TYPE_CHECKING:
    from agent.central.enrolment.enrolling import Office
    from agent.central.enrolment.kept import Kept

MOSQUITTO = Path("/etc/mosquitto/conf.d")


@click.group()
def ca() -> None:
    """The town's certificate authority."""


@ca.command("init")
@click.option("--enrol", "enrol_at", required=True, help="Where boxes enrol: HOST:PORT.")
@click.option("--broker", required=True, help="The broker for terminals: mqtts://HOST:8883.")
@click.pass_obj
def ca_init(database: Database, enrol_at: str, broker: str) -> None:
    """Create the authority, and the central's own certificate. Back its folder up."""
    from agent.central.enrolment.addresses import write_addresses
    from agent.central.enrolment.authority import (
        new_authority,
        require_no_authority,
        store_authority,
    )

    folder = authority_folder(database)
    if _present().year < OLDEST_PLAUSIBLE_YEAR:
        raise AgentError("the clock of this machine is not set; set it: timedatectl")
    with open_books(database) as books:
        name = town.find(books).name
    authority = new_authority(f"Canteens of {name}"[:64], _present())
    own = authority.make_client(Topics(name).central_identity, _present())
    try:
        require_no_authority(folder)
        folder.mkdir(mode=0o700, exist_ok=True)
        write_addresses(folder, enrol_at, broker)
        write_whole(folder / "central.pem", own, SECRET_MODE)
        store_authority(folder, authority)
        _give_to_owner_of(database, folder)
    except OSError as error:
        raise CentralError(f"{folder}: cannot be written: {error.strerror}") from error
    click.echo(
        f"{folder}: the authority of {name}. With ca.key in it terminals can be made: keep it safe"
    )


@click.command("broker-config")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=MOSQUITTO)
@click.option("--user", default="mosquitto", show_default=True, help="Who runs the broker.")
@click.option(
    "--as",
    "installed_as",
    type=click.Path(path_type=Path),
    help="Where FOLDER will be, when it is copied to another machine.",
)
@click.pass_obj
def broker_config(database: Database, folder: Path, user: str, installed_as: Path | None) -> None:
    """Write settings, access list and certificates of mosquitto, which includes FOLDER.

    Call it again after enrol revoke.
    """
    from agent.central.enrolment.addresses import load_addresses
    from agent.central.enrolment.broker_files import BrokerPlace, write_broker_files

    kept = _kept(database)
    broker = Broker(url=load_addresses(kept.folder).broker).address()
    place = BrokerPlace(
        settings=folder,
        host=broker.host,
        port=broker.port,
        user=user,
        installed_as=installed_as or folder.resolve(),
    )
    with open_books(database) as books:
        name, revoked = town.find(books).name, kept.list_revoked(books, now())
    _give_to_owner_of(database, kept.folder)
    for path in write_broker_files(place, kept.authority, name, revoked, _present()):
        click.echo(path)
    click.echo("Now: systemctl restart mosquitto")


@click.group()
def enrol() -> None:
    """Make boxes terminals, by a one-time code."""


@enrol.command("new")
@click.argument("terminal")
@click.option("--site", help="Where it stands; needed for a new terminal.")
@click.pass_obj
def enrol_new(database: Database, terminal: str, site: str | None) -> None:
    """Print a code that makes one box TERMINAL, within a day."""
    import segno

    from agent.central.enrolment.enrolling import CODE_HOURS, new_code

    office = _office(database)
    with open_books(database) as books:
        if site is not None:
            add_terminal(books, checked_id(terminal), checked_id(site))
        secret = secrets.token_bytes(SECRET_BYTES)
        text = format_code(new_code(books, office, terminal, secret, at=now()))
    if sys.stdout.isatty():
        segno.make_qr(text.replace("-", "")).terminal(compact=True)
    click.echo(f"On the box, within {CODE_HOURS} hours:\n\n  sudo canteen-agent enrol {text}\n")


@enrol.command("list")
@table_format
@click.pass_obj
def enrol_list(database: Database, table_format: Format) -> None:
    """List the terminals with their certificates, and the codes that wait."""
    with open_books(database) as books:
        rows = enrolments.standing(books)
    show_rows([row._asdict() for row in rows], table_format)


@enrol.command("revoke")
@click.argument("terminal")
@click.pass_obj
def enrol_revoke(database: Database, terminal: str) -> None:
    """Take back the certificates and codes of TERMINAL, of a stolen box for example."""
    from agent.central.enrolment.enrolling import revoke

    kept = _kept(database)
    with open_books(database) as books:
        count = revoke(books, kept, checked_id(terminal), at=now())
    _give_to_owner_of(database, kept.folder)
    click.echo(
        f"{count} certificates of {terminal} are taken back."
        " The broker learns it from: canteen-central broker-config"
    )


@enrol.command("serve")
@click.option("--host", help="The address to listen at; every one if not given.")
@click.pass_obj
def enrol_serve(database: Database, host: str | None) -> None:
    """Answer boxes that enrol and terminals that renew, over HTTPS, until stopped."""
    import uvicorn

    from agent.central.web.enrolment_app import EnrolmentDoors, make_enrolment_app
    from agent.central.web.fair_socket import ACCEPTED_AT_ONCE, FairSocket

    office = _office(database)
    own = authority_folder(database) / "server.pem"
    write_whole(own, office.authority.make_server(office.address.host, _present()), SECRET_MODE)
    with open_books(database) as books:
        require_whole(books)
        every = "::" if ":" in office.address.host else "0.0.0.0"
        listener = FairSocket(host or every, office.address.port)
        click.echo(f"enrolment: https://{office.address}/")
        config = uvicorn.Config(
            make_enrolment_app(EnrolmentDoors(books, office, now)),
            loop="asyncio",  # it accepts by the socket's own method
            backlog=ACCEPTED_AT_ONCE,
            ssl_certfile=own,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
        uvicorn.Server(config).run(sockets=[listener])


def _give_to_owner_of(database: Database, folder: Path) -> None:
    """Give what root made to the user whose database it is: a service may be that user."""
    if os.geteuid() != 0:
        return
    owner = (database.files if database.server is None else Path()).stat()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)


def _kept(database: Database) -> "Kept":
    from agent.central.enrolment.authority import load_authority
    from agent.central.enrolment.kept import Kept

    folder = authority_folder(database)
    return Kept(folder, load_authority(folder))


def _office(database: Database) -> "Office":
    from agent.central.enrolment.addresses import load_addresses
    from agent.central.enrolment.enrolling import Office

    kept = _kept(database)
    addresses = load_addresses(kept.folder)
    return Office(
        kept=kept,
        card_key=card_key(database).hex(),
        broker=addresses.broker,
        address=addresses.enrol,
    )


def _present() -> datetime:
    return parse_instant(now())
