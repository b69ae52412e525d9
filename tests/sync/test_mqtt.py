"""One connection: the limits that a broker announces are obeyed, and what it denies has words.

With a real mosquitto where it enforces the limit, and a proxy that knows packets where it does not.
"""

import contextlib
import socket
import ssl
import subprocess
import threading
from collections import deque
from pathlib import Path

import pytest

from agent.sync.broker import Broker
from agent.sync.events import Arrived, Denied, LinkDown, Taken
from agent.sync.mqtt import SEND_MAX
from tests.parts.broker import Listener, Mosquitto
from tests.parts.certificates import make_authority, make_broker_certificate
from tests.parts.links import Reported, message
from tests.parts.packets import Kind, Packet, PacketProxy, denial
from tests.parts.process import require, wait_for

ANYBODY = "allow_anonymous true"


@pytest.mark.parametrize(
    ("settings", "limit"), [("max_inflight_messages 2", 2), ("max_inflight_messages 100", SEND_MAX)]
)
def test_never_more_messages_are_in_flight_than_the_broker_takes(
    tmp_path: Path, settings: str, limit: int
) -> None:
    held: deque[Packet] = deque()

    def hold(packet: Packet) -> bytes:
        if packet.kind != Kind.PUBACK:
            return packet.raw
        held.append(packet)
        return b""

    extra = f"{ANYBODY}\n{settings}"
    with (
        Mosquitto(tmp_path / "broker", extra=extra) as broker,
        PacketProxy(broker.port) as proxy,
        Reported(Broker(url=proxy.url)) as own,
    ):
        own.up()
        proxy.down = hold
        count = limit + 5
        for n in range(count):
            assert own.link.publish(message(b"%d" % n))
        for released in range(5):
            wait_for(lambda: len(held) == limit, "acknowledgements of all in flight")
            assert proxy.count(Kind.PUBLISH) == limit + released
            proxy.send_to_client(held.popleft().raw)
        wait_for(lambda: proxy.count(Kind.PUBLISH) == count, "the last message")


def test_a_message_is_acknowledged_only_when_its_owner_has_it_on_the_disk(
    tmp_path: Path,
) -> None:
    with (
        Mosquitto(tmp_path / "broker", extra=ANYBODY) as broker,
        PacketProxy(broker.port) as proxy,
        Reported(Broker(url=proxy.url)) as own,
        Reported(Broker(url=broker.url), "sender") as other,
    ):
        own.up()
        other.up()
        for payload in (b"first", b"second"):
            assert other.link.publish(message(payload, "in/a"))
        first, second = own.next(Arrived), own.next(Arrived)
        # an answer to what was published after both: an acknowledgement would have come before
        assert own.link.publish(message(b"after both"))
        wait_for(lambda: proxy.count(Kind.PUBLISH) == 1, "the message that this link sent")
        assert (first.payload, proxy.count(Kind.PUBACK)) == (b"first", 0)
        own.link.ack(first.receipt)
        wait_for(lambda: proxy.count(Kind.PUBACK) == 1, "the acknowledgement of the first")
        own.link.ack(second.receipt)
        wait_for(lambda: proxy.count(Kind.PUBACK) == 2, "the acknowledgement of the second")


def test_a_message_above_the_brokers_packet_size_is_reported_and_the_link_stays(
    tmp_path: Path,
) -> None:
    extra = f"{ANYBODY}\nmax_packet_size 16000"
    with (
        Mosquitto(tmp_path / "broker", extra=extra) as broker,
        Listener(broker.port, "out/#") as other,
        Reported(Broker(url=broker.url)) as own,
    ):
        limits = own.up().limits
        assert limits.packet_bytes == 16_000
        largest = limits.payload_bytes("out/a")
        assert not own.link.publish(message(b"x" * (largest + 1)))
        denied = own.next(Denied)
        assert denied.topic == "out/a"
        assert f"too large for the broker, which takes {largest}" in denied.reason
        assert "max_packet_size" in denied.reason
        assert own.link.publish(message(b"x" * largest))
        wait_for(lambda: other.on("a") == [b"x" * largest], "the largest message")
        own.next(Taken)
        assert own.events.empty()


def test_a_broker_without_qos_1_gets_messages_with_qos_0(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path / "broker", extra=f"{ANYBODY}\nmax_qos 0") as broker,
        Listener(broker.port, "out/#") as other,
        Reported(Broker(url=broker.url)) as own,
    ):
        assert own.up().limits.qos == 0
        assert own.link.publish(message(b"1"))
        wait_for(lambda: other.on("a") == [b"1"], "the message")


def test_a_broker_without_retained_messages_is_used_without_them(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path / "broker", extra=f"{ANYBODY}\nretain_available false") as broker,
        Listener(broker.port, "out/#") as other,
        Reported(Broker(url=broker.url)) as own,
    ):
        assert not own.up().limits.retains
        assert own.link.publish(message(b"1", retain=True))
        wait_for(lambda: other.on("a") == [b"1"], "the message")
        connection = own.link._connection
        assert connection is not None and connection._paho is not None
        connection._paho._sock_close()  # as a pulled plug
        wait_for(lambda: other.on("state") == [b"gone"], "the last will")
        own.up()


def test_the_keep_alive_of_the_broker_is_used(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path / "broker", extra=f"{ANYBODY}\nmax_keepalive 10") as broker,
        Reported(Broker(url=broker.url)) as own,
    ):
        own.up()
        connection = own.link._connection
        assert connection is not None and connection._paho is not None
        assert connection._paho._keepalive == 10


def test_what_the_access_list_denies_is_reported_in_words_until_it_is_taken(
    tmp_path: Path,
) -> None:
    access = tmp_path / "acl"
    access.write_text("topic read in/#\n", encoding="ascii")
    extra = f"{ANYBODY}\nacl_file {access}"
    with (
        Mosquitto(tmp_path / "broker", extra=extra) as broker,
        Reported(Broker(url=broker.url)) as own,
    ):
        own.up()
        for _ in range(3):
            assert own.link.publish(message(b"1"))
        denied = own.next(Denied)
        assert denied.reason.startswith("the broker denies to publish 'a': not authorised (135")
        assert "docs/broker" in denied.reason
        broker.stop()
        assert isinstance(own.events.get(timeout=20), LinkDown)  # three denials are one report


def test_an_acknowledgement_that_denies_one_message_ends_with_the_next_that_does_not(
    tmp_path: Path,
) -> None:
    with (
        Mosquitto(tmp_path / "broker", extra=ANYBODY) as broker,
        PacketProxy(broker.port) as proxy,
        Reported(Broker(url=proxy.url)) as own,
    ):
        own.up()
        proxy.down = lambda packet: (
            denial(packet, 151) if packet.kind == Kind.PUBACK else packet.raw
        )
        own.link.publish(message(b"1"))
        assert "quota of the broker is used up (151)" in own.next(Denied).reason
        proxy.down = lambda packet: packet.raw
        own.link.publish(message(b"2"))
        assert own.next(Taken).topic == "out/a"


def test_a_subscription_that_is_denied_is_a_reason_with_the_topic(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path / "broker", extra=ANYBODY) as broker,
        PacketProxy(broker.port) as proxy,
    ):
        proxy.down = lambda packet: (
            packet.raw[:-1] + bytes([135]) if packet.kind == Kind.SUBACK else packet.raw
        )
        with Reported(Broker(url=proxy.url)) as own:
            reason = own.down().reason
            assert reason.startswith("no permission to read in/#: not authorised (135)")
            proxy.down = lambda packet: packet.raw
            own.up()


def test_a_wrong_password_has_words_and_a_corrected_file_is_read(tmp_path: Path) -> None:
    accounts, own_file = tmp_path / "accounts", tmp_path / "password"
    command = [require("mosquitto_passwd"), "-b", "-c", str(accounts), "canteen", "correct"]
    subprocess.run(command, check=True, timeout=30)
    own_file.write_text("wrong\n", encoding="ascii")
    extra = f"allow_anonymous false\npassword_file {accounts}"
    with Mosquitto(tmp_path / "broker", extra=extra) as broker:
        access = Broker(url=broker.url, username="canteen", password_file=own_file)
        with Reported(access) as own:
            reason = own.down().reason
            assert "(134)" in reason or "(135)" in reason
            assert "wrong\n" not in reason and "correct" not in reason
            own_file.write_text("correct\n", encoding="ascii")
            own.up()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (139, "shutting down (139)"),
        (142, "another client connected with this identity (142)"),
        (149, "too large for the broker (149)"),
    ],
)
def test_the_reason_of_a_disconnection_has_words(tmp_path: Path, code: int, words: str) -> None:
    with (
        Mosquitto(tmp_path / "broker", extra=ANYBODY) as broker,
        PacketProxy(broker.port) as proxy,
        Reported(Broker(url=proxy.url)) as own,
    ):
        own.up()
        proxy.send_to_client(bytes([Kind.DISCONNECT << 4, 2, code, 0]))
        down = own.down()
        assert words in down.reason and down.is_takeover == (code == 142)


@pytest.mark.parametrize("retains", [True, False])
def test_a_broker_that_knows_only_3_1_1_is_reached_with_it(tmp_path: Path, retains: bool) -> None:
    """Without retained messages it hangs up on the last will, and names no reason."""

    def hang_up_on_5(packet: Packet) -> bytes | None:
        is_5 = packet.kind == Kind.CONNECT and packet.body[6] == 5
        return None if is_5 else packet.raw

    extra = f"{ANYBODY}\nretain_available {str(retains).lower()}"
    with (
        Mosquitto(tmp_path / "broker", extra=extra) as broker,
        PacketProxy(broker.port) as proxy,
        Listener(broker.port, "out/#") as other,
    ):
        proxy.up = hang_up_on_5
        with Reported(Broker(url=proxy.url)) as own:
            assert "hangs up without an answer" in own.down().reason
            limits = own.up().limits
            assert (limits.version, limits.retains) == (4, retains)
            assert own.link.publish(message(b"1", retain=True))
            wait_for(lambda: other.on("a") == [b"1"], "the message")


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    make_authority(tmp_path, "A town")
    make_broker_certificate(tmp_path)
    return tmp_path


def test_a_broker_that_wants_a_certificate_is_a_reason(pki: Path) -> None:
    """mosquitto hangs up after the handshake of TLS 1.3, and names no reason."""
    settings = f"{ANYBODY}\nrequire_certificate true\ncafile {pki}/ca.crt\n"
    settings += f"certfile {pki}/broker.crt\nkeyfile {pki}/broker.key"
    with Mosquitto(pki / "broker", extra=settings) as broker:
        url = f"mqtts://127.0.0.1:{broker.port}"
        with Reported(Broker(url=url, ca_file=pki / "ca.crt")) as own:
            assert "write certificate_file and key_file" in own.down().reason
        with Reported(Broker(url=url)) as stranger:
            assert "an authority that ca_file does not hold" in stranger.down().reason


def test_a_broker_whose_certificate_is_for_another_name_is_not_spoken_to(pki: Path) -> None:
    """Its authority is the town's own. Terminal and central connect with this link."""
    for file in pki.glob("broker.*"):
        file.unlink()
    make_broker_certificate(pki, "broker.elsewhere.example")
    settings = f"{ANYBODY}\ncertfile {pki}/broker.crt\nkeyfile {pki}/broker.key"
    with Mosquitto(pki / "broker", extra=settings) as broker:
        url = f"mqtts://127.0.0.1:{broker.port}"
        with Reported(Broker(url=url, ca_file=pki / "ca.crt")) as own:
            assert "is for another address" in own.down().reason


def test_an_alert_of_tls_is_a_reason_and_no_sign_of_another_mqtt_version(pki: Path) -> None:
    """A far end that sends the alert: Python's own TLS, which wants a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "broker.crt", pki / "broker.key")
    context.load_verify_locations(pki / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED

    def refuse(listener: socket.socket) -> None:
        near, _ = listener.accept()
        rest = near.dup()  # read to its end: a reset would overtake the alert
        with rest, contextlib.suppress(OSError):
            tls = context.wrap_socket(near, server_side=True, do_handshake_on_connect=False)
            with tls, contextlib.suppress(ssl.SSLError):
                tls.do_handshake()
            while rest.recv(4_096):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        far_end = threading.Thread(target=refuse, args=(listener,))
        far_end.start()
        url = f"mqtts://127.0.0.1:{listener.getsockname()[1]}"
        with Reported(Broker(url=url, ca_file=pki / "ca.crt")) as own:
            assert own.down().reason.startswith("the broker wants a certificate")
            assert own.link._dialects.present(0.0).is_version_5
        far_end.join(10)
