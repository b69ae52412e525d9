"""Errors of sockets and TLS in words: from real sockets where one can be had."""

import errno
import socket
import ssl

import pytest

from agent.sync.broker import Address
from agent.sync.network_errors import of_connect, of_text
from tests.parts.broker import free_port

PLACE = Address("broker.example", 8883, True)


def error_of(host: str, port: int) -> OSError:
    with pytest.raises(OSError) as raised:
        socket.create_connection((host, port), timeout=5)
    assert isinstance(raised.value, OSError)
    return raised.value


def test_a_name_that_does_not_resolve_is_named() -> None:
    error = error_of("no-such-broker.invalid", 8883)
    words = of_connect(error, Address("no-such-broker.invalid", 8883, True))
    assert words.startswith("the name no-such-broker.invalid does not resolve")
    assert "DNS" in words


def test_a_port_without_a_broker_is_named() -> None:
    port = free_port()
    words = of_connect(error_of("127.0.0.1", port), Address("127.0.0.1", port, False))
    assert words.startswith(f"broker 127.0.0.1:{port}: nothing listens there")


def verification(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "failed")
    error.verify_code, error.verify_message = code, "what OpenSSL says"
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "no answer"),
        (ConnectionResetError(), "hangs up at once"),
        (OSError(errno.ENETUNREACH, "unreachable"), "no route there"),
        (OSError(errno.EPERM, "not permitted"), "not reached: ?Errno 1? not permitted"),
        (verification(10), "the broker's certificate has expired"),
        (verification(9), "not valid yet"),
        (verification(20), "ca_file does not hold"),
        (verification(62), "for another name"),
        (verification(1), "its certificate is refused: what OpenSSL says"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "speaks no TLS"),
        (ssl.SSLError(1, "[SSL: SOMETHING] else"), "TLS failed"),
    ],
)
def test_an_error_has_a_sentence_with_the_place(error: Exception, words: str) -> None:
    sentence = of_connect(error, PLACE)
    assert sentence.startswith("broker broker.example:8883: ")
    assert words.replace("?", "") in sentence.replace("[", "").replace("]", "").replace("?", "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[SSL: SSLV3_ALERT_CERTIFICATE_EXPIRED] ssl/tls alert", "our certificate has expired"),
        ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert", "wants a certificate"),
        ("[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca", "does not know the authority"),
        ("[Errno 104] Connection reset by peer", None),
    ],
)
def test_an_alert_in_a_text_has_a_sentence(text: str, words: str | None) -> None:
    sentence = of_text(f"failed to receive on socket: {text}")
    assert (sentence is None) if words is None else (words in str(sentence))
