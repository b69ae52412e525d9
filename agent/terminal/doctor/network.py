"""The broker as the terminal reaches it: name, port, TLS, and the own certificate.

It connects and ends the connection before any MQTT: a second client of the terminal's name would
end the agent's own link. What the broker grants is what the running agent says.
"""

import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

from agent.errors import SyncError
from agent.sync.broker import WARN_DAYS, Address, Broker
from agent.sync.certificate import valid_until
from agent.sync.network_errors import of_connect
from agent.terminal.doctor.finding import Finding, fault, hidden, ok, warning
from agent.terminal.doctor.lines import BROKER_FILES, CENTRAL, ENROL, edit

CONNECT_S = 5.0
REFUSED_S = 0.5
"""A broker that refuses a certificate says so at once; one that accepts waits for us."""
_BROKER = "sudo systemctl restart mosquitto  # on the broker's machine; look at a firewall, too"
_NEW_AUTHORITY = f"{CENTRAL} ca init  # at the central, see docs/broker; then enrol every terminal"
_OTHER_NAME = frozenset({62, 64})  # OpenSSL's numbers of a failed verification


def look_at_broker(broker: Broker, config: Path) -> Iterator[Finding]:
    """Yield the findings, up to the first step that fails."""
    address = broker.address()
    sentence = broker.files_fault() or ""
    is_hidden = "Permission denied" in sentence
    if sentence and not is_hidden:
        yield fault("broker.tls", sentence, ENROL)
    try:
        socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        seen = f"the name {address.host} has no address: {error.strerror or error}"
        yield fault("broker.name", seen, edit(config, "url; or look at the network cable"))
        return
    yield ok("broker.name", f"{address.host} has an address")
    try:
        socket.create_connection((address.host, address.port), CONNECT_S).close()
    except OSError as error:
        seen = f"{address.host}:{address.port} takes no connection: {error.strerror or error}"
        yield fault("broker.port", seen, _BROKER)
        return
    yield ok("broker.port", f"{address.host}:{address.port} takes connections")
    if address.is_tls:
        yield from _certificate(broker)
        if is_hidden:
            files = broker.key_file or broker.password_file
            yield hidden("broker.tls", f"{files}: root and the agent may read it")
        elif not sentence:
            yield from _tls(broker, address, config)


def _certificate(broker: Broker) -> Iterator[Finding]:
    check, mend = "broker.certificate", "sudo systemctl start canteen-agent-renew"
    if broker.certificate_file is None:
        return
    if broker.certificate_file.exists() and not os.access(broker.certificate_file, os.R_OK):
        yield hidden(check, f"{broker.certificate_file}: root and the agent may read it")
    elif (sentence := broker.expired()) is not None:
        yield fault(check, sentence, ENROL)
    elif (sentence := broker.expires_soon()) is not None:
        yield warning(check, sentence, mend)
    elif _is_certificate(broker.certificate_file):
        yield ok(check, f"{broker.certificate_file} ends in more than {WARN_DAYS} days")


def _is_certificate(path: Path) -> bool:
    """Return whether a file has a certificate; if not, `broker.tls` has the sentence."""
    try:
        valid_until(path.read_text(encoding="ascii"))
    except (OSError, ValueError, SyncError):
        return False
    return True


def _tls(broker: Broker, address: Address, config: Path) -> Iterator[Finding]:
    error = _handshake(broker, address, is_strict=False)
    if error is not None:
        words = str(error) if isinstance(error, SyncError) else of_connect(error, address)
        yield fault("broker.tls", words, _tls_line(broker, error, config))
        return
    yield ok("broker.tls", "broker and terminal accept each other's certificates")
    strict = _handshake(broker, address, is_strict=True)
    if strict is None:
        yield ok("broker.strict", "the certificates pass the strict rules of Python 3.13")
    else:
        seen = f"Python 3.13, as in Debian 13, refuses these certificates: {strict}"
        yield warning("broker.strict", seen, _NEW_AUTHORITY)


def _tls_line(broker: Broker, error: Exception, config: Path) -> str:
    """Return what mends a handshake that failed: at this terminal, or at the broker."""
    words = str(error).upper().replace(" ", "_")
    name = isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _OTHER_NAME
    no_tls = isinstance(error, ConnectionError) or "WRONG_VERSION_NUMBER" in words
    if name or no_tls:
        return edit(config, "url: the name in the broker's certificate, and its port for TLS")
    if isinstance(error, ssl.SSLCertVerificationError) or "UNKNOWN_CA" in words:
        return f"{BROKER_FILES}; if it stays, here: sudo canteen-agent enrol CODE"
    if broker.certificate_file is None:
        return edit(config, "certificate_file and key_file of [broker]")
    if isinstance(error, SyncError) or "CERTIFICATE" in words:
        return ENROL  # files of this terminal that cannot be used, or that the broker refuses
    return BROKER_FILES


def _handshake(broker: Broker, address: Address, *, is_strict: bool) -> Exception | None:
    """Return why no connection with TLS can be made, None if it can."""
    try:
        context = broker.tls_context()
        if is_strict:
            context.verify_flags |= ssl.VERIFY_X509_STRICT
        with (
            socket.create_connection((address.host, address.port), CONNECT_S) as plain,
            context.wrap_socket(plain, server_hostname=address.host) as secured,
        ):
            secured.settimeout(CONNECT_S)
            # With TLS 1.3 a refused certificate of the client shows only in what is read next.
            secured.settimeout(REFUSED_S)
            if not secured.recv(1):
                return SyncError("the broker hangs up: it wants another certificate, or any")
    except TimeoutError:
        return None  # the broker waits for us: it accepted the certificate
    except (OSError, SyncError) as error:
        return error
    return None
