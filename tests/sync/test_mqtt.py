"""The link to a real mosquitto: messages are acknowledged by their owner, and every loss ends."""

import queue
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from agent.errors import ConfigError
from agent.sync.events import Acknowledge, Arrived, DropLink, LinkDown, LinkEvent, LinkUp, Publish
from agent.sync.messages import MESSAGE_BYTES_MAX
from agent.sync.mqtt import PACKET_BYTES_MAX, RECEIVE_MAX, Broker, MqttLink
from agent.sync.topics import Topics
from tests.parts.broker import Listener, Mosquitto
from tests.parts.process import wait_for

Events = queue.Queue[LinkEvent]
WAIT_S = 10
MORE_THAN_WE_TAKE = f"allow_anonymous true\nmax_inflight_messages {3 * RECEIVE_MAX}"


class Connected(NamedTuple):
    """A link that is up, and the events after that."""

    link: MqttLink
    events: Events

    def next_message(self) -> Arrived:
        event = self.events.get(timeout=WAIT_S)
        assert isinstance(event, Arrived), event
        return event

    def next_down(self) -> LinkDown:
        event = self.events.get(timeout=WAIT_S)
        assert isinstance(event, LinkDown), event
        return event


Connect = Callable[[str], Connected]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker", extra=MORE_THAN_WE_TAKE) as mosquitto:
        yield mosquitto


@pytest.fixture
def connect(broker: Mosquitto) -> Iterator[Connect]:
    """Connect a client by its id and wait until the link is up."""
    links: list[MqttLink] = []

    def connect_client(client_id: str) -> Connected:
        events: Events = queue.Queue()
        link = MqttLink(
            Broker(url=broker.url, ca_file=None, certificate_file=None, key_file=None),
            client_id=client_id,
            subscriptions=["in/#"],
            will=("out/state", b"gone"),
            on_event=events.put,
        )
        links.append(link)
        link.start()
        assert events.get(timeout=WAIT_S) == LinkUp()
        return Connected(link, events)

    yield connect_client
    for link in links:
        link.stop()


@pytest.fixture
def connected(connect: Connect) -> Connected:
    return connect("t-1")


def test_a_message_comes_again_until_it_is_acknowledged(
    broker: Mosquitto, connected: Connected
) -> None:
    link, events = connected
    with Listener(broker.port) as other:
        other.publish("in/a", b"1")
        assert connected.next_message().payload == b"1"
        link.perform(DropLink())
        connected.next_down()
        after = [events.get(timeout=WAIT_S), events.get(timeout=WAIT_S)]
        (again,) = [event for event in after if isinstance(event, Arrived)]
        assert again.payload == b"1" and LinkUp() in after
        link.perform(Acknowledge(again.receipt))
        link.perform(DropLink())
        connected.next_down()
        assert events.get(timeout=WAIT_S) == LinkUp()
        other.publish("in/a", b"2")
        assert connected.next_message().payload == b"2"


def test_an_acknowledgement_for_a_past_connection_has_no_effect(
    broker: Mosquitto, connected: Connected
) -> None:
    link, events = connected
    with Listener(broker.port) as other:
        other.publish("in/a", b"1")
        past = connected.next_message()
        link.perform(DropLink())
        connected.next_down()
        after = [events.get(timeout=WAIT_S), events.get(timeout=WAIT_S)]
        assert LinkUp() in after
        link.perform(Acknowledge(past.receipt))
        other.publish("in/a", b"2")
        assert connected.next_message().payload == b"2"


def test_the_link_is_up_again_after_a_stop_of_the_broker(
    broker: Mosquitto, connected: Connected
) -> None:
    broker.stop()
    connected.next_down()
    assert connected.link.publish("out/a", b"lost") is False
    broker.start()
    assert connected.events.get(timeout=2 * WAIT_S) == LinkUp()
    assert connected.link.publish("out/a", b"1") is True


def test_a_dead_network_thread_is_noticed_and_replaced(connected: Connected) -> None:
    client = connected.link._client
    assert client is not None and client._thread is not None
    # Ends paho's loop while its is_connected() stays true.
    client._thread_terminate = True
    assert "thread" in connected.next_down().reason
    assert connected.events.get(timeout=WAIT_S) == LinkUp()


def test_the_broker_sends_the_last_will_when_the_process_is_gone(
    broker: Mosquitto, connected: Connected
) -> None:
    with Listener(broker.port, "out/state") as other:
        client = connected.link._client
        assert client is not None
        client._sock_close()  # as a pulled plug: no DISCONNECT
        wait_for(lambda: other.on("state") == [b"gone"], "the last will")


def test_a_retained_message_is_there_for_a_later_subscriber(
    broker: Mosquitto, connected: Connected
) -> None:
    connected.link.perform(Publish(topic="out/kept", payload=b"1", retain=True))
    connected.link.perform(Publish(topic="out/passing", payload=b"2", retain=False))
    with Listener(broker.port, "out/passing") as first:
        connected.link.perform(Publish(topic="out/passing", payload=b"3", retain=False))
        wait_for(lambda: first.on("passing")[-1:] == [b"3"], "the message after both")
    with Listener(broker.port, "out/#", client_id="late") as late:
        wait_for(lambda: late.on("kept") == [b"1"], "the retained message")
        assert late.on("passing") == []


def test_a_packet_above_packet_bytes_max_is_dropped_and_the_next_one_arrives(
    broker: Mosquitto, connected: Connected
) -> None:
    with Listener(broker.port) as other:
        other.publish("in/a", b"x" * PACKET_BYTES_MAX)
        other.publish("in/a", b"y" * MESSAGE_BYTES_MAX)
        assert connected.next_message().payload == b"y" * MESSAGE_BYTES_MAX


def test_at_most_receive_max_unacknowledged_messages_are_sent_to_us(
    broker: Mosquitto, connected: Connected
) -> None:
    with Listener(broker.port, "in/#") as other:
        for n in range(RECEIVE_MAX + 5):
            other.publish("in/a", b"%d" % n)
        messages = [connected.next_message() for _ in range(RECEIVE_MAX)]
        wait_for(lambda: len(other.on("a")) == RECEIVE_MAX + 5, "all messages at the other client")
        with pytest.raises(queue.Empty):
            connected.events.get(timeout=0.5)
        connected.link.perform(Acknowledge(messages[0].receipt))
        assert connected.next_message().payload == b"%d" % RECEIVE_MAX


def test_terminals_of_two_towns_with_one_name_do_not_disconnect_each_other(
    broker: Mosquitto, connect: Connect
) -> None:
    first = connect(Topics("borgo").identity("t-1"))
    second = connect(Topics("montebello").identity("t-1"))
    with Listener(broker.port) as other:
        other.publish("in/a", b"1")
        for connected in (first, second):
            assert connected.next_message().payload == b"1"


@pytest.mark.parametrize(
    "url", ["http://host", "mqtt://", "host:1883", "mqtt://host:port", "mqtt://host/path"]
)
def test_a_wrong_broker_url_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(ConfigError, match="broker url"):
        Broker(url=url, ca_file=None, certificate_file=None, key_file=None).address()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mqtt://host", ("host", 1883, False)),
        ("mqtts://host", ("host", 8883, True)),
        ("mqtts://host:1", ("host", 1, True)),
    ],
)
def test_a_broker_url_gives_host_port_and_tls(url: str, address: tuple[object, ...]) -> None:
    broker = Broker(url=url, ca_file=None, certificate_file=None, key_file=None)
    assert broker.address() == address


def test_a_certificate_that_cannot_be_used_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate", encoding="ascii")
    broker = Broker(
        url="mqtts://host", ca_file=tmp_path / "ca.pem", certificate_file=None, key_file=None
    )
    with pytest.raises(ConfigError, match="ca_file, certificate_file or key_file"):
        MqttLink(broker, client_id="x", subscriptions=[], will=("x", b""), on_event=print)
