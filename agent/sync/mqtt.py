"""The wall to the broker: the only file that imports paho. It carries bytes and decides nothing.

Used by the terminal and by the reference central. Promises: a message is acknowledged to the broker only when `ack` is
called for it, which the owner does after its commit; a network thread that dies is noticed within a second and replaced,
with tenacity's back-off between attempts. Never raises into paho: its callbacks only enqueue, since one that raises kills
the network thread while `is_connected()` stays true. MQTT 5 is asked for, and 3.1.1 of a broker that does not know it:
what it adds only makes things fast. Every connection has a client of its own, so nothing is queued
in memory across a loss: what matters is in SQLite and is sent again.
"""

import logging
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
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
SESSION_EXPIRY_S = (
    7 * 24 * 3600
)  # the broker keeps what came for us over a long weekend, if it keeps anything
RECEIVE_MAX = 20  # unacknowledged messages the broker may have under way to us: bounds our queue
PACKET_BYTES_MAX = 1024 * 1024  # four times a lawful message: a larger one is the broker's to drop
CONNECT_TIMEOUT_S = 10.0
UP_WITHIN_S = 30.0  # a broker that takes the connection and says nothing more is none
BACK_OFF_MAX_S = 30
RECONNECT_PAUSE_S = 0.5  # two boxes with one client id throw each other off: not in a tight loop
THREAD_CHECK_S = 1.0
PORTS = {"mqtt": 1883, "mqtts": 8883}

log = logging.getLogger("agent.link")


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where the broker is, and what to show it. Files are PEM; all None for `mqtt://`."""

    url: str
    ca_file: Path | None
    certificate_file: Path | None
    key_file: Path | None

    def address(self) -> tuple[str, int, bool]:
        """Return (host, port, TLS or not). Raise `ConfigError` for an address that is none."""
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ConfigError(f"broker url {self.url!r}: {error}") from None
        if parts.scheme not in PORTS or not host or parts.path.strip("/"):
            raise ConfigError(
                f"broker url {self.url!r}: write mqtts://host:8883, or mqtt://host:1883 in the clear"
            )
        return host, port or PORTS[parts.scheme], parts.scheme == "mqtts"


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
        self._host, self._port, tls = broker.address()
        self._tls = _tls_context(broker) if tls else None
        self._client_id = client_id
        self._subscriptions = subscriptions
        self._will = will
        self._on_event = on_event
        self._client: paho.Client | None = None  # set while connected and subscribed
        self._refusal = ""
        self._speaks_5 = True
        self._answered = False  # the broker has said something to our CONNECT
        self._absence_told = False
        self._ended = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="link", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Disconnect and end the threads; at most some seconds."""
        self._stopping.set()
        self._ended.set()
        self._thread.join(timeout=CONNECT_TIMEOUT_S + THREAD_CHECK_S)

    def reconnect(self) -> None:
        """Drop the connection; the supervisor makes another."""
        self._ended.set()

    def perform(self, effect: LinkEffect) -> None:
        """Do what the owner wants done."""
        match effect:
            case Publish(topic=topic, payload=payload, retain=retain):
                self.publish(topic, payload, retain=retain)
            case Acknowledge(receipt=receipt):
                self.ack(receipt)
            case DropLink():
                self.reconnect()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Hand a message to the network thread, QoS 1. False when there is no connection: the session sends it again."""
        client = self._client
        return (
            client is not None
            and client.publish(topic, payload, qos=1, retain=retain).rc == paho.MQTT_ERR_SUCCESS
        )

    def ack(self, receipt: object) -> None:
        """Tell the broker that a message has been dealt with. Without effect when its connection is gone: it comes again."""
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
            attempts(self._one_connection)
            self._sleep(RECONNECT_PAUSE_S)

    def _one_connection(self) -> None:
        """Connect, serve until the connection ends, clean up. Raise `SyncError` when it could not be made at all."""
        self._ended.clear()
        if self._stopping.is_set():
            return
        client = self._new_client()
        try:
            if self._speaks_5:
                client.connect(
                    self._host,
                    self._port,
                    keepalive=KEEPALIVE_S,
                    clean_start=False,
                    properties=_wishes(),
                )
            else:
                client.connect(self._host, self._port, keepalive=KEEPALIVE_S)
        except (OSError, ValueError) as error:
            raise SyncError(f"broker {self._host}:{self._port} not reached: {error}") from error
        client.loop_start()
        try:
            up_by = time.monotonic() + UP_WITHIN_S
            while not self._ended.wait(THREAD_CHECK_S):
                if self._client is None and time.monotonic() > up_by:
                    self._refusal = f"no answer to CONNECT and SUBSCRIBE within {UP_WITHIN_S:.0f} s"
                    break
                if (
                    not client._thread or not client._thread.is_alive()
                ):  # paho offers no public word on it
                    self._refusal = self._refusal or "the network thread ended"
                    break
        finally:
            was_up = self._client is client
            self._client = None
            client.on_connect = client.on_subscribe = client.on_disconnect = None
            client.disconnect()
            client.loop_stop()
        if not was_up and not self._answered:
            self._speaks_5 = (
                not self._speaks_5
            )  # one that hangs up on a CONNECT may only know the other version
        if was_up:
            self._absence_told = True
            self._on_event(LinkDown(self._refusal or "connection closed"))
        elif not self._stopping.is_set():
            raise SyncError(
                f"broker {self._host}:{self._port} refused us: {self._refusal or 'connection closed'}"
            )

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

    def _on_connect(
        self, client: paho.Client, userdata: Any, flags: Any, reason: ReasonCode, properties: Any
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
        userdata: Any,
        mid: int,
        reasons: list[ReasonCode],
        properties: Any,
    ) -> None:
        refused = [
            f"{topic} ({reason})"
            for topic, reason in zip(self._subscriptions, reasons, strict=False)
            if reason.is_failure
        ]
        if refused:
            self._refusal = "no right to read " + ", ".join(refused)
            self._ended.set()
            return
        if not self._ended.is_set():
            self._client = client
            self._absence_told = False
            self._on_event(LinkUp())

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        receipt = _Receipt(client, message.mid, message.qos)
        self._on_event(
            Arrived(topic=message.topic, payload=bytes(message.payload), receipt=receipt)
        )

    def _on_disconnect(
        self, client: paho.Client, userdata: Any, flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        self._refusal = self._refusal or str(reason)
        self._ended.set()

    def _log_attempt(self, state: RetryCallState) -> None:
        """Say once why there is no connection; a loss was said by `LinkDown` already."""
        if state.outcome is not None and not self._absence_told:
            self._absence_told = True
            log.warning("link: %s; trying again without end", state.outcome.exception())

    def _sleep(self, seconds: float) -> None:
        self._stopping.wait(seconds)


def _wishes() -> Properties:
    """Return what a broker that speaks MQTT 5 is asked to do for us."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = SESSION_EXPIRY_S
    properties.ReceiveMaximum = RECEIVE_MAX
    properties.MaximumPacketSize = PACKET_BYTES_MAX
    return properties


def _tls_context(broker: Broker) -> ssl.SSLContext:
    """Return a context of TLS 1.2 or newer with the town's CA and the terminal's certificate. Raise `ConfigError`."""
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
