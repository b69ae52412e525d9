"""A broker with every fault that MQTT allows, and payloads that are no messages."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from agent.sync.events import Acknowledge, Arrived, DropLink, LinkDown, LinkEffect, LinkUp, Publish
from agent.sync.messages import MESSAGE_BYTES_MAX
from tests.simulation.parts import CENTRAL, TOPICS, Process

QUEUE_MAX = 400  # messages that a broker keeps for one client; beyond it drops the oldest


@dataclass(slots=True, eq=False)
class Message:
    """A message at the broker.

    `proof` is what the observer knew when it was made. `is_garbage`: no receiver can use it.
    """

    topic: str
    payload: bytes
    proof: object = None
    is_garbage: bool = False


class Client:
    """The broker's state of one client id.

    `process` holds the connection. With `loses_incoming` or `loses_outgoing` the connection is
    broken in that direction and neither side has noticed.
    """

    def __init__(self) -> None:
        self.queue: deque[Message] = deque()
        self.in_flight: dict[int, Message] = {}
        self.process: Process | None = None
        self.loses_incoming = self.loses_outgoing = False

    @property
    def is_broken(self) -> bool:
        return self.loses_incoming or self.loses_outgoing

    def attach(self, process: Process | None) -> None:
        self.process, self.loses_incoming, self.loses_outgoing = process, False, False

    def forget(self) -> None:
        """Lose the session: what is queued and what is in flight."""
        self.queue.clear()
        self.in_flight.clear()

    def put(self, message: Message) -> None:
        self.queue.append(message)
        if len(self.queue) > QUEUE_MAX:
            self.queue.popleft()


class Broker:
    """An MQTT broker that guarantees as little as the contract demands."""

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {CENTRAL: Client()}
        self.retained: dict[str, Message] = {}
        self._receipts = count(1)

    def connect(self, process: Process) -> None:
        """Connect a process and take the connection from another one of its client id.

        What was in flight is queued again, then what is retained.
        """
        client = self.clients.setdefault(process.client_id, Client())
        if client.process is not None and client.process is not process:
            self.disconnect(client.process, "taken over")
        client.attach(process)
        client.queue.extendleft(reversed(list(client.in_flight.values())))
        client.in_flight.clear()
        process.linked = True
        process.inbox.put(LinkUp())
        for topic, message in self.retained.items():
            if process.client_id in self._readers(topic):
                client.put(message)

    def disconnect(self, process: Process, reason: str) -> None:
        """End a connection, tell the process, and publish its last will."""
        client = self.clients.setdefault(process.client_id, Client())
        if client.process is process:
            client.attach(None)
            topic, payload = process.will()
            self.publish(Publish(topic=topic, payload=payload, retain=True), None)
        if process.linked:
            process.linked = False
            process.inbox.put(LinkDown(reason))

    def notice_death(self, process: Process) -> None:
        """End the connection of a dead process."""
        process.linked = False
        self.disconnect(process, "dead")

    def publish(self, message: Publish, proof: object) -> None:
        queued = Message(message.topic, message.payload, proof)
        if message.retain:
            self.retained[message.topic] = queued
        for reader in self._readers(message.topic):
            self.clients.setdefault(reader, Client()).put(queued)

    def deliver(self, client_id: str, message: Message) -> Message | None:
        """Send a message to a client. Return it if a living process received it."""
        client = self.clients[client_id]
        if client.process is None:
            client.put(message)
            return None
        receipt = next(self._receipts)
        client.in_flight[receipt] = message
        if client.loses_incoming or not client.process.alive:
            return None
        client.process.inbox.put(
            Arrived(topic=message.topic, payload=message.payload, receipt=(receipt, message))
        )
        return message

    def acknowledge(self, client_id: str, receipt: object) -> None:
        assert isinstance(receipt, tuple)
        self.clients[client_id].in_flight.pop(receipt[0], None)

    def perform(self, process: Process, effect: LinkEffect, proof: object) -> None:
        """Do what a process asks of the link. A broken connection loses it."""
        client = self.clients.setdefault(process.client_id, Client())
        is_connected = client.process is process and not client.loses_outgoing
        match effect:
            case Publish() if is_connected:
                self.publish(effect, proof)
            case Acknowledge(receipt=receipt) if is_connected:
                self.acknowledge(process.client_id, receipt)
            case DropLink():
                self.disconnect(process, "dropped")
            case _:
                pass

    def _readers(self, topic: str) -> list[str]:
        if topic == TOPICS.central_state:
            return sorted(name for name in self.clients if name != CENTRAL)
        parsed = TOPICS.parse(topic)
        return [] if parsed is None else [parsed[0] if parsed[1] == "changes" else CENTRAL]


def garbage(draw: Callable[[int], int], real: bytes | None) -> bytes:
    """Return a payload that is no message: noise, a part of `real`, or JSON of another shape."""
    match draw(5):
        case 0 if real and len(real) > 2:
            return real[: 1 + draw(len(real) - 2)]
        case 1:
            return b"\xff" * (1 + draw(40))
        case 2:
            return b'{"generation": 7}'
        case 3:
            return b"[" * 2_000
        case _:
            return b"x" * draw(200)


def oversized(real: bytes) -> bytes:
    """Return a valid message that exceeds `MESSAGE_BYTES_MAX`."""
    return real[:-1] + b',"x":"' + b"y" * MESSAGE_BYTES_MAX + b'"}'
