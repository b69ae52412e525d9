"""One connection to the broker, from CONNECT to its end. `link.py` makes the next one.

The wall to the broker: the only file that imports paho. It carries bytes and decides nothing.

Promises: a message is acknowledged to the broker only when `ack` is called for it, which its owner
does after the commit. The limits of CONNACK are obeyed. Every refusal of the broker becomes a
sentence. Callbacks of paho only enqueue and never raise: an exception there kills the network
thread while `is_connected()` stays true. Nothing is queued in memory across a loss: what matters
is in SQLite and is sent again.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.errors import SyncError, cut_reason
from agent.sync.attempts import Dialect
from agent.sync.broker import Broker
from agent.sync.events import Arrived, Denied, LinkEvent, LinkUp, Publish, Taken
from agent.sync.in_flight import InFlight
from agent.sync.limits import PACKET_BYTES_OF_MQTT, Limits
from agent.sync.network_errors import of_connect, of_text
from agent.sync.reasons import FAILURE_MIN, KEEP_ALIVE_TIMEOUT, UNSUPPORTED_VERSION, sentence

KEEPALIVE_S = 30
SESSION_EXPIRY_S = 7 * 24 * 3600  # a broker that queues keeps our messages over a long weekend
RECEIVE_MAX = 20  # unacknowledged messages that the broker may send us: bounds our queue
SEND_MAX = 20  # unacknowledged messages of ours; fewer where the broker takes fewer
PACKET_BYTES_MAX = 1024 * 1024  # four times a valid message; the broker drops larger ones
CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who connects: an identity, what it reads, its last will, and where its events go.

    `on_event` is called from the network thread and must only enqueue.
    """

    identity: str
    subscriptions: list[str]
    will: tuple[str, bytes]
    on_event: Callable[[LinkEvent], object]


@dataclass(frozen=True, slots=True)
class _Receipt:
    client: paho.Client
    mid: int
    qos: int


class Connection:
    """One connection. Its network thread is paho's."""

    def __init__(self, broker: Broker, client: Client, dialect: Dialect) -> None:
        self._broker = broker
        self._owner = client
        self._dialect = dialect
        self._paho: paho.Client | None = None
        self.limits: Limits | None = None  # set while connected and subscribed
        self._announced = Limits()
        self._in_flight = InFlight()
        self._denied: dict[str, str] = {}  # topic -> reason
        self._error = ""  # what paho has logged last
        # What the owner must know of answers. Not reported from `_on_publish`, which holds a lock
        # of paho: an owner whose queue is full would wait for the one that waits for that lock.
        self._news: deque[Denied | Taken] = deque()
        self.ended = threading.Event()
        self.is_answered = False  # the broker has answered our CONNECT
        self.is_cut = False  # the other end closed it without a reason
        self.up_since_s: float | None = None
        self.reason = ""
        self.code: int | None = None  # the broker's own reason code for the end

    def open(self) -> None:
        """Connect, and begin to serve the network. Raise `SyncError`."""
        host, port, is_tls = address = self._broker.address()
        client = self._new_client(is_tls=is_tls)
        try:
            if self._dialect.is_version_5:
                client.connect(
                    host, port, KEEPALIVE_S, clean_start=False, properties=_connect_properties()
                )
            else:
                client.connect(host, port, KEEPALIVE_S)
        except (OSError, ValueError) as error:
            raise SyncError(of_connect(error, address)) from error
        self._paho = client
        client.loop_start()

    def close(self) -> None:
        """Disconnect, and end the network thread."""
        client, self.limits = self._paho, None
        if client is None:
            return
        client.on_connect = client.on_subscribe = client.on_disconnect = client.on_publish = None
        client.disconnect()
        client.loop_stop()

    def has_thread(self) -> bool:
        """Return whether the network thread lives."""
        # paho has no public name for its thread
        thread = self._paho._thread if self._paho is not None else None
        return thread is not None and thread.is_alive()

    def end(self, reason: str, code: int | None = None) -> None:
        """Note why the connection ends; the first reason stays."""
        if not self.reason:
            self.reason, self.code = reason, code
        self.ended.set()

    def publish(self, message: Publish) -> bool:
        """Hand a message to the network thread.

        Return False without a connection, or if the broker does not take it: the session sends it
        again.
        """
        client, limits = self._paho, self.limits
        if client is None or limits is None:
            return False
        topic = message.topic
        too_large = limits.too_large(topic, len(message.payload))
        if too_large is not None:
            self._note_denied(topic, too_large)
            return False
        retain = message.retain and limits.retains
        handed = client.publish(topic, message.payload, qos=limits.qos, retain=retain)
        if handed.rc != paho.MQTT_ERR_SUCCESS:
            return False
        code = self._in_flight.sent(handed.mid, topic)
        if code is not None:
            self._note_answer(topic, code, "")
        return True

    def report(self) -> None:
        """Report denials to the owner. Called often, by the thread that watches."""
        while self._news:
            self._owner.on_event(self._news.popleft())

    def ack(self, receipt: object) -> None:
        """Acknowledge a message to the broker.

        No effect when its connection is gone: then the broker sends it again.
        """
        assert isinstance(receipt, _Receipt)
        receipt.client.ack(receipt.mid, receipt.qos)

    def _new_client(self, *, is_tls: bool) -> paho.Client:
        """Return a client that is not connected. It reads the files. Raise `SyncError`."""
        broker, dialect, owner = self._broker, self._dialect, self._owner
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=owner.identity,
            clean_session=None if dialect.is_version_5 else False,
            protocol=paho.MQTTv5 if dialect.is_version_5 else paho.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        if is_tls:
            client.tls_set_context(broker.tls_context())
        if broker.username is not None:
            client.username_pw_set(broker.username, broker.password())
        client.connect_timeout = CONNECT_TIMEOUT_S
        topic, payload = owner.will
        client.will_set(topic, payload, qos=dialect.will_qos, retain=dialect.retains_will)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        client.on_log = self._on_log
        return client

    def _on_connect(
        self,
        client: paho.Client,
        userdata: object,
        flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self.is_answered = reason.value != UNSUPPORTED_VERSION
        if reason.is_failure:
            self.end(sentence(reason.value, _text_of(properties)), reason.value)
            return
        self._announced = limits = _limits_of(properties, self._dialect)
        # paho does not read Receive Maximum, and its setter refuses on a connection
        client._max_inflight_messages = min(SEND_MAX, limits.receive_max)
        client.subscribe([(topic, limits.qos) for topic in self._owner.subscriptions])

    def _on_subscribe(
        self,
        client: paho.Client,
        userdata: object,
        mid: int,
        reasons: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        for topic, reason in zip(self._owner.subscriptions, reasons, strict=False):
            if reason.is_failure:
                words = sentence(reason.value, _text_of(properties))
                self.end(f"no permission to read {topic}: {words}", reason.value)
                return
        if not self.ended.is_set():
            self.up_since_s = time.monotonic()
            self.limits = self._announced
            self._owner.on_event(LinkUp(self._announced))

    def _on_message(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        receipt = _Receipt(client, message.mid, message.qos)
        payload = bytes(message.payload)
        self._owner.on_event(Arrived(topic=message.topic, payload=payload, receipt=receipt))

    def _on_publish(
        self,
        client: paho.Client,
        userdata: object,
        mid: int,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        topic = self._in_flight.answered(mid, reason.value)
        if topic is not None:
            self._note_answer(topic, reason.value, _text_of(properties))

    def _note_answer(self, topic: str, code: int, broker_text: str) -> None:
        if code >= FAILURE_MIN:
            words = sentence(code, broker_text)
            leaf = topic.rpartition("/")[2]
            self._note_denied(topic, f"the broker denies to publish '{leaf}': {words}")
        elif self._denied.pop(topic, None) is not None:
            self._news.append(Taken(topic))

    def _note_denied(self, topic: str, reason: str) -> None:
        if self._denied.get(topic) != reason:
            self._denied[topic] = reason
            self._news.append(Denied(topic, reason))

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: object,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self.end(sentence(reason.value, _text_of(properties)), reason.value)
        elif tls := of_text(self._error):
            self.is_answered = True  # the MQTT version is not the reason
            self.end(tls)
        elif reason.value == KEEP_ALIVE_TIMEOUT:
            self.end(sentence(reason.value))
        elif not self.is_answered and self._broker.address().is_tls:
            self.end(
                "the broker hangs up after the TLS handshake; it may want a certificate, or another"
                " one: write certificate_file and key_file (docs/broker), and look into its log"
            )
        elif self._error:
            self.is_cut = True
            self.end(f"the connection broke: {cut_reason(self._error)}")
        elif self.is_answered:
            self.is_cut = True
            self.end("the broker closed the connection and gave no reason; look into its log")
        else:
            self.end(
                "the broker hangs up without an answer; look into its log, and whether it is an"
                " MQTT broker, with TLS or without as the url says"
            )

    def _on_log(self, client: paho.Client, userdata: object, level: int, text: str) -> None:
        if level == paho.MQTT_LOG_ERR:
            self._error = text


def _text_of(properties: Properties | None) -> str:
    """Return the broker's reason string, without what could break a line."""
    return cut_reason(str(getattr(properties, "ReasonString", "")))


def _limits_of(properties: Properties | None, dialect: Dialect) -> Limits:
    return Limits(
        packet_bytes=getattr(properties, "MaximumPacketSize", PACKET_BYTES_OF_MQTT),
        receive_max=getattr(properties, "ReceiveMaximum", 65_535),
        qos=min(1, getattr(properties, "MaximumQoS", 1)),
        retains=bool(getattr(properties, "RetainAvailable", dialect.retains_will)),
        version=5 if dialect.is_version_5 else 4,
    )


def _connect_properties() -> Properties:
    """Return what a broker with MQTT 5 is asked for."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = SESSION_EXPIRY_S
    properties.ReceiveMaximum = RECEIVE_MAX
    properties.MaximumPacketSize = PACKET_BYTES_MAX
    return properties
