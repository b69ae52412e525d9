"""agent.toml as one frozen `Config`. An unknown key is an error; secrets are in files of their own.

A file name is relative to agent.toml; `credential:NAME` is systemd's credential NAME
($CREDENTIALS_DIRECTORY).
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Meta, Struct

from agent.domain.canteen import Id
from agent.domain.card import parse_card_key
from agent.errors import CardError, ConfigError, SyncError
from agent.ops.screen_settings import ScreenTable
from agent.readers.open import ReaderConfig
from agent.readers.profile_rules import load_profile, read_profile
from agent.sync.broker import Broker
from agent.sync.enrolment import parse_address
from agent.sync.topics import Topics, identity_fault
from agent.toml_file import load_toml

SOCKET_PATH_BYTES_MAX = 107  # unix(7)
# transport -> an example of `port`; a PC/SC reader has none
PORT_EXAMPLES = {
    "serial": "/dev/serial/by-path/…",
    "keyboard": "/dev/input/by-path/…-event-kbd",
}


class BrokerTable(Struct, frozen=True, forbid_unknown_fields=True):
    """`[broker]`: url mqtts://host:8883 with the three files, or mqtt://host:1883 without TLS.

    `username` and `password_file` are for a broker that wants them.
    """

    url: str
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    username: str | None = None
    password_file: str | None = None


class EnrolmentTable(Struct, frozen=True, forbid_unknown_fields=True):
    """`[enrolment]`: where the terminal renews its certificate, HOST:PORT. Written by `enrol`."""

    address: str


class ReaderTable(Struct, frozen=True, forbid_unknown_fields=True):
    """`[[reader]]`: one card reader.

    `profile` is an id, or a .toml file of your own. `port` is for serial and keyboard profiles.
    `device` is a glob over PC/SC names, where the profile's own does not match.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}$")]
    profile: str
    port: str | None = None
    device: str | None = None


class File(Struct, frozen=True, forbid_unknown_fields=True):
    """agent.toml as written.

    `mirror` is a folder on another medium for a second copy of the ledger. `watch_group` is the
    group that may look at the terminal, but not change anything.
    """

    town: Id
    terminal: Id
    broker: BrokerTable
    reader: list[ReaderTable]
    zone: str = "Europe/Rome"
    state_dir: str = "/var/lib/canteen-agent"
    card_key_file: str = "credential:card-key"
    mirror: str | None = None
    watch_group: str | None = None
    screen: ScreenTable = ScreenTable()
    enrolment: EnrolmentTable | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a terminal is. `card_key` is the town's secret: it is never logged or sent.

    `is_enrolled`: the terminal renews its certificate itself.
    """

    town: str
    terminal: str
    zone: ZoneInfo
    state_dir: Path
    card_key: bytes
    broker: Broker
    readers: tuple[ReaderConfig, ...]
    mirror: Path | None
    watch_group: str | None
    needs_staff_card: bool
    is_enrolled: bool

    @property
    def database(self) -> Path:
        return self.state_dir / "terminal.db"

    @property
    def control_socket(self) -> Path:
        return self.state_dir / "control.sock"

    @property
    def staff_socket(self) -> Path:
        return self.state_dir / "staff.sock"

    @property
    def watch_socket(self) -> Path:
        return self.state_dir / "watch.sock"

    def __repr__(self) -> str:
        return f"Config({self.town}/{self.terminal})"


@dataclass(frozen=True, slots=True)
class Places:
    """The paths that a command beside a running agent needs; reading them reads no secret."""

    database: Path
    control_socket: Path
    staff_socket: Path

    @property
    def open_socket(self) -> Path:
        """The socket for commands that look: the staff's where this user may open only that one."""
        if os.access(self.staff_socket, os.W_OK) and not os.access(self.control_socket, os.W_OK):
            return self.staff_socket
        return self.control_socket


def load_places(path: Path) -> Places:
    """Return the paths of a terminal's files. Raise `ConfigError`."""
    state_dir = path.parent / load_toml(path, File, ConfigError).state_dir
    return Places(state_dir / "terminal.db", state_dir / "control.sock", state_dir / "staff.sock")


def load_readers(path: Path) -> tuple[ReaderConfig, ...]:
    """Return a terminal's readers without reading a secret. Raise `ConfigError`."""
    return _readers(path, load_toml(path, File, ConfigError).reader)


def load_file(path: Path) -> File:
    """Return agent.toml as written, with its identity and zone checked. Raise `ConfigError`."""
    file = load_toml(path, File, ConfigError)
    fault = identity_fault(Topics(file.town).identity(file.terminal))
    if fault is not None and file.broker.certificate_file is not None:
        raise ConfigError(f"{path}: key 'terminal': {fault}")
    if file.enrolment is not None:
        try:
            parse_address(file.enrolment.address)
        except SyncError as error:
            raise ConfigError(f"{path}: key 'enrolment.address': {error}") from None
    try:
        ZoneInfo(file.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"{path}: key 'zone': no time zone {file.zone!r}; write one like Europe/Rome"
        ) from None
    return file


def load_config(path: Path) -> Config:
    """Return the whole configuration. Raise `ConfigError`: file, key, and what to write instead."""
    file = load_file(path)
    return Config(
        town=file.town,
        terminal=file.terminal,
        zone=ZoneInfo(file.zone),
        state_dir=_state_dir(path, file.state_dir),
        card_key=_card_key(path, file.card_key_file),
        broker=broker_of(path, file.broker),
        readers=_readers(path, file.reader),
        mirror=path.parent / file.mirror if file.mirror is not None else None,
        watch_group=file.watch_group,
        needs_staff_card=file.screen.unlock == "staff_card",
        is_enrolled=file.enrolment is not None,
    )


def broker_of(path: Path, table: BrokerTable) -> Broker:
    """Return how the broker of a file is reached. Raise `ConfigError`."""
    broker = Broker(
        url=table.url,
        ca_file=_file(path, "broker.ca_file", table.ca_file),
        certificate_file=_file(path, "broker.certificate_file", table.certificate_file),
        key_file=_file(path, "broker.key_file", table.key_file),
        username=table.username,
        password_file=_file(path, "broker.password_file", table.password_file),
    )
    key = "broker.url"
    try:
        broker.address()
        key = "broker"
        broker.check()
    except ConfigError as error:
        raise ConfigError(f"{path}: key '{key}': {error}") from None
    return broker


def _state_dir(path: Path, name: str) -> Path:
    folder = path.parent / name
    if "\0" in name or len(os.fsencode(folder / "control.sock")) > SOCKET_PATH_BYTES_MAX:
        raise ConfigError(
            f"{path}: key 'state_dir': not a path, or too long for the socket in it;"
            " write a shorter one"
        )
    return folder


def _readers(path: Path, tables: list[ReaderTable]) -> tuple[ReaderConfig, ...]:
    if not tables:
        raise ConfigError(
            f"{path}: key 'reader': write at least one [[reader]] with name and profile"
        )
    names = [table.name for table in tables]
    readers: list[ReaderConfig] = []
    for n, table in enumerate(tables):
        key = f"{path}: key 'reader[{n}]'"
        if names.count(table.name) > 1:
            raise ConfigError(
                f"{key}: two readers are named {table.name!r}; give each its own name"
            )
        reader = _reader(path, key, table)
        if any(_is_same(reader, other) for other in readers):
            raise ConfigError(
                f"{key}: the same reader is given twice; tell them apart by 'device' or 'port'"
            )
        readers.append(reader)
    return tuple(readers)


def _reader(path: Path, key: str, table: ReaderTable) -> ReaderConfig:
    if table.profile.endswith(".toml"):
        profile = read_profile(path.parent / table.profile)
    else:
        profile = load_profile(table.profile)
    port = PORT_EXAMPLES.get(profile.transport)
    if port is not None and table.port is None:
        raise ConfigError(
            f'{key}: profile {profile.id} is {profile.transport}; write port = "{port}"'
        )
    if port is not None and table.device is not None:
        raise ConfigError(
            f"{key}: 'device' names a PC/SC reader; profile {profile.id} is"
            f" {profile.transport}, remove it"
        )
    if port is None and table.port is not None:
        raise ConfigError(
            f"{key}: 'port' is for serial and keyboard profiles; {profile.id} is matched by its"
            " PC/SC name, remove it"
        )
    return ReaderConfig(name=table.name, profile=profile, port=table.port, device=table.device)


def _is_same(reader: ReaderConfig, other: ReaderConfig) -> bool:
    """Return whether two tables may name one reader: a PC/SC profile without `device` takes any."""
    if reader.profile.id != other.profile.id:
        return False
    if reader.port is None and None in (reader.device, other.device):
        return True
    return (reader.port, reader.device) == (other.port, other.device)


def _card_key(path: Path, name: str) -> bytes:
    file = _file(path, "card_key_file", name)
    assert file is not None
    try:
        return parse_card_key(file.read_text(encoding="ascii"), where=str(file))
    except (OSError, ValueError) as error:  # ValueError: not ASCII, or a name with a NUL
        raise ConfigError(f"{path}: key 'card_key_file': {file} cannot be read: {error}") from error
    except CardError as error:
        raise ConfigError(f"{path}: key 'card_key_file': {error}") from None


def _file(path: Path, key: str, name: str | None) -> Path | None:
    if name is None:
        return None
    if not name.startswith("credential:"):
        return path.parent / name
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials is None:
        raise ConfigError(
            f"{path}: key '{key}': {name} needs systemd's LoadCredential; write a file name to run"
            " without systemd"
        )
    return Path(credentials) / name.removeprefix("credential:")
