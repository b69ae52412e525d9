"""The broker as the terminal reaches it: name, port, TLS, and the own certificate.

It connects and ends the connection before any MQTT: a second client of the terminal's name would
end the agent's own link. What the broker grants is what the running agent says.
"""

import os
import socket
import ssl
from collections.abc import Iterator

from agent.errors import SyncError
from agent.sync.broker import WARN_DAYS, Address, Broker
from agent.sync.network_errors import of_connect
from agent.terminal.doctor.finding import Finding, fault, hidden, ok, warning

CONNECT_S = 5.0
REFUSED_S = 0.5
"""A broker that refuses a certificate says so at once; one that accepts waits for us."""
_CERTIFICATES = "on the central's machine: canteen-central broker-config; then restart the broker"


_FILES = "put that file there; or enrol again. At the central: canteen-central enrol new TERMINAL"


def look_at_broker(broker: Broker) -> Iterator[Finding]:
    """Yield the findings, up to the first step that fails."""
    address = broker.address()
    sentence = broker.files_fault() or ""
    is_hidden = "Permission denied" in sentence
    if sentence and not is_hidden:
        yield fault("broker.tls", sentence, _FILES)
    try:
        socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        seen = f"the name {address.host} has no address: {error.strerror or error}"
        yield fault("broker.name", seen, "look at the network cable, and at url in agent.toml")
        return
    yield ok("broker.name", f"{address.host} has an address")
    try:
        socket.create_connection((address.host, address.port), CONNECT_S).close()
    except OSError as error:
        seen = f"{address.host}:{address.port} takes no connection: {error.strerror or error}"
        yield fault("broker.port", seen, "look whether the broker runs, and at a firewall")
        return
    yield ok("broker.port", f"{address.host}:{address.port} takes connections")
    if address.is_tls:
        yield from _certificate(broker)
        if is_hidden:
            files = broker.key_file or broker.password_file
            yield hidden("broker.tls", f"{files}: root and the agent may read it")
        elif not sentence:
            yield from _tls(broker, address)


def _certificate(broker: Broker) -> Iterator[Finding]:
    check, mend = "broker.certificate", "sudo systemctl start canteen-agent-renew"
    if broker.certificate_file is None:
        return
    if broker.certificate_file.exists() and not os.access(broker.certificate_file, os.R_OK):
        yield hidden(check, f"{broker.certificate_file}: root and the agent may read it")
    elif (sentence := broker.expired()) is not None:
        code = "at the central: canteen-central enrol new TERMINAL; then: canteen-agent enrol CODE"
        yield fault(check, sentence, code)
    elif (sentence := broker.expires_soon()) is not None:
        yield warning(check, sentence, mend)
    else:
        yield ok(check, f"{broker.certificate_file} ends in more than {WARN_DAYS} days")


def _tls(broker: Broker, address: Address) -> Iterator[Finding]:
    error = _handshake(broker, address, is_strict=False)
    if error is not None:
        words = str(error) if isinstance(error, SyncError) else of_connect(error, address)
        yield fault("broker.tls", words, _CERTIFICATES)
        return
    yield ok("broker.tls", "broker and terminal accept each other's certificates")
    strict = _handshake(broker, address, is_strict=True)
    if strict is None:
        yield ok("broker.strict", "the certificates pass the strict rules of Python 3.13")
    else:
        seen = f"Python 3.13, as in Debian 13, refuses these certificates: {strict}"
        yield warning(
            "broker.strict", seen, "make new certificates: canteen-central ca init (docs/broker)"
        )


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
