"""The connection to the broker, made again when it is lost, after at most `BACK_OFF_MAX_S`.

The wall to the broker: the only file that imports paho. It carries bytes and decides nothing.

Terminal and central use it. Promises: a message is acknowledged to the broker only when `ack` is
called for it, which its owner does after the commit. A network thread that dies is noticed within
a second and replaced, with tenacity's back-off between attempts. Callbacks of paho only enqueue
and never raise: an exception there kills the network thread while `is_connected()` stays true.
MQTT 5 is tried first, then 3.1.1 for a broker that does not know it. Every connection has a
client of its own, so nothing is queued in memory across a loss: what matters is in SQLite and is
sent again.
"""

import logging
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from agent.errors import ConfigError, SyncError
from agent.sync.events import (
    Acknowledge,
    Arrived,
    DropLink,
    LinkDown,
    LinkEffect,
    LinkEvent,
    LinkUp,
    Publish,
)

KEEPALIVE_S = 30
SESSION_EXPIRY_S = 7 * 24 * 3600  # a broker that queues keeps our messages over a long weekend
RECEIVE_MAX = 20  # unacknowledged messages that the broker may send us: bounds our queue
PACKET_BYTES_MAX = 1024 * 1024  # four times a valid message; the broker drops larger ones
CONNECT_TIMEOUT_S = 10.0
UP_WITHIN_S = 30.0  # a broker that accepts the connection and then does not answer is given up
BACK_OFF_MAX_S = 30
RECONNECT_PAUSE_S = 0.5  # two terminals with one client id disconnect each other: no tight loop
THREAD_CHECK_S = 1.0
PORTS = {"mqtt": 1883, "mqtts": 8883}

log = logging.getLogger("agent.link")


class Address(NamedTuple):
    """A broker's address."""

    host: str
    port: int
    is_tls: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """A broker's URL and the PEM files for it; all files are None for `mqtt://`."""

    url: str
    ca_file: Path | None
    certificate_file: Path | None
    key_file: Path | None

    def address(self) -> Address:
        """Return the address in the URL. Raise `ConfigError` if there is none."""
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ConfigError(f"broker url: {error}") from None
        # a part that is not used is an error; the URL may hold a password, so it is not shown
        unused = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
        if parts.scheme not in PORTS or not host or unused or port == 0:
            raise ConfigError(
                "broker url: write mqtts://host:8883, or mqtt://host:1883 without TLS;"
                " nothing else belongs into it"
            )
        return Address(host, port or PORTS[parts.scheme], parts.scheme == "mqtts")


@dataclass(frozen=True, slots=True)
class _Receipt:
    client: paho.Client
    mid: int
    qos: int


class MqttLink:
    """A supervised connection. `on_event` is called from its threads and must only enqueue."""

    def __init__(
        self,
        broker: Broker,
        *,
        client_id: str,
        subscriptions: list[str],
        will: tuple[str, bytes],
        on_event: Callable[[LinkEvent], object],
    ) -> None:
        self._address = broker.address()
        self._tls = _tls_context(broker) if self._address.is_tls else None
        self._client_id = client_id
        self._subscriptions = subscriptions
        self._will = will
        self._on_event = on_event
        self._client: paho.Client | None = None  # set while connected and subscribed
        self._refusal = ""
        self._speaks_5 = True
        self._answered = False  # the broker has answered our CONNECT
        self._absence_logged = False
        self._ended = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="link", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Disconnect and end the threads; takes at most some seconds."""
        self._stopping.set()
        self._ended.set()
        self._thread.join(timeout=CONNECT_TIMEOUT_S + THREAD_CHECK_S)

    def reconnect(self) -> None:
        """Drop the connection; the supervisor makes another."""
        self._ended.set()

    def perform(self, effect: LinkEffect) -> None:
        """Do what the owner asks for."""
        match effect:
            case Publish(topic=topic, payload=payload, retain=retain):
                self.publish(topic, payload, retain=retain)
            case Acknowledge(receipt=receipt):
                self.ack(receipt)
            case DropLink():
                self.reconnect()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Hand a message to the network thread, QoS 1.

        Return False without a connection: the session sends it again.
        """
        client = self._client
        if client is None:
            return False
        return client.publish(topic, payload, qos=1, retain=retain).rc == paho.MQTT_ERR_SUCCESS

    def ack(self, receipt: object) -> None:
        """Acknowledge a message to the broker.

        No effect when its connection is gone: then the broker sends it again.
        """
        assert isinstance(receipt, _Receipt)
        receipt.client.ack(receipt.mid, receipt.qos)

    def _supervise(self) -> None:
        attempts = Retrying(
            retry=retry_if_exception_type(SyncError),
            wait=wait_random_exponential(multiplier=0.5, max=BACK_OFF_MAX_S),
            sleep=self._sleep,
            stop=lambda _: self._stopping.is_set(),
            before_sleep=self._log_attempt,
            retry_error_callback=lambda _: None,
        )
        while not self._stopping.is_set():
            attempts(self._serve)
            self._sleep(RECONNECT_PAUSE_S)

    def _serve(self) -> None:
        """Connect and serve until the connection ends. Raise `SyncError` if it never came up."""
        self._ended.clear()
        if self._stopping.is_set():
            return
        client = self._connected_client()
        client.loop_start()
        try:
            self._watch(client)
        finally:
            was_up = self._client is client
            self._client = None
            client.on_connect = client.on_subscribe = client.on_disconnect = None
            client.disconnect()
            client.loop_stop()
        if not was_up and not self._answered:
            # A broker that hangs up on a CONNECT may know only the other version.
            self._speaks_5 = not self._speaks_5
        if was_up:
            self._absence_logged = True
            self._on_event(LinkDown(self._refusal or "connection closed"))
        elif not self._stopping.is_set():
            reason = self._refusal or "connection closed"
            raise SyncError(f"broker {self._place()} refused the connection: {reason}")

    def _watch(self, client: paho.Client) -> None:
        """Return when the connection has ended, did not come up in time, or lost its thread."""
        up_by = time.monotonic() + UP_WITHIN_S
        while not self._ended.wait(THREAD_CHECK_S):
            if self._client is None and time.monotonic() > up_by:
                self._refusal = f"no answer to CONNECT and SUBSCRIBE within {UP_WITHIN_S:.0f} s"
                return
            # paho has no public name for its thread
            if not client._thread or not client._thread.is_alive():
                self._refusal = self._refusal or "the network thread ended"
                return

    def _connected_client(self) -> paho.Client:
        """Return a client whose TCP connection is up. Raise `SyncError`."""
        client = self._new_client()
        host, port, _ = self._address
        try:
            if self._speaks_5:
                client.connect(
                    host, port, KEEPALIVE_S, clean_start=False, properties=_connect_properties()
                )
            else:
                client.connect(host, port, KEEPALIVE_S)
        except (OSError, ValueError) as error:
            raise SyncError(f"broker {self._place()} not reached: {error}") from error
        return client

    def _new_client(self) -> paho.Client:
        self._refusal = ""
        self._answered = False
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=None if self._speaks_5 else False,
            protocol=paho.MQTTv5 if self._speaks_5 else paho.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.will_set(self._will[0], self._will[1], qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        return client

    def _place(self) -> str:
        return f"{self._address.host}:{self._address.port}"

    def _on_connect(
        self,
        client: paho.Client,
        userdata: object,
        flags: object,
        reason: ReasonCode,
        properties: object,
    ) -> None:
        self._answered = reason != "Unsupported protocol version"
        if reason.is_failure:
            self._refusal = str(reason)
            self._ended.set()
            return
        client.subscribe([(topic, 1) for topic in self._subscriptions])

    def _on_subscribe(
        self,
        client: paho.Client,
        userdata: object,
        mid: int,
        reasons: list[ReasonCode],
        properties: object,
    ) -> None:
        refused = [
            f"{topic} ({reason})"
            for topic, reason in zip(self._subscriptions, reasons, strict=False)
            if reason.is_failure
        ]
        if refused:
            self._refusal = "no permission to read " + ", ".join(refused)
            self._ended.set()
            return
        if not self._ended.is_set():
            self._client = client
            self._absence_logged = False
            self._on_event(LinkUp())

    def _on_message(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        receipt = _Receipt(client, message.mid, message.qos)
        payload = bytes(message.payload)
        self._on_event(Arrived(topic=message.topic, payload=payload, receipt=receipt))

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: object,
        flags: object,
        reason: ReasonCode,
        properties: object,
    ) -> None:
        self._refusal = self._refusal or str(reason)
        self._ended.set()

    def _log_attempt(self, state: RetryCallState) -> None:
        """Log once why there is no connection; `LinkDown` has reported a lost one."""
        if state.outcome is not None and not self._absence_logged:
            self._absence_logged = True
            log.warning("Link: %s; trying again until it works.", state.outcome.exception())

    def _sleep(self, seconds: float) -> None:
        self._stopping.wait(seconds)


def _connect_properties() -> Properties:
    """Return what a broker with MQTT 5 is asked for."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = SESSION_EXPIRY_S
    properties.ReceiveMaximum = RECEIVE_MAX
    properties.MaximumPacketSize = PACKET_BYTES_MAX
    return properties


def _tls_context(broker: Broker) -> ssl.SSLContext:
    """Return a context of TLS 1.2 or newer with the CA and the certificate. Raise `ConfigError`."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if broker.ca_file is not None:
            context.load_verify_locations(broker.ca_file)
        if broker.certificate_file is not None:
            context.load_cert_chain(broker.certificate_file, broker.key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"broker: ca_file, certificate_file or key_file cannot be used: {error}"
        ) from error
    return context
