"""What is wrong at a terminal: an id, the words for a technician, and for a reader its name. Pure.

The screen, and the `state` message for the central, name the same faults.
"""

from typing import NamedTuple

import msgspec

from agent.ops.control_messages import FaultCode
from agent.terminal.control import Answer
from agent.terminal.outages import Outages


class Fault(NamedTuple):
    """A fault. `subject` is the reader's name, for a reader."""

    code: FaultCode
    subject: str | None = None


FILE = Fault(FaultCode.FILE)


class Status(msgspec.Struct):
    """What of `status` a screen shows, or is a fault."""

    day: str | None
    pending: int
    last_contact_s: int | None
    clock_fault: str | None
    not_booked: str | None
    disk_fault: str | None
    certificate_fault: str | None
    mirror: str | None
    unlocked_ms: int | None
    wiped: bool
    link: str


def status_of(answer: Answer) -> Status:
    """Return the part of an answer to `status`."""
    return msgspec.convert(answer, Status)


def faults(status: Status, outages: Outages) -> dict[Fault, str]:
    """Return the faults of a terminal whose file works, each with its words."""
    words = {
        FaultCode.CLOCK: status.clock_fault,
        FaultCode.DISK: status.disk_fault,
        FaultCode.MIRROR: status.mirror if status.mirror not in (None, "ready") else None,
        FaultCode.NOT_BOOKED: status.not_booked,
        FaultCode.CERTIFICATE: status.certificate_fault,
        # A dead network is the age of the data. What a broker denies is a fault.
        FaultCode.LINK: status.link.removeprefix("up, but ") if "up, but " in status.link else None,
        FaultCode.WIPED: "wiped by the central: nobody is served" if status.wiped else None,
    }
    others = {Fault(code): text for code, text in words.items() if text}
    return reader_faults(outages) | others


def reader_faults(outages: Outages) -> dict[Fault, str]:
    """Return the readers that are down or warn, each with its words."""
    words = {
        Fault(FaultCode.READER, name): health.fault() for name, health in outages.readers.items()
    }
    return {fault: text for fault, text in words.items() if text}
