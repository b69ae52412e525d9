"""What a broker announced about itself when it accepted the connection. A value, without a broker.

MQTT 5 names these limits in CONNACK; what is absent there has the default of the specification.
"""

from dataclasses import dataclass

from agent.sync.messages import MESSAGE_BYTES_MAX

PACKET_BYTES_OF_MQTT = 268_435_460  # what a packet may have where a broker announces nothing
# Fixed header 5, length of the topic 2, packet id 2, properties that a broker may add 16.
PACKET_OVERHEAD_BYTES = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one connection may carry.

    `packet_bytes`: Maximum Packet Size. `receive_max`: messages in flight. `qos`: the highest
    quality. `retains`: retained messages are kept. `version`: 5, or 4 for MQTT 3.1.1, which
    announces nothing and denies in silence.
    """

    packet_bytes: int = PACKET_BYTES_OF_MQTT
    receive_max: int = 65_535
    qos: int = 1
    retains: bool = True
    version: int = 5

    def payload_bytes(self, topic: str) -> int:
        """Return how many bytes a message on this topic may have."""
        room = self.packet_bytes - len(topic.encode()) - PACKET_OVERHEAD_BYTES
        return max(0, min(MESSAGE_BYTES_MAX, room))

    def too_large(self, topic: str, size: int) -> str | None:
        """Return the sentence for a message that this broker does not take, None if it does."""
        room = self.payload_bytes(topic)
        if size <= room:
            return None
        leaf = topic.rpartition("/")[2]
        return (
            f"a message '{leaf}' of {size} bytes is too large for the broker, which takes {room};"
            f" set its largest packet to {2 * MESSAGE_BYTES_MAX} bytes (mosquitto:"
            " max_packet_size)"
        )
