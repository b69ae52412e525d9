"""What a broker announced: how large a message may be, and the sentence for a larger one."""

import pytest

from agent.sync.limits import PACKET_BYTES_OF_MQTT, PACKET_OVERHEAD_BYTES, Limits
from agent.sync.messages import MESSAGE_BYTES_MAX

TOPIC = "canteen/v1/borgofiorito/t/t-1/entries"


@pytest.mark.parametrize(
    ("packet_bytes", "payload_bytes"),
    [
        (PACKET_BYTES_OF_MQTT, MESSAGE_BYTES_MAX),
        (16_384, 16_384 - len(TOPIC) - PACKET_OVERHEAD_BYTES),
        (10, 0),
    ],
)
def test_a_payload_has_what_the_packet_leaves(packet_bytes: int, payload_bytes: int) -> None:
    assert Limits(packet_bytes=packet_bytes).payload_bytes(TOPIC) == payload_bytes


def test_a_message_that_is_too_large_has_a_sentence_with_both_sizes() -> None:
    limits = Limits(packet_bytes=16_384)
    room = limits.payload_bytes(TOPIC)
    assert limits.too_large(TOPIC, room) is None
    sentence = limits.too_large(TOPIC, room + 1)
    assert sentence is not None
    assert f"'entries' of {room + 1} bytes" in sentence and f"takes {room}" in sentence
