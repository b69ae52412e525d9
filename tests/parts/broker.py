"""A real mosquitto on a loopback port of its own."""

import contextlib
import os
import random
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.parts.process import Process, require, wait_for


def free_port() -> int:
    """Return an unused TCP port below 32768; the kernel takes the higher ports for connections."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Mosquitto:
    """A mosquitto with `extra` lines in its configuration. It keeps no sessions across a stop."""

    def __init__(
        self, folder: Path, *, extra: str = "allow_anonymous true", port: int | None = None
    ) -> None:
        self.port = port or free_port()
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "mosquitto.conf"
        # Started as root, mosquitto changes to a user who cannot read the test's folder.
        user = "user root\n" if os.geteuid() == 0 else ""
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\npersistence false\n{user}{extra}\n", encoding="utf-8"
        )
        self._process: Process | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def process(self) -> Process:
        assert self._process is not None
        return self._process

    def start(self) -> Self:
        self._process = Process(
            [require("mosquitto"), "-c", self._config], self._folder / "mosquitto.log"
        )
        wait_for(self._answers, "mosquitto listening")
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None

    def _answers(self) -> bool:
        if not self.process.is_running:
            raise RuntimeError(f"mosquitto ended: {self.process.output()}")
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), timeout=1),
        ):
            return True
        return False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class Listener:
    """A plain MQTT client that records what it receives on `topics`, and can publish anything."""

    def __init__(self, port: int, *topics: str, client_id: str = "listener") -> None:
        self.received: list[tuple[str, bytes]] = []
        self._subscribed = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=paho.MQTTv5
        )
        self._client.on_message = lambda client, userdata, message: self.received.append(
            (message.topic, bytes(message.payload))
        )
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        if topics:
            self._client.subscribe([(topic, 1) for topic in topics])
            assert self._subscribed.wait(10), "no SUBACK"

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)

    def on(self, ending: str) -> list[bytes]:
        """Return the payloads received on topics with this ending."""
        return [payload for topic, payload in self.received if topic.endswith(ending)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()
