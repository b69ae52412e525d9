"""The faults that are planted to see the doctor name them: a table, printed as a page by docs."""

from tests.debian13.fault import Tested
from tests.debian13.faults_machine import MACHINE
from tests.debian13.faults_town import TOWN

BOOTED = (*MACHINE, *TOWN)

_DOCTOR = "tests/terminal/doctor"
_ANSWER = f"{_DOCTOR}/test_running.py::test_what_the_agent_says_is_wrong_is_found"
_MACHINE, _NETWORK = f"{_DOCTOR}/test_machine.py", f"{_DOCTOR}/test_network.py"
_BOOTS = f"{_DOCTOR}/test_boots.py"
ELSEWHERE = (
    Tested("the central's clock contradicts the agent's", "agent.clock", "answer", _ANSWER),
    Tested(
        "the driver of a reader has an obstacle",
        "reader.obstacle",
        "answer",
        f"{_DOCTOR}/test_devices.py::test_each_obstacle_of_a_wanted_device_is_a_fault_with_its_fix",
    ),
    Tested(
        "the machine boots after a power cut",
        "machine.boots",
        "answer",
        f"{_BOOTS}::test_a_boot_that_ended_while_the_agent_ran_is_a_power_cut",
    ),
    Tested(
        "the agent was started again and again",
        "machine.boots",
        "answer",
        f"{_BOOTS}::test_many_restarts_over_the_last_boots_are_a_warning",
    ),
    Tested(
        "little memory is free",
        "machine.memory",
        "files",
        f"{_MACHINE}::test_little_memory_is_a_fault",
    ),
    Tested(
        "the processor is hot",
        "machine.temperature",
        "files",
        f"{_MACHINE}::test_a_hot_processor_is_a_warning",
    ),
    Tested(
        "the machine has no clock of its own",
        "clock.rtc",
        "files",
        f"{_MACHINE}::test_a_machine_without_a_clock_of_its_own_is_a_warning_until_it_has_one",
    ),
    Tested(
        "the memory card is worn",
        "machine.wear",
        "files",
        f"{_DOCTOR}/test_wear.py::test_a_worn_card_is_named_until_it_is_replaced",
    ),
    Tested(
        "Python 3.13 refuses the authority",
        "broker.strict",
        "loopback",
        f"{_NETWORK}::test_an_authority_without_key_usage_is_a_warning_before_the_upgrade",
    ),
)
HANDS = {
    "agent.clock": "the clock of the central is set at the central, by the person who runs it",
    "agent.reader": "a reader is plugged in, or replaced",
    "broker.strict": "a new authority means that every terminal is enrolled again",
    "clock.rtc": "a clock with a battery is bought",
    "clock.synchronised": "the line needs a network with a time server, which the machine lacks",
    "machine.boots": "what happened stays true for five boots, whatever is mended",
    "machine.memory": "a person decides which program ends",
    "machine.temperature": "the machine needs air",
    "machine.voltage": "the machine needs another power supply",
    "machine.wear": "a new card is put in",
    "storage.inodes": "a person decides which files go",
}
"""Checks whose line no test executes, and why."""
