"""The broker as a town runs it: TLS, a client certificate per terminal, and the access list of docs/broker."""

import queue
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.parts.broker import Mosquitto
from tests.parts.process import ROOT, require, wait_for
from tests.parts.serial_line import SerialLine
from tests.parts.town import SITE, TOWN, Central, Terminal

NOT_AUTHORISED = 0x87


@dataclass
class Authority:
    """A town's own certificate authority, made by openssl."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=town-ca",
                     "-keyout", "ca.key", "-out", "ca.crt")  # fmt: skip

    def issue(self, name: str, extension: str = "") -> None:
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                     "-keyout", f"{name}.key", "-out", f"{name}.csr")  # fmt: skip
        (self.folder / "ext").write_text(extension, encoding="ascii")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                     "-extfile", "ext", "-out", f"{name}.crt")  # fmt: skip

    def openssl(self, *words: str) -> None:
        subprocess.run(
            [require("openssl"), *words], cwd=self.folder, check=True, capture_output=True
        )


class Client:
    """A client with some terminal's certificate that tries what it may not."""

    def __init__(self, authority: Authority, port: int, name: str | None) -> None:
        self.answers: queue.Queue[int] = queue.Queue()
        self.heard: list[str] = []
        self.welcomed: list[str] = []
        self.ended = threading.Event()
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"try-{name}", protocol=paho.MQTTv5
        )
        context = ssl.create_default_context(cafile=str(authority.folder / "ca.crt"))
        if name is not None:
            context.load_cert_chain(
                authority.folder / f"{name}.crt", authority.folder / f"{name}.key"
            )
        client.tls_set_context(context)
        client.on_subscribe = lambda client, data, mid, reasons, properties: self.answers.put(
            reasons[0].value
        )
        client.on_publish = lambda client, data, mid, reason, properties: self.answers.put(
            reason.value
        )
        client.on_connect = lambda client, data, flags, reason, properties: self.welcomed.append(
            str(reason)
        )
        client.on_disconnect = lambda *_: self.ended.set()
        client.on_message = lambda client, data, message: self.heard.append(message.topic)
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
def authority(tmp_path: Path) -> Authority:
    authority = Authority(tmp_path / "ca")
    authority.issue("broker", "subjectAltName=IP:127.0.0.1")
    for name in ("central", "t-1", "t-2"):
        authority.issue(name)
    return authority


@pytest.fixture
def broker(authority: Authority, tmp_path: Path) -> Iterator[Mosquitto]:
    settings = (ROOT / "docs" / "broker" / "mosquitto.conf").read_text(encoding="utf-8")
    shutil.copy(ROOT / "docs" / "broker" / "acl", authority.folder / "acl")
    (authority.folder / "acl").chmod(0o644)
    for word in ("ca.crt", "broker.crt", "broker.key", "acl"):
        settings = settings.replace(f" {word}\n", f" {authority.folder / word}\n")
    with Mosquitto(tmp_path / "broker", extra=settings) as mosquitto:
        yield mosquitto


def topic(terminal: str, leaf: str) -> str:
    return f"canteen/v1/{TOWN}/t/{terminal}/{leaf}"


def test_a_meal_and_a_top_up_go_through_tls_with_client_certificates(
    authority: Authority, broker: Mosquitto, tmp_path: Path
) -> None:
    url = f"mqtts://127.0.0.1:{broker.port}"
    pki = authority.folder
    central = Central(
        tmp_path / "central", url, "--ca", pki / "ca.crt", "--certificate", pki / "central.crt", "--key", pki / "central.key"
    )  # fmt: skip
    (tmp_path / "roster.csv").write_text(
        "account,site,prices,cards\na-1,primaria,lunch 2026-01-01 3.66,em:010063e9ae\n",
        encoding="utf-8",
    )
    central.office("import-roster", tmp_path / "roster.csv")
    central.office(
        "service", SITE, "lunch", "--opens", "00:00", "--closes", "23:59", "--weekdays", "1234567"
    )
    central.office("terminals", "add", "t-1", SITE)
    line = SerialLine(tmp_path / "reader")
    line.plug()
    reader = f'[[reader]]\nname = "counter"\nprofile = "rdm6300"\nport = "{line.path}"\n'
    extra = f'ca_file = "{pki}/ca.crt"\ncertificate_file = "{pki}/t-1.crt"\nkey_file = "{pki}/t-1.key"\n'
    terminal = Terminal(
        tmp_path / "t-1",
        "t-1",
        url,
        tmp_path / "central" / "central.db.card-key",
        extra + reader,
    )
    central.start()
    terminal.start()
    wait_for(terminal.answers, "the agent answering")
    wait_for(lambda: terminal.balance("a-1") == 0, "the roster")
    wait_for(lambda: terminal.status()["readers"]["counter"] == "ready", "the reader")
    line.hold(bytes.fromhex("010063e9ae"))
    wait_for(lambda: central.balance("a-1") == -366, "the meal at the central")
    central.office("credit", "a-1", "20.00", "--id", "r-1")
    wait_for(lambda: terminal.balance("a-1") == 2_000 - 366, "the top-up at the terminal")
    assert terminal.stop() == 0
    central.stop()
    line.unplug()


def test_a_terminal_can_neither_read_nor_write_another_ones_topics(
    authority: Authority, broker: Mosquitto
) -> None:
    thief = Client(authority, broker.port, "t-2")
    own = Client(authority, broker.port, "t-1")
    assert own.subscribe(topic("t-1", "changes")) == 1
    thief.subscribe(topic("t-1", "changes"))
    thief.subscribe("canteen/v1/#")
    for leaf in ("hello", "entries", "state"):
        assert thief.publish(topic("t-1", leaf)) == NOT_AUTHORISED
        assert thief.publish(topic("t-2", leaf)) in (0, 0x10)
    assert thief.publish(topic("t-1", "changes")) == NOT_AUTHORISED
    assert thief.publish(f"canteen/v1/{TOWN}/central/state") == NOT_AUTHORISED
    central = Client(authority, broker.port, "central")
    assert central.publish(topic("t-1", "changes")) == 0
    wait_for(lambda: own.heard == [topic("t-1", "changes")], "the rightful reader")
    assert central.publish(topic("t-2", "changes")) in (0, 0x10)
    assert own.heard == [topic("t-1", "changes")] and topic("t-1", "changes") not in thief.heard
    for client in (thief, own, central):
        client.close()


def test_without_a_certificate_nobody_comes_in(authority: Authority, broker: Mosquitto) -> None:
    try:
        stranger = Client(authority, broker.port, None)
    except OSError:
        return  # refused within connect()
    wait_for(lambda: stranger.client._thread is None or stranger.ended.is_set(), "the refusal")
    assert stranger.welcomed == []
    stranger.close()
