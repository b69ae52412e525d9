"""The broker as a town runs it: TLS, a certificate per client, and the central's files for it."""

import queue
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from agent.central.enrolment.authority import load_authority
from agent.central.enrolment.broker_files import (
    BrokerPlace,
    access_list,
    write_broker_files,
)
from agent.sync.topics import Leaf, Topics
from tests.parts.broker import Mosquitto
from tests.parts.certificates import make_authority, make_client_certificate
from tests.parts.process import wait_for
from tests.parts.serial_line import SerialLine
from tests.parts.town import SITE, TOWN, Access, Central, Terminal

OTHER_TOWN = "valfiorita"
TAG = bytes.fromhex("010063e9ae")
NOT_AUTHORISED = 0x87
# Both mean that the broker took the message: with and without a subscriber.
ACCEPTED = (0, 0x10)


def context(pki: Path, identity: str | None) -> ssl.SSLContext:
    """Return a client's settings; Python 3.13's strict verification on every Python."""
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if identity is not None:
        own = pki / identity
        context.load_cert_chain(f"{own}.crt", f"{own}.key")
    return context


class Client:
    """An MQTT client with the certificate of `identity`. It records what the broker answers."""

    def __init__(self, pki: Path, port: int, identity: str | None, *, client_id: str = "") -> None:
        self.answers: queue.Queue[int] = queue.Queue()
        self.received: list[str] = []
        self.connections: list[str] = []
        self.ended = threading.Event()
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=paho.MQTTv5,
            reconnect_on_failure=False,
        )
        client.tls_set_context(context(pki, identity))
        client.on_subscribe = lambda _c, _d, _m, reasons, _p: self.answers.put(reasons[0].value)
        client.on_publish = lambda _c, _d, _m, reason, _p: self.answers.put(reason.value)
        client.on_connect = lambda _c, _d, _f, reason, _p: self.connections.append(str(reason))
        client.on_disconnect = lambda *_: self.ended.set()
        client.on_message = lambda _c, _d, message: self.received.append(message.topic)
        client.connect("127.0.0.1", port)
        client.loop_start()
        self.client = client

    def subscribe(self, topic: str) -> int:
        self.client.subscribe(topic, 1)
        return self.answers.get(timeout=10)

    def publish(self, topic: str) -> int:
        self.client.publish(topic, b"{}", qos=1)
        return self.answers.get(timeout=10)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    """A folder with the certificates of two towns."""
    folder = tmp_path / "pki"
    folder.mkdir()
    make_authority(folder, "Two towns")
    for town in (TOWN, OTHER_TOWN):
        for identity in (f"{town}/central", f"{town}/t/t-1", f"{town}/t/t-2"):
            make_client_certificate(folder, identity)
    return folder


@pytest.fixture
def broker(pki: Path, tmp_path: Path) -> Iterator[Mosquitto]:
    """A mosquitto with the settings that a central writes, for two towns."""
    (tmp_path / "conf.d").mkdir()
    place = BrokerPlace(
        settings=tmp_path / "conf.d",
        host="127.0.0.1",
        port=1,
        user=None,
        installed_as=tmp_path / "conf.d",
    )
    authority, now = load_authority(pki), datetime.now(UTC)
    none = authority.revocations([], now)
    *_, settings = write_broker_files(place, authority, TOWN, none, now)
    (place.folder / "acl").write_text(access_list([TOWN, OTHER_TOWN]), encoding="utf-8")
    extra = settings.read_text(encoding="utf-8").replace("listener 1\n", "")
    with Mosquitto(tmp_path / "broker", extra=extra) as mosquitto:
        yield mosquitto


class Town:
    """A central with one account, and one terminal with a 125 kHz reader."""

    def __init__(self, folder: Path, access: Access, terminal: str) -> None:
        self.central = Central(folder / "central", access)
        (folder / "roster.csv").write_text(
            f"account,site,prices,cards\na-1,primaria,lunch 2026-01-01 3.66,em:{TAG.hex()}\n",
            encoding="utf-8",
        )
        self.central.serve_lunch_all_day()
        self.central.office("import-roster", folder / "roster.csv")
        self.central.office("terminals", "add", terminal, SITE)
        self.line = SerialLine(folder / "reader")
        self.line.plug()
        reader = f'[[reader]]\nname = "counter"\nprofile = "rdm6300"\nport = "{self.line.path}"\n'
        key = self.central.card_key
        self.terminal = Terminal(folder / "terminal", terminal, access, key, reader)

    def start(self) -> None:
        self.central.start()
        self.terminal.start()
        wait_for(self.terminal.answers, "the agent answering")
        wait_for(lambda: self.terminal.balance("a-1") == 0, "the roster")
        wait_for(lambda: self.terminal.status()["readers"]["counter"] == "ready", "the reader")

    def eat(self) -> None:
        """Serve one meal, and wait until the central has booked it."""
        self.line.hold(TAG)
        wait_for(lambda: self.central.balance("a-1") == -366, "the meal at the central")

    def pay(self, euro: str) -> None:
        """Top up after the meal, and wait until the terminal has the top-up."""
        self.central.office("credit", "a-1", euro, "--id", "r-1")
        after = round(float(euro) * 100) - 366
        wait_for(lambda: self.terminal.balance("a-1") == after, "the top-up at the terminal")

    def stop(self) -> None:
        if self.terminal.process is not None:
            self.terminal.stop()
        self.central.stop()
        self.line.unplug()


def test_a_meal_and_a_top_up_are_replicated_over_tls(
    pki: Path, broker: Mosquitto, tmp_path: Path
) -> None:
    access = Access(f"mqtts://127.0.0.1:{broker.port}", TOWN, pki)
    with ExitStack() as stack:
        town = Town(tmp_path, access, "t-1")
        stack.callback(town.stop)
        town.start()
        town.eat()
        town.pay("20.00")
        assert town.terminal.stop() == 0


def _eat_and_pay_in_two_towns(folder: Path, accesses: list[Access]) -> None:
    with ExitStack() as stack:
        towns = []
        for access in accesses:
            (folder / access.town).mkdir()
            town = Town(folder / access.town, access, "t-1")
            stack.callback(town.stop)
            towns.append(town)
        for town in towns:
            town.start()
        towns[0].eat()
        towns[1].eat()
        towns[0].pay("20.00")
        towns[1].pay("30.00")
        for town in towns:
            assert town.central.rows("SELECT count(*) FROM entry WHERE kind = 'meal'") == [(1,)]
            assert town.terminal.stop() == 0


def _connections(broker: Mosquitto) -> list[str]:
    """Return the client id of each connection in the broker's log, in order of the ids."""
    lines = broker.process.output().splitlines()
    ids = [line.partition(" as ")[2].split()[0] for line in lines if "New client connected" in line]
    return sorted(ids)


IDENTITIES = [
    f"{TOWN}/central",
    f"{TOWN}/t/t-1",
    f"{OTHER_TOWN}/central",
    f"{OTHER_TOWN}/t/t-1",
]


def test_two_towns_with_one_terminal_name_share_a_broker_over_tls(
    pki: Path, broker: Mosquitto, tmp_path: Path
) -> None:
    url = f"mqtts://127.0.0.1:{broker.port}"
    with ExitStack() as stack:
        spies = [Client(pki, broker.port, f"{town}/t/t-2") for town in (TOWN, OTHER_TOWN)]
        for spy in spies:
            stack.callback(spy.close)
            spy.subscribe("canteen/v1/#")
        accesses = [Access(url, town, pki) for town in (TOWN, OTHER_TOWN)]
        _eat_and_pay_in_two_towns(tmp_path, accesses)
        both = {Topics(TOWN).central_state, Topics(OTHER_TOWN).central_state}
        for spy in spies:
            assert set(spy.received) == both
    connected = _connections(broker)
    assert [one for one in connected if not one.endswith("/t-2")] == IDENTITIES


def test_two_towns_with_one_terminal_name_share_a_broker_without_certificates(
    tmp_path: Path,
) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        accesses = [Access(broker.url, town) for town in (TOWN, OTHER_TOWN)]
        _eat_and_pay_in_two_towns(tmp_path, accesses)
        assert [one for one in _connections(broker) if one.startswith((TOWN, OTHER_TOWN))] == (
            IDENTITIES
        )


# C3
@pytest.mark.parametrize("intruder", [f"{TOWN}/t/t-2", f"{OTHER_TOWN}/t/t-1"])
def test_a_terminal_cannot_read_or_write_the_topics_of_another(
    pki: Path, broker: Mosquitto, intruder: str
) -> None:
    topics = Topics(TOWN)
    changes = topics.of("t-1", Leaf.CHANGES)
    with ExitStack() as stack:
        thief, owner, central = (
            Client(pki, broker.port, identity)
            for identity in (intruder, f"{TOWN}/t/t-1", f"{TOWN}/central")
        )
        for client in (thief, owner, central):
            stack.callback(client.close)
        assert owner.subscribe(changes) == 1
        thief.subscribe(changes)
        thief.subscribe("canteen/v1/#")
        for leaf in (Leaf.HELLO, Leaf.ENTRIES, Leaf.STATE, Leaf.CHANGES):
            assert thief.publish(topics.of("t-1", leaf)) == NOT_AUTHORISED
            assert thief.publish(f"canteen/v1/{intruder}/{leaf}") == (
                NOT_AUTHORISED if leaf is Leaf.CHANGES else 0
            )
        assert thief.publish(topics.central_state) == NOT_AUTHORISED
        assert central.publish(changes) in ACCEPTED
        wait_for(lambda: owner.received == [changes], "the changes at their owner")
        assert central.publish(topics.central_state) in ACCEPTED
        wait_for(lambda: topics.central_state in thief.received, "the central's state")
        assert changes not in thief.received


def test_a_central_cannot_read_or_write_the_topics_of_another_town(
    pki: Path, broker: Mosquitto
) -> None:
    topics = Topics(TOWN)
    with ExitStack() as stack:
        central, terminal = (
            Client(pki, broker.port, identity)
            for identity in (f"{OTHER_TOWN}/central", f"{TOWN}/t/t-1")
        )
        for client in (central, terminal):
            stack.callback(client.close)
        for topic in (*topics.read_by_central(), "canteen/v1/#"):
            central.subscribe(topic)
        assert central.publish(topics.of("t-1", Leaf.CHANGES)) == NOT_AUTHORISED
        assert central.publish(topics.central_state) == NOT_AUTHORISED
        for leaf in (Leaf.HELLO, Leaf.ENTRIES, Leaf.STATE):
            assert terminal.publish(topics.of("t-1", leaf)) in ACCEPTED
        own = Topics(OTHER_TOWN).central_state
        assert central.publish(own) in ACCEPTED
        wait_for(lambda: central.received, "the central's own state")
        assert central.received == [own]


# C2
def test_a_client_cannot_take_the_client_id_of_another(pki: Path, broker: Mosquitto) -> None:
    with ExitStack() as stack:
        owner = Client(pki, broker.port, f"{TOWN}/t/t-1", client_id=f"{TOWN}/t/t-1")
        stack.callback(owner.close)
        wait_for(lambda: owner.connections, "the owner's connection")
        thief = Client(pki, broker.port, f"{TOWN}/t/t-2", client_id=f"{TOWN}/t/t-1")
        stack.callback(thief.close)
        wait_for(lambda: thief.connections, "the thief's connection")
        assert owner.publish(Topics(TOWN).of("t-1", Leaf.HELLO)) in ACCEPTED
        assert not owner.ended.is_set()


def test_a_client_without_a_certificate_cannot_connect(pki: Path, broker: Mosquitto) -> None:
    try:
        stranger = Client(pki, broker.port, None)
    except OSError:
        # The broker refused within connect().
        return
    wait_for(stranger.ended.is_set, "the refusal")
    assert stranger.connections == []
    stranger.close()
