"""The faults of a terminal: ids and words, the same for the screen and for the central."""

import pytest

from agent.ops.control_messages import FaultCode
from agent.readers.events import ReaderDown, ReaderUp
from agent.terminal.faults import Fault, Status, faults, reader_faults
from agent.terminal.outages import Outages


def all_is_well() -> Status:
    return Status(
        day="2026-11-23", pending=0, last_contact_s=1, clock_fault=None, not_booked=None,
        disk_fault=None, certificate_fault=None, mirror="ready", unlocked_ms=None, wiped=False,
        link="up",
    )  # fmt: skip


@pytest.fixture
def outages() -> Outages:
    outages = Outages(("counter", "door"))
    for reader in ("counter", "door"):
        outages.note(ReaderUp(reader=reader, location="usb"), 1)
    return outages


def test_a_terminal_that_is_well_has_no_fault(outages: Outages) -> None:
    assert faults(all_is_well(), outages) == {}


@pytest.mark.parametrize(
    ("member", "value", "code", "words"),
    [
        ("clock_fault", "it is behind", FaultCode.CLOCK, "it is behind"),
        ("not_booked", "nothing booked", FaultCode.NOT_BOOKED, "nothing booked"),
        ("disk_fault", "nearly full", FaultCode.DISK, "nearly full"),
        ("certificate_fault", "it ends soon", FaultCode.CERTIFICATE, "it ends soon"),
        ("mirror", "no space left", FaultCode.MIRROR, "no space left"),
        ("wiped", True, FaultCode.WIPED, "wiped by the central: nobody is served"),
        ("link", "up, but not authorised (135)", FaultCode.LINK, "not authorised (135)"),
    ],
)
def test_each_fault_has_its_id_and_words(
    outages: Outages, member: str, value: object, code: FaultCode, words: str
) -> None:
    status = all_is_well()
    setattr(status, member, value)
    assert faults(status, outages) == {Fault(code): words}


def test_a_dead_network_is_no_fault_of_the_terminal(outages: Outages) -> None:
    status = all_is_well()
    status.link = "down: no route there"
    assert faults(status, outages) == {}


def test_a_reader_that_is_down_is_named(outages: Outages) -> None:
    outages.note(ReaderDown(reader="door", reason="unplugged"), 2)
    assert reader_faults(outages) == {Fault(FaultCode.READER, "door"): "down: unplugged"}
