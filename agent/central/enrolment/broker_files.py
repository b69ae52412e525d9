"""What mosquitto needs to serve a town: settings, access list, certificates, revoked certificates.

Written whole each time, so the same command is the installation and each later change. All paths
are absolute, so the settings work from whatever folder the broker is started in.
"""

import os
import pwd
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent.central.enrolment.authority import Authority
from agent.errors import CentralError
from agent.sync.topics import ROOT, Leaf, Topics
from agent.whole_file import PUBLIC_MODE, SECRET_MODE, write_whole

SETTINGS = """\
# Written by canteen-central broker-config, which overwrites it: change nothing here.
listener {port}
allow_anonymous false
require_certificate true
# User name and client id are the certificate's common name. So nobody can take another's client id
# and disconnect it.
use_identity_as_username true
use_username_as_clientid true
tls_version tlsv1.2
cafile {folder}/ca.crt
certfile {folder}/broker.pem
keyfile {folder}/broker.pem
crlfile {folder}/revoked.pem
acl_file {folder}/acl
"""
FOLDER = "canteen"
ACCESS = """\
# Written by canteen-central broker-config, which overwrites it: change nothing here.
# %u is the common name of the client's certificate, its identity: TOWN/central or TOWN/t/TERMINAL.

# A terminal writes its own hello, entries and state. A central writes its own state.
pattern write {root}/%u/{hello}
pattern write {root}/%u/{entries}
pattern write {root}/%u/{state}

# A terminal reads its own changes.
pattern read {root}/%u/{changes}

# Every terminal reads the central's state. mosquitto cannot take the town out of %u, so a terminal
# may read other towns' too. They hold "online", a random id and a time: no money, no person.
pattern read {root}/+/central/state
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerPlace:
    """Where a mosquitto is: its folder of settings, the name that clients use, its port, its user.

    `settings` is a folder that mosquitto includes, and `installed_as` where it will be then.
    `user` is None where nobody but this user reads.
    """

    settings: Path
    host: str
    port: int
    user: str | None
    installed_as: Path

    @property
    def folder(self) -> Path:
        return self.settings.parent / FOLDER


def write_broker_files(
    place: BrokerPlace, authority: Authority, town: str, revoked: str, now: datetime
) -> list[Path]:
    """Write all files and return their paths. An existing certificate of the broker is replaced.

    `revoked` is the authority's list as PEM text.

    Raise `CentralError` for a folder or user that does not exist.
    """
    owner = _owner(place.user)
    settings = place.settings / "canteen.conf"
    try:
        secret = {
            "broker.pem": authority.make_server(place.host, now),
            "acl": access_list([town]),
            "revoked.pem": revoked,
        }
        files = [place.folder / "ca.crt", *(place.folder / name for name in secret)]
        place.settings.mkdir(parents=True, exist_ok=True)
        place.folder.mkdir(exist_ok=True)
        for folder in (place.folder, place.settings):
            folder.chmod(0o755)  # whatever root's umask is: mosquitto passes through
        write_whole(files[0], authority.pem, PUBLIC_MODE)
        for name, text in secret.items():
            write_whole(place.folder / name, text, SECRET_MODE, owner=owner)
        # The settings last: they name the others.
        text = SETTINGS.format(port=place.port, folder=place.installed_as.parent / FOLDER)
        write_whole(settings, text, PUBLIC_MODE)
    except OSError as error:
        raise CentralError(
            f"{place.settings}: cannot write {error.filename}: {error.strerror}; call as root, and"
            " name the folder that mosquitto.conf includes"
        ) from error
    return [*files, settings]


def access_list(towns: list[str]) -> str:
    """Return mosquitto's access list for the centrals and terminals of some towns."""
    text = ACCESS.format(
        root=ROOT,
        hello=Leaf.HELLO,
        entries=Leaf.ENTRIES,
        state=Leaf.STATE,
        changes=Leaf.CHANGES,
    )
    for town in towns:
        topics = Topics(town)
        reads = "".join(f"topic read {topic}\n" for topic in topics.read_by_central())
        changes = topics.of("+", Leaf.CHANGES)
        text += (
            f"\n# The central of {town} reads what its terminals write, and writes their changes.\n"
            f"user {topics.central_identity}\n{reads}topic write {changes}\n"
        )
    return text


def _owner(user: str | None) -> int:
    if user is None or os.geteuid() != 0:
        return -1
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise CentralError(
            f"there is no user {user} on this machine; install mosquitto, or name its user"
        ) from None
