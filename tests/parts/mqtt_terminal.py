"""Terminals of another maker over MQTT: ledgers in memory, many of them in a process.

They send as the contract wants it, and keep in `faults` what no central may do to them: take back
what it has acknowledged, or acknowledge what they never had.
"""

import itertools
import json
import secrets
import threading
import time
from datetime import date, timedelta
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from agent.domain.ledger import genesis
from agent.sync.messages import BATCH_ENTRIES_MAX, BATCHES_UNACKED_MAX
from tests.parts.foreign_terminal import meal, sealed

PRICE_CENTS = 366
FIRST_DAY = date(2026, 2, 1)
RETRY_S = 2.0
"""A terminal says hello again after this time without an acknowledgement; then it doubles."""
PATIENCE_S = 20


class MqttTerminal:
    """A terminal of a town, whose meals are those of `account`, each of a day of its own."""

    def __init__(self, port: int, town: str, name: str, account: str) -> None:
        self.town, self.name, self.account = town, name, account
        self.epoch = f"1-{secrets.token_hex(8)}"
        self.entries: list[dict[str, Any]] = []
        self.acked = 0
        self.balance_cents = 0  # as the central sent it last
        self.credit_cents = 0  # what a test has credited
        self.faults: list[str] = []
        self._hashes = [genesis(town, name, self.epoch)]
        self._sent = 0  # the newest entry that was sent since the last answered hello
        self._generation: str | None = None
        self._position = 0
        self._nonce = ""
        self._claimed = 0  # the acknowledged ones of the newest hello
        self._is_answered = False
        self._numbers = itertools.count(1)
        self._retry_s = RETRY_S
        self._moved_s = time.monotonic()  # when something was sent first, or acknowledged last
        self._lock = threading.Condition()  # notified of each message of the central
        self._topic = f"canteen/v1/{town}/t/{name}"
        self._state = f"canteen/v1/{town}/central/state"
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"{town}/t/{name}", protocol=paho.MQTTv5
        )
        self._client.on_connect = self._subscribe
        self._client.on_subscribe = lambda *_: self.hello()
        self._client.on_message = lambda _client, _userdata, message: self._take(
            message.topic, json.loads(message.payload)
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def pending(self) -> int:
        """Return how many entries are not acknowledged."""
        return len(self.entries) - self.acked

    def eat(self, meals: int = 1) -> None:
        """Record meals, and send what may be sent."""
        with self._lock:
            if not self.pending:
                self._moved_s = time.monotonic()
            for _ in range(meals):
                day = f"{FIRST_DAY + timedelta(days=len(self.entries))}"
                entry = meal(account=self.account, day=day, at=f"{day}T11:00:00.000Z", clock="held")
                self.entries.append(sealed(entry, len(self.entries) + 1, self._hashes[-1]))
                self._hashes.append(self.entries[-1]["hash"])
            self._send()

    def wait_for_balance(self, cents: int) -> None:
        """Wait until the central has sent a balance."""
        with self._lock:
            is_there = self._lock.wait_for(lambda: self.balance_cents == cents, PATIENCE_S)
        assert is_there, f"{self.balance_cents} cents, waited for {cents}"

    def retry(self) -> None:
        """Say hello again if entries have waited too long."""
        with self._lock:
            if self.pending and time.monotonic() - self._moved_s > self._retry_s:
                self._retry_s *= 2
                self.hello()

    def hello(self) -> None:
        with self._lock:
            self._moved_s = time.monotonic()
            self._is_answered = False
            self._claimed = self.acked
            self._nonce = f"{self.epoch}-{next(self._numbers)}"
            self._publish(
                "hello",
                {
                    "epoch": self.epoch,
                    "oldest": 1,
                    "last": len(self.entries),
                    "acked": self.acked,
                    "head": self._hashes[-1],
                    "acked_head": self._hashes[self.acked],
                    "generation": self._generation,
                    "position": self._position,
                    "software": "other",
                    "schema": 1,
                    "clock": "held",
                    "at": "2026-11-23T11:00:00.000Z",
                    "nonce": self._nonce,
                },
            )

    def _subscribe(self, *_: object) -> None:
        self._client.subscribe([(f"{self._topic}/changes", 1), (self._state, 1)])

    def _take(self, topic: str, message: dict[str, Any]) -> None:
        if topic != self._state:
            self._take_changes(message)
        elif message["online"]:
            self._retry_s = RETRY_S
            self.hello()

    def _take_changes(self, message: dict[str, Any]) -> None:
        with self._lock:
            self._compare(message)
            for record in message.get("records", ()):
                if (record["k"], record["id"]) == ("account", self.account):
                    self.balance_cents = record["balance"]
            if message["from"] <= self._position:
                self._position = max(self._position, message["to"])
            if message["acked"]["seq"] > self.acked:
                self.acked = message["acked"]["seq"]
                self._retry_s = RETRY_S
                self._moved_s = time.monotonic()
            if message.get("nonce") == self._nonce:
                self._is_answered = True
                self._sent = self.acked
            if message.get("more") and message["to"] > message["from"]:
                self.hello()
            self._send()
            self._lock.notify_all()

    def _compare(self, message: dict[str, Any]) -> None:
        """Keep what is wrong in a message in `faults`."""
        acked, generation = message["acked"], message["generation"]
        who = f"{self.town}/{self.name}"
        if self._generation not in (None, generation):
            self.faults.append(f"{who}: generation {generation} follows {self._generation}")
        self._generation = generation
        if acked["epoch"] != self.epoch or acked["seq"] > len(self.entries):
            self.faults.append(f"{who}: {acked} is acknowledged, and was never recorded")
        elif acked["hash"] != self._hashes[acked["seq"]]:
            self.faults.append(f"{who}: entry {acked['seq']} is acknowledged with another hash")
        # an answer may be late, but it was made after its hello
        if message.get("nonce") == self._nonce and acked["seq"] < self._claimed:
            self.faults.append(f"{who}: {self._claimed} was acknowledged, and now {acked['seq']}")

    def _send(self) -> None:
        if not self._is_answered:
            return
        while self._sent < len(self.entries):
            if self._sent - self.acked >= BATCHES_UNACKED_MAX * BATCH_ENTRIES_MAX:
                return
            batch = self.entries[self._sent : self._sent + BATCH_ENTRIES_MAX]
            self._publish(
                "entries",
                {"epoch": self.epoch, "prev": self._hashes[self._sent], "entries": batch},
            )
            self._sent += len(batch)

    def _publish(self, leaf: str, message: dict[str, Any]) -> None:
        self._client.publish(f"{self._topic}/{leaf}", json.dumps(message).encode(), qos=1)
