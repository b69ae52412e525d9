"""The link to the broker: a connection that is made again when it is lost.

Terminal and central use it. Promises: the pause between attempts grows to `BACK_OFF_MAX_S`, also
after connections that come up and fall at once. A network thread that dies is noticed within a
second and replaced. Every attempt that fails reports its own reason, so an outage always shows the
present one. MQTT 5 is tried first, then 3.1.1 for a broker that does not know it, and 5 again
later. Certificates and password are read at each attempt.
"""

import logging
import random
import threading
import time
from collections.abc import Callable

from agent.errors import SyncError
from agent.sync.attempts import STOOD_S, BackOff, Dialects
from agent.sync.broker import Broker
from agent.sync.events import (
    Acknowledge,
    DropLink,
    LinkDown,
    LinkEffect,
    LinkEvent,
    Publish,
)
from agent.sync.mqtt import CONNECT_TIMEOUT_S, Client, Connection
from agent.sync.reasons import (
    QOS_NOT_SUPPORTED,
    RETAIN_NOT_SUPPORTED,
    TAKEN_OVER,
)

UP_WITHIN_S = 30.0  # a broker that accepts the connection and then does not answer is given up
THREAD_CHECK_S = 1.0
DAY_S = 86_400.0
FALLS_MAX = 4  # many brokers name no takeover: so many short connections in a row are one

log = logging.getLogger("agent.link")


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
        broker.check()
        self._broker = broker
        self._client = Client(
            identity=client_id, subscriptions=subscriptions, will=will, on_event=on_event
        )
        self._connection: Connection | None = None
        self._back_off = BackOff(random.random)
        self._dialects = Dialects()
        self._falls = 0  # connections in a row that came up and fell soon, for no named reason
        self._warn_at_s = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="link", daemon=True)

    def start(self) -> None:
        if self._broker.username is not None and not self._broker.address().is_tls:
            log.warning("Link: the password goes to the broker in plain text; write mqtts://.")
        self._thread.start()

    def stop(self) -> None:
        """Disconnect and end the threads; takes at most some seconds."""
        self._stopping.set()
        self.reconnect()
        self._thread.join(timeout=CONNECT_TIMEOUT_S + THREAD_CHECK_S)

    def reconnect(self) -> None:
        """Drop the connection; the supervisor makes another."""
        connection = self._connection
        if connection is not None:
            connection.end("dropped to connect again")

    def perform(self, effect: LinkEffect) -> None:
        """Do what the owner asks for."""
        match effect:
            case Publish():
                self.publish(effect)
            case Acknowledge(receipt=receipt):
                self.ack(receipt)
            case DropLink():
                self.reconnect()

    def publish(self, message: Publish) -> bool:
        """Hand a message to the network thread. Return False if it does not go out."""
        connection = self._connection
        return connection is not None and connection.publish(message)

    def ack(self, receipt: object) -> None:
        """Acknowledge a message to the broker."""
        connection = self._connection
        if connection is not None:
            connection.ack(receipt)

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            stood_s = self._serve()
            self._stopping.wait(self._back_off.pause_s(stood_s))

    def _serve(self) -> float:
        """Connect and serve until the connection ends. Return for how many seconds it was up."""
        dialect = self._dialects.present(time.monotonic())
        connection = Connection(self._broker, self._client, dialect)
        self._connection = connection
        try:
            connection.open()
            if not self._stopping.is_set():
                self._watch(connection)
        except SyncError as error:
            connection.end(str(error))
            connection.is_answered = True  # it was never asked: the dialect is not the reason
        finally:
            connection.close()
        up_since_s = connection.up_since_s
        stood_s = 0.0 if up_since_s is None else max(0.001, time.monotonic() - up_since_s)
        self._learn(connection, stood_s)
        if not self._stopping.is_set() or up_since_s is not None:
            self._client.on_event(self._down(connection))
        return stood_s

    def _watch(self, connection: Connection) -> None:
        """Return when the connection has ended, did not come up in time, or lost its thread."""
        up_by_s = time.monotonic() + UP_WITHIN_S
        is_noted = False
        while not connection.ended.wait(THREAD_CHECK_S):
            now_s, limits = time.monotonic(), connection.limits
            connection.report()
            if limits is None and now_s > up_by_s:
                connection.end(
                    f"the broker accepts the connection and does not answer within"
                    f" {UP_WITHIN_S:.0f} s; look into its log"
                )
            elif not connection.has_thread():
                connection.end("the network thread ended")
            elif limits is not None and not is_noted:
                is_noted = True
                self._dialects.came_up(now_s, limits)
                self._warn(now_s)
            elif is_noted and now_s >= self._warn_at_s:
                self._warn(now_s)
            elif is_noted and self._dialects.is_version_5_due(now_s):
                connection.end("trying MQTT 5 again after a fallback to 3.1.1")

    def _warn(self, now_s: float) -> None:
        """Log that the own certificate ends soon; once a day while the link is up."""
        self._warn_at_s = now_s + DAY_S
        ending = self._broker.expires_soon()
        if ending is not None:
            log.warning("Link: %s.", ending)

    def _learn(self, connection: Connection, stood_s: float) -> None:
        """Take from an attempt what the next one must do differently."""
        is_up = connection.up_since_s is not None
        if not is_up and not connection.is_answered:
            self._dialects.no_answer()
        if connection.code == RETAIN_NOT_SUPPORTED:
            self._dialects.without_retained_will()
        if connection.code == QOS_NOT_SUPPORTED:
            self._dialects.without_qos_1()
        is_fall = is_up and stood_s < STOOD_S and connection.is_cut
        self._falls = self._falls + 1 if is_fall else 0

    def _down(self, connection: Connection) -> LinkDown:
        reason = connection.reason or "connection closed"
        expired = self._broker.expired() if connection.up_since_s is None else None
        if expired is not None:
            return LinkDown(f"{expired} ({reason})")
        if connection.code == TAKEN_OVER:
            return LinkDown(reason, is_takeover=True)
        if self._falls >= FALLS_MAX:
            words = (
                f"the broker closes each connection soon after it is up ({reason}); probably"
                f" another client connects as {self._client.identity}: look for a second machine"
                " with this configuration, or a second canteen-central serve. Or it takes no"
                " packets of this size: look into its log"
            )
            return LinkDown(words, is_takeover=True)
        return LinkDown(reason)
