"""Every reason code has a sentence with its number and what to do."""

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from agent.sync.reasons import FAILURE_MIN, sentence

FAILURES = sorted(code for code in ReasonCode(PacketTypes.DISCONNECT).names if code >= FAILURE_MIN)


@pytest.mark.parametrize("code", FAILURES)
def test_every_failure_of_mqtt_5_has_a_meaning_and_a_remedy(code: int) -> None:
    words = sentence(code)
    assert f"({code}); " in words and "unknown reason" not in words


def test_the_text_of_the_broker_is_quoted() -> None:
    assert "(151) ('disk full'); raise the quota" in sentence(151, "disk full")


def test_a_code_that_no_specification_names_has_a_sentence_too() -> None:
    assert sentence(250).startswith("an unknown reason (250)")
