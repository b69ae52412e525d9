"""`addresses.toml` in the authority's folder: where boxes enrol, and the broker they then use."""

import json
from pathlib import Path

from msgspec import Struct

from agent.errors import AgentError, ConfigError
from agent.sync.broker import Broker
from agent.sync.enrolment import Address, parse_address
from agent.toml_file import load_toml
from agent.whole_file import PUBLIC_MODE, write_whole

PORT_MIN = 1_024
"""Below, a server needs to be root."""
_NAME = "addresses.toml"
_TEXT = """\
# Where a new box finds canteen-central enrol serve. The host stands in its certificate.
enrol = {enrol}
# The broker as terminals reach it.
broker = {broker}
"""


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    enrol: str
    broker: str


class Addresses(Struct, frozen=True):
    """Where boxes enrol, and the url of the broker: mqtts://host:8883."""

    enrol: Address
    broker: str


def write_addresses(folder: Path, enrol: str, broker: str) -> None:
    """Write the file. Raise `AgentError` for a wrong address or a broker without TLS, `OSError`."""
    _checked(_File(enrol, broker))
    text = _TEXT.format(enrol=json.dumps(enrol), broker=json.dumps(broker))
    write_whole(folder / _NAME, text, PUBLIC_MODE)


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
    address = parse_address(file.enrol)
    if address.port < PORT_MIN:
        raise ConfigError(f"enrol: the server may not open port {address.port}; write 8884")
    return Addresses(address, file.broker)
