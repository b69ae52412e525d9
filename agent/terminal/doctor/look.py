"""All looks in the order in which a person would take them. A look that fails stops no other."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

from agent.errors import AgentError
from agent.readers.plugged import Device
from agent.terminal.config import BrokerTable, broker_of, load_file, load_places, load_readers
from agent.terminal.doctor.boots import look_at_boots
from agent.terminal.doctor.devices import look_at_devices, look_at_ports
from agent.terminal.doctor.finding import Finding, hidden
from agent.terminal.doctor.machine import look_at_machine
from agent.terminal.doctor.network import look_at_broker
from agent.terminal.doctor.page import look_at_page
from agent.terminal.doctor.polkit import look_at_polkit
from agent.terminal.doctor.running import judge, status_of
from agent.terminal.doctor.settings import SECRETS, look_at_credentials, look_at_file
from agent.terminal.doctor.storage import look_at_storage
from agent.terminal.doctor.unit import look_at_reach, look_at_unit
from agent.terminal.doctor.wear import look_at_wear


def look(config_path: Path, devices: Sequence[Device]) -> Iterator[Finding]:
    """Yield all findings about a terminal and its machine."""
    yield from look_at_unit()
    yield from look_at_file(config_path)
    yield from look_at_machine()
    yield from look_at_boots()
    yield from look_at_wear()
    try:
        file, readers = load_file(config_path), load_readers(config_path)
        places = load_places(config_path)
    except AgentError:
        return  # `configuration.file` has the sentence
    yield from look_at_devices(devices, readers)
    yield from look_at_polkit(readers)
    yield from look_at_credentials(file)
    yield from look_at_reach(places.database.parent, config_path)
    yield from look_at_storage(places.database)
    status = status_of(places.open_socket)
    yield from look_at_ports(readers, config_path, agent_runs=not isinstance(status, Finding))
    yield from look_at_page(file.screen.port)
    try:
        yield from look_at_broker(broker_of(config_path, _with_secrets(file.broker)), config_path)
    except AgentError as error:
        yield hidden("broker.tls", str(error))
    if isinstance(status, Finding):
        yield status
    else:
        yield from judge(status, version("canteen-agent"))


def _with_secrets(table: BrokerTable) -> BrokerTable:
    """Return the broker's table with the files that the unit hands over as credentials."""
    names = {"key_file": table.key_file, "password_file": table.password_file}
    files = {
        key: str(SECRETS / name.removeprefix("credential:"))
        for key, name in names.items()
        if name is not None and name.startswith("credential:")
    }
    return msgspec.structs.replace(table, **files)
