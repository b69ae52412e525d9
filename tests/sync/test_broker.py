"""How a broker is reached: the url, and files that are read at each connection."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.errors import ConfigError, SyncError
from agent.sync.broker import PASSWORD_BYTES_MAX, WARN_DAYS, Broker
from tests.parts.certificates import make_authority, make_client_certificate


@pytest.mark.parametrize(
    "url", ["http://host", "mqtt://", "host:1883", "mqtt://host:port", "mqtt://host/path"]
)
def test_a_wrong_broker_url_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(ConfigError, match="broker url"):
        Broker(url=url).address()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mqtt://host", ("host", 1883, False)),
        ("mqtts://host", ("host", 8883, True)),
        ("mqtts://host:1", ("host", 1, True)),
    ],
)
def test_a_broker_url_gives_host_port_and_tls(url: str, address: tuple[object, ...]) -> None:
    assert Broker(url=url).address() == address


def test_a_password_in_the_url_is_refused_with_the_lines_to_write_and_never_shown() -> None:
    with pytest.raises(ConfigError) as raised:
        Broker(url="mqtt://canteen:hush@host").check()
    words = str(raised.value)
    assert 'username = "NAME"' in words and 'password_file = "FILE"' in words
    assert "--password-file" in words and "hush" not in words


@pytest.mark.parametrize(
    ("broker", "words"),
    [
        (Broker(url="mqtt://h", ca_file=Path("ca")), "write mqtts://"),
        (Broker(url="mqtts://h", key_file=Path("k")), "go together"),
        (Broker(url="mqtt://h", password_file=Path("p")), "needs username"),
        (Broker(url="mqtt://h", username=""), "username is empty"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(broker: Broker, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        broker.check()


def test_a_password_is_read_each_time_and_without_its_lines_end(tmp_path: Path) -> None:
    file = tmp_path / "password"
    broker = Broker(url="mqtt://h", username="canteen", password_file=file)
    for text in ("first\n", "second\r\n", " third "):
        file.write_bytes(text.encode())
        assert broker.password() == text.rstrip("\r\n")
    assert Broker(url="mqtt://h", username="canteen").password() is None


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff", b"x" * (PASSWORD_BYTES_MAX + 1)])
def test_a_password_file_that_cannot_be_used_has_a_sentence(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    broker = Broker(url="mqtt://h", username="canteen", password_file=file)
    with pytest.raises(SyncError, match=str(file)):
        broker.password()


def test_files_that_are_no_certificates_have_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("no certificate", encoding="ascii")
    bad, url = tmp_path / "bad.pem", "mqtts://host"
    with pytest.raises(SyncError, match="as the CA's certificate"):
        Broker(url=url, ca_file=bad).tls_context()
    with pytest.raises(SyncError, match="as certificate and key"):
        Broker(url=url, certificate_file=bad, key_file=bad).tls_context()


def test_an_own_certificate_that_has_ended_is_named(tmp_path: Path) -> None:
    make_authority(tmp_path, "A town")
    make_client_certificate(tmp_path, "borgofiorito/t/t-1", days=10)
    own = tmp_path / "borgofiorito" / "t"
    broker = Broker(url="mqtts://host", certificate_file=own / "t-1.crt", key_file=own / "t-1.key")
    assert broker.expired() is None
    sentence = broker.expired(datetime.now(UTC) + timedelta(days=11))
    assert sentence is not None and f"{own / 't-1.crt'} ended on 20" in sentence
    assert broker.expires_soon() is not None
    assert broker.expires_soon(datetime.now(UTC) - timedelta(days=WARN_DAYS - 9)) is None
    assert broker.expires_soon(datetime.now(UTC) + timedelta(days=11)) is None
    assert Broker(url="mqtt://host").expired() is None
    assert Broker(url="mqtt://host").expires_soon() is None
