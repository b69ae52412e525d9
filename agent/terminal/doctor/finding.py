"""What the doctor looks at, and what a look gave. The table of ids is closed. Pure."""

from dataclasses import dataclass
from enum import StrEnum

CHECKS = {
    "agent.answer": "whether the running agent answers on its control socket",
    "agent.booked": "whether the central books what the agent sends",
    "agent.central": "when the central answered last, and where the records stand",
    "agent.clock": "what contradicts the agent's clock",
    "agent.link": "what the agent says of its link to the broker",
    "agent.reader": "what the agent says of each reader",
    "agent.version": "whether the agent runs the version that is installed",
    "broker.certificate": "when the own certificate ends",
    "broker.name": "whether the broker's name has an address",
    "broker.port": "whether the broker's port takes a connection",
    "broker.strict": "whether the certificates pass the strict rules of Python 3.13",
    "broker.tls": "whether broker and terminal accept each other's certificates",
    "clock.rtc": "whether the machine keeps the time without power",
    "clock.synchronised": "whether a time server sets the clock",
    "configuration.file": "whether agent.toml can be read and is right",
    "credential.file": "whether the secrets that systemd hands over are there, for root alone",
    "machine.boots": "power cuts, hangs and restarts of the last boots",
    "machine.memory": "how much memory is free",
    "machine.temperature": "how hot the processor is",
    "machine.voltage": "whether a Raspberry Pi gets enough power",
    "machine.wear": "how worn the memory card is, where it tells",
    "reader.obstacle": "what keeps a plugged reader from working",
    "reader.plugged": "whether the configured serial and keyboard readers are plugged in",
    "reader.polkit": "whether polkit lets the agent's user speak to pcscd",
    "reader.port": "which other program has a reader's port",
    "screen.answer": "whether the staff's page answers, where its unit is to run",
    "service.enabled": "whether the agent starts with the machine",
    "service.state": "whether systemd runs the agent, and why not",
    "storage.database": "pages, checksums, chain and balances of the ledger",
    "storage.folder": "whether the state folder is there, and the agent's own",
    "storage.inodes": "whether more files fit on the disk",
    "storage.medium": "whether the state folder is on a disk, and not in memory",
    "storage.reach": "whether the unit may write in the state folder",
    "storage.space": "how much of the disk is free",
}


class Level(StrEnum):
    """What a look gave. `hidden`: this user may not see it, or this machine does not have it."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class Finding:
    """One look: the id of its check, what was seen, and the line that mends it."""

    id: str
    level: Level
    seen: str
    mend: str = ""


def ok(check: str, seen: str) -> Finding:
    """Return that all is well."""
    return Finding(check, Level.OK, seen)


def warning(check: str, seen: str, mend: str) -> Finding:
    """Return what will be a fault later."""
    return Finding(check, Level.WARNING, seen, mend)


def fault(check: str, seen: str, mend: str) -> Finding:
    """Return what must be mended."""
    return Finding(check, Level.FAULT, seen, mend)


def hidden(check: str, seen: str) -> Finding:
    """Return what could not be looked at, and who may."""
    return Finding(check, Level.HIDDEN, seen)
