"""`addresses.toml` in the authority's folder: where boxes enrol, and the broker they then use."""

from pathlib import Path

from msgspec import Struct

from agent.errors import AgentError, CentralError, ConfigError
from agent.sync.broker import Broker
from agent.sync.enrolment import Address, parse_address
from agent.toml_file import load_toml
from agent.whole_file import PUBLIC_MODE, write_whole

_NAME = "addresses.toml"
_TEXT = """\
# Where a new box finds canteen-central enrol serve. The host stands in its certificate.
enrol = "{enrol}"
# The broker as terminals reach it.
broker = "{broker}"
"""


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    enrol: str
    broker: str


class Addresses(Struct, frozen=True):
    """Where boxes enrol, and the url of the broker: mqtts://host:8883."""

    enrol: Address
    broker: str


def write_addresses(folder: Path, enrol: str, broker: str) -> None:
    """Write the file. Raise `AgentError` for what is no address, or a broker without TLS."""
    _checked(_File(enrol, broker))
    try:
        write_whole(folder / _NAME, _TEXT.format(enrol=enrol, broker=broker), PUBLIC_MODE)
    except OSError as error:
        raise CentralError(f"{folder}: cannot be written: {error.strerror}") from error


def load_addresses(folder: Path) -> Addresses:
    """Return the addresses. Raise `ConfigError`."""
    path = folder / _NAME
    file = load_toml(path, _File, ConfigError)
    try:
        return _checked(file)
    except AgentError as error:
        raise ConfigError(f"{path}: {error}") from None


def _checked(file: _File) -> Addresses:
    if not Broker(url=file.broker).address().is_tls:
        raise ConfigError("broker: write mqtts://host:8883; certificates need TLS")
    return Addresses(parse_address(file.enrol), file.broker)
