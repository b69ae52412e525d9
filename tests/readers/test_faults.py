"""Every fault has a sentence for the staff, and a word that a self-test may expect."""

from typing import get_args

from agent.domain.card import UidFault
from agent.readers.faults import SENTENCES, Fault
from agent.readers.profile import FaultWord

FAULTS: set[Fault | UidFault] = {*Fault, *UidFault}


def test_every_fault_has_a_sentence_of_its_own() -> None:
    assert set(SENTENCES) == FAULTS
    assert len(set(SENTENCES.values())) == len(FAULTS)


def test_two_faults_never_share_a_word() -> None:
    assert len({fault.value for fault in FAULTS}) == len(FAULTS)


def test_a_selftest_may_expect_every_fault_that_bytes_can_give() -> None:
    without_bytes = {Fault.MUTE, Fault.TAKEN, Fault.LAYOUT, Fault.UNFINISHED, Fault.SINGLE}
    assert set(get_args(FaultWord)) == {"none", *(FAULTS - without_bytes)}
