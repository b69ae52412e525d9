"""A link to a broker, and a queue of what it reports."""

import queue
from types import TracebackType
from typing import Self, TypeVar

from agent.sync.broker import Broker
from agent.sync.events import LinkDown, LinkEvent, LinkUp, Publish
from agent.sync.link import MqttLink

WAIT_S = 20
_Kind = TypeVar("_Kind", bound=LinkEvent)


def message(payload: bytes, topic: str = "out/a", *, retain: bool = False) -> Publish:
    return Publish(topic=topic, payload=payload, retain=retain)


class Reported:
    """A started link. `events` holds what it reports."""

    def __init__(self, broker: Broker, client_id: str = "t-1") -> None:
        self.events: queue.Queue[LinkEvent] = queue.Queue()
        self.link = MqttLink(
            broker,
            client_id=client_id,
            subscriptions=["in/#"],
            will=("out/state", b"gone"),
            on_event=self.events.put,
        )
        self.link.start()

    def next(self, kind: type[_Kind]) -> _Kind:
        """Return the next event of a kind; others before it are passed over."""
        while True:
            event = self.events.get(timeout=WAIT_S)
            if isinstance(event, kind):
                return event

    def up(self) -> LinkUp:
        return self.next(LinkUp)

    def down(self) -> LinkDown:
        return self.next(LinkDown)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.link.stop()
