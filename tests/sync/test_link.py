"""The link to a real mosquitto: messages are acknowledged by their owner, and every loss ends."""

import itertools
import queue
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import paho.mqtt.client as paho
import pytest

from agent.sync.attempts import BACK_OFF_FIRST_S
from agent.sync.broker import Broker
from agent.sync.events import Acknowledge, Arrived, DropLink, LinkDown, LinkEvent, LinkUp, Publish
from agent.sync.link import FALLS_MAX, UP_WITHIN_S, MqttLink
from agent.sync.messages import MESSAGE_BYTES_MAX
from agent.sync.mqtt import PACKET_BYTES_MAX, RECEIVE_MAX
from agent.sync.topics import Topics
from tests.parts.broker import Listener, Mosquitto, free_port
from tests.parts.certificates import make_authority
from tests.parts.links import Reported
from tests.parts.packets import Kind, PacketProxy
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

    def next_up(self) -> LinkUp:
        """Wait for the next connection; attempts before it may fail."""
        while True:
            event = self.events.get(timeout=2 * WAIT_S)
            if isinstance(event, LinkUp):
                return event

    def downs(self) -> Iterator[LinkDown]:
        """Yield the losses as they come."""
        while True:
            event = self.events.get(timeout=3 * WAIT_S)
            if isinstance(event, LinkDown):
                yield event

    def next_down(self) -> LinkDown:
        event = self.events.get(timeout=WAIT_S)
        assert isinstance(event, LinkDown), event
        return event


def message(payload: bytes, topic: str = "out/a") -> Publish:
    return Publish(topic=topic, payload=payload, retain=False)


def paho_client(link: MqttLink) -> paho.Client:
    assert link._connection is not None and link._connection._paho is not None
    return link._connection._paho


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
            Broker(url=broker.url),
            client_id=client_id,
            subscriptions=["in/#"],
            will=("out/state", b"gone"),
            on_event=events.put,
        )
        links.append(link)
        link.start()
        assert isinstance(events.get(timeout=WAIT_S), LinkUp)
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
        assert again.payload == b"1" and any(isinstance(event, LinkUp) for event in after)
        link.perform(Acknowledge(again.receipt))
        link.perform(DropLink())
        connected.next_down()
        assert isinstance(events.get(timeout=WAIT_S), LinkUp)
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
        assert any(isinstance(event, LinkUp) for event in after)
        link.perform(Acknowledge(past.receipt))
        other.publish("in/a", b"2")
        assert connected.next_message().payload == b"2"


def test_the_link_is_up_again_after_a_stop_of_the_broker(
    broker: Mosquitto, connected: Connected
) -> None:
    broker.stop()
    connected.next_down()
    assert connected.link.publish(message(b"lost")) is False
    broker.start()
    assert isinstance(connected.next_up(), LinkUp)
    assert connected.link.publish(message(b"1")) is True


def test_a_dead_network_thread_is_noticed_and_replaced(connected: Connected) -> None:
    client = paho_client(connected.link)
    assert client._thread is not None
    # Ends paho's loop while its is_connected() stays true.
    client._thread_terminate = True
    assert "thread" in connected.next_down().reason
    assert isinstance(connected.events.get(timeout=WAIT_S), LinkUp)


def test_the_broker_sends_the_last_will_when_the_process_is_gone(
    broker: Mosquitto, connected: Connected
) -> None:
    with Listener(broker.port, "out/state") as other:
        client = paho_client(connected.link)
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


def test_a_client_whose_identity_is_in_use_elsewhere_is_a_takeover_and_backs_off(
    broker: Mosquitto, connect: Connect
) -> None:
    """Old brokers name no takeover: short connections in a row are the sign. New ones name it."""
    first = connect("twin")
    second = connect("twin")
    falls = 0
    while not (down := next(first.downs())).is_takeover:
        falls += 1
    is_named = "another client connected with this identity" in down.reason
    assert is_named or falls >= FALLS_MAX - 1
    assert is_named or "probably another client connects as twin" in down.reason
    assert any(down.is_takeover for down in second.downs())


def test_connections_that_come_up_and_fall_at_once_are_made_ever_more_rarely(
    broker: Mosquitto,
) -> None:
    with PacketProxy(broker.port) as proxy:
        proxy.down = lambda packet: None if packet.kind == Kind.SUBACK else packet.raw
        with Reported(Broker(url=proxy.url)):
            wait_for(lambda: len(proxy.accepted_s) == 5, "five connections", 30)
    pauses = [later - earlier for earlier, later in itertools.pairwise(proxy.accepted_s)]
    at_least = [BACK_OFF_FIRST_S * 2**n / 2 for n in range(4)]
    assert all(pause >= least for pause, least in zip(pauses, at_least, strict=True)), pauses


def test_a_broker_that_never_answers_is_given_up_with_a_reason() -> None:
    with PacketProxy(None) as proxy, Reported(Broker(url=proxy.url)) as own:
        down = own.events.get(timeout=UP_WITHIN_S + WAIT_S)
        assert isinstance(down, LinkDown)
        assert down.reason.startswith("the broker accepts the connection and does not answer")


def test_every_failed_attempt_reports_its_own_reason(tmp_path: Path) -> None:
    """The first reason of an outage must not hide the present one."""
    ca_file = tmp_path / "ca.crt"
    port = free_port()
    with Reported(Broker(url=f"mqtts://127.0.0.1:{port}", ca_file=ca_file)) as own:
        assert "cannot be used as the CA's certificate" in own.down().reason
        make_authority(tmp_path, "A town")
        wait_for(lambda: "nothing listens there" in own.down().reason, "the refused connection")


def test_mqtt_5_is_tried_again_on_a_standing_link_with_3_1_1(broker: Mosquitto) -> None:
    """A broker that once did not answer must not leave the link at 3.1.1 for good."""
    with PacketProxy(broker.port) as proxy:
        proxy.up = lambda packet: None if packet.body[6:7] == b"\x05" else packet.raw
        with Reported(Broker(url=proxy.url)) as own:
            assert own.up().limits.version == 4
            proxy.up = lambda packet: packet.raw
            # ten minutes later
            wait_for(lambda: own.link._dialects._try_5_at_s is not None, "the plan to try again")
            own.link._dialects._try_5_at_s = 0.0
            assert own.down().reason.startswith("trying MQTT 5 again")
            assert own.up().limits.version == 5


def test_a_password_without_tls_is_a_warning(
    broker: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "password").write_text("hush", encoding="ascii")
    access = Broker(url=broker.url, username="canteen", password_file=tmp_path / "password")
    with Reported(access) as own:
        own.up()
    assert "in plain text" in caplog.text and "hush" not in caplog.text
