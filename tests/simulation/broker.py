"""A broker as bad as MQTT lets one be, and messages that are none."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from agent.sync.events import Acknowledge, Arrived, DropLink, LinkDown, LinkEffect, LinkUp, Publish
from agent.sync.messages import MESSAGE_BYTES_MAX
from tests.simulation.parts import CENTRAL, TOPICS, Process

QUEUE_MAX = 400  # a broker keeps so many messages for a client and drops the oldest beyond


@dataclass(slots=True, eq=False)
class Mail:
    """A message at the broker. `proof` is what its maker knew when it was made; `is_garbage`: nobody can use it."""

    topic: str
    payload: bytes
    proof: object = None
    is_garbage: bool = False


class Client:
    """What the broker knows of one client id: what waits for it, what is under way, and who holds the connection."""

    def __init__(self) -> None:
        self.queue: deque[Mail] = deque()
        self.under_way: dict[int, Mail] = {}
        self.holder: Process | None = None
        self.deaf = self.mute = (
            False  # nothing comes to it, or from it, any more, and nobody has noticed
        )

    @property
    def silent(self) -> bool:
        return self.deaf or self.mute

    def hold(self, process: Process | None) -> None:
        self.holder, self.deaf, self.mute = process, False, False

    def forget(self) -> None:
        self.queue.clear()
        self.under_way.clear()

    def put(self, mail: Mail) -> None:
        self.queue.append(mail)
        if len(self.queue) > QUEUE_MAX:
            self.queue.popleft()


class Broker:
    """MQTT as far as one may rely on it: hardly."""

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {CENTRAL: Client()}
        self.retained: dict[str, Mail] = {}
        self._receipts = count(1)

    def connect(self, process: Process) -> None:
        """Give a process its connection: whoever had it loses it; what was under way comes again; then what is retained."""
        client = self.clients.setdefault(process.client_id, Client())
        if client.holder is not None and client.holder is not process:
            self.disconnect(client.holder, "taken over")
        client.hold(process)
        client.queue.extendleft(reversed(list(client.under_way.values())))
        client.under_way.clear()
        process.linked = True
        process.inbox.put(LinkUp())
        for topic, mail in self.retained.items():
            if process.client_id in self._readers(topic):
                client.put(mail)

    def disconnect(self, process: Process, reason: str) -> None:
        """End a connection; the process hears of it, and everybody else of its last will."""
        client = self.clients.setdefault(process.client_id, Client())
        if client.holder is process:
            client.hold(None)
            topic, payload = process.will()
            self.publish(Publish(topic=topic, payload=payload, retain=True), None)
        if process.linked:
            process.linked = False
            process.inbox.put(LinkDown(reason))

    def lose_holder(self, process: Process) -> None:
        """A process is dead: the broker finds out."""
        process.linked = False
        self.disconnect(process, "dead")

    def publish(self, message: Publish, proof: object) -> None:
        mail = Mail(message.topic, message.payload, proof)
        if message.retain:
            self.retained[message.topic] = mail
        for reader in self._readers(message.topic):
            self.clients.setdefault(reader, Client()).put(mail)

    def deliver(self, client_id: str, mail: Mail) -> Mail | None:
        """Hand a message to whoever holds the connection; return it if a living process got it."""
        client = self.clients[client_id]
        if client.holder is None:
            client.put(mail)
            return None
        receipt = next(self._receipts)
        client.under_way[receipt] = mail
        if client.deaf or not client.holder.alive:
            return None
        client.holder.inbox.put(
            Arrived(topic=mail.topic, payload=mail.payload, receipt=(receipt, mail))
        )
        return mail

    def acknowledge(self, client_id: str, receipt: object) -> None:
        assert isinstance(receipt, tuple)
        self.clients[client_id].under_way.pop(receipt[0], None)

    def perform(self, process: Process, effect: LinkEffect, proof: object) -> None:
        client = self.clients.setdefault(process.client_id, Client())
        holds = client.holder is process and not client.mute
        match effect:
            case Publish() if holds:
                self.publish(effect, proof)
            case Acknowledge(receipt=receipt) if holds:
                self.acknowledge(process.client_id, receipt)
            case DropLink():
                self.disconnect(process, "dropped")
            case _:
                pass

    def _readers(self, topic: str) -> list[str]:
        if topic == TOPICS.central_state:
            return sorted(name for name in self.clients if name != CENTRAL)
        place = TOPICS.parse(topic)
        return [] if place is None else [place[0] if place[1] == "changes" else CENTRAL]


def garbage(draw: Callable[[int], int], real: bytes | None) -> bytes:
    """Return something that is no message: noise, a real one cut short, or one longer than the contract allows."""
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
    """Return a message that would be right but for its length."""
    return real[:-1] + b',"x":"' + b"y" * MESSAGE_BYTES_MAX + b'"}'
