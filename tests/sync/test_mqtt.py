"""The wall to a real mosquitto: acknowledged only when told, found again after every loss."""

import queue
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.sync.events import Arrived, LinkDown, LinkEvent, LinkUp
from agent.sync.mqtt import Broker, MqttLink
from tests.parts.broker import Listener, Mosquitto
from tests.parts.process import wait_for

Events = queue.Queue[LinkEvent]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as mosquitto:
        yield mosquitto


@pytest.fixture
def links(broker: Mosquitto) -> Iterator[Callable[[], tuple[MqttLink, Events]]]:
    made: list[MqttLink] = []

    def make() -> tuple[MqttLink, Events]:
        events: Events = queue.Queue()
        link = MqttLink(
            Broker(url=broker.url, ca_file=None, certificate_file=None, key_file=None),
            client_id="t-1",
            subscriptions=["in/#"],
            will=("out/state", b"gone"),
            on_event=events.put,
        )
        made.append(link)
        link.start()
        return link, events

    yield make
    for link in made:
        link.stop()


def arrived(events: Events) -> Arrived:
    event = events.get(timeout=10)
    assert isinstance(event, Arrived), event
    return event


def test_a_message_comes_again_until_it_is_acknowledged(
    broker: Mosquitto, links: Callable[[], tuple[MqttLink, Events]]
) -> None:
    link, events = links()
    assert events.get(timeout=10) == LinkUp()
    with Listener(broker.port) as other:
        other.publish("in/a", b"1")
        assert arrived(events).payload == b"1"
        link.reconnect()
        assert isinstance(events.get(timeout=10), LinkDown)
        seen = [events.get(timeout=10), events.get(timeout=10)]
        again = next(event for event in seen if isinstance(event, Arrived))
        assert again.payload == b"1" and LinkUp() in seen
        link.ack(again.receipt)
        link.reconnect()
        assert isinstance(events.get(timeout=10), LinkDown)
        assert events.get(timeout=10) == LinkUp()
        other.publish("in/a", b"2")
        assert arrived(events).payload == b"2"


def test_the_link_is_found_again_after_the_broker_was_gone(
    broker: Mosquitto, links: Callable[[], tuple[MqttLink, Events]]
) -> None:
    link, events = links()
    assert events.get(timeout=10) == LinkUp()
    broker.stop()
    assert isinstance(events.get(timeout=10), LinkDown)
    assert link.publish("out/a", b"lost") is False
    broker.start()
    assert events.get(timeout=20) == LinkUp()
    assert link.publish("out/a", b"1") is True


def test_a_network_thread_that_dies_is_noticed_and_replaced(
    broker: Mosquitto, links: Callable[[], tuple[MqttLink, Events]]
) -> None:
    link, events = links()
    assert events.get(timeout=10) == LinkUp()
    client = link._client
    assert client is not None and client._thread is not None
    client._thread_terminate = (
        True  # paho's own word for ending its loop: is_connected() stays true
    )
    down = events.get(timeout=10)
    assert isinstance(down, LinkDown) and "thread" in down.reason
    assert events.get(timeout=10) == LinkUp()


def test_the_last_will_is_said_when_the_process_is_gone(
    broker: Mosquitto, links: Callable[[], tuple[MqttLink, Events]]
) -> None:
    link, events = links()
    assert events.get(timeout=10) == LinkUp()
    with Listener(broker.port, "out/state") as other:
        client = link._client
        assert client is not None
        client._sock_close()  # the plug, not a DISCONNECT
        wait_for(lambda: other.on("state") == [b"gone"], "the last will")


def test_a_message_far_too_large_does_not_reach_us_and_the_next_one_does(
    broker: Mosquitto, links: Callable[[], tuple[MqttLink, Events]]
) -> None:
    _, events = links()
    assert events.get(timeout=10) == LinkUp()
    with Listener(broker.port) as other:
        other.publish("in/a", b"x" * 2_000_000)
        other.publish("in/a", b"small")
        assert arrived(events).payload == b"small"


@pytest.mark.parametrize(
    "url", ["http://host", "mqtt://", "host:1883", "mqtt://host:port", "mqtt://host/path"]
)
def test_an_address_that_is_none_is_a_sentence(url: str) -> None:
    with pytest.raises(ConfigError, match="broker url"):
        Broker(url=url, ca_file=None, certificate_file=None, key_file=None).address()
