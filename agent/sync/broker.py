"""How a broker is reached: its address, and the files with certificates and password.

The files are read at each connection: a certificate that was renewed on the disk is used by the
next one, and a broken file is a reason in words for a link that is down. A password is never
logged.
"""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from agent.errors import ConfigError, SyncError
from agent.sync.certificate import valid_until

PORTS = {"mqtt": 1883, "mqtts": 8883}
WARN_DAYS = 30  # before an own certificate ends
RENEW = "enrol again with a new code (canteen-central enrol new)"
PASSWORD_BYTES_MAX = 65_535  # the length field of MQTT


class _TlsSocket(ssl.SSLSocket):
    """A socket that is closed when its handshake fails: paho leaves it open."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


class Address(NamedTuple):
    """A broker's address."""

    host: str
    port: int
    is_tls: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """A broker's URL, the PEM files for it, all None for `mqtt://`, and a user, if it wants one."""

    url: str
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None

    def address(self) -> Address:
        """Return the address in the URL. Raise `ConfigError` if there is none."""
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ConfigError(f"broker url: {error}") from None
        if "@" in parts.netloc:
            # what it holds is not shown
            raise ConfigError(
                "broker url: holds a user name or a password; remove them from the url, and write"
                ' username = "NAME" and password_file = "FILE" into [broker]'
                " (central: --username NAME --password-file FILE)"
            )
        unused = parts.path.strip("/") or parts.query or parts.fragment
        if parts.scheme not in PORTS or not host or unused or port == 0:
            raise ConfigError(
                "broker url: write mqtts://host:8883, or mqtt://host:1883 without TLS;"
                " nothing else belongs into it"
            )
        return Address(host, port or PORTS[parts.scheme], parts.scheme == "mqtts")

    def check(self) -> Address:
        """Return the address. Raise `ConfigError` for parts that do not fit together."""
        address = self.address()
        if not address.is_tls and (self.ca_file or self.certificate_file or self.key_file):
            raise ConfigError(
                "certificates are given; write mqtts:// in the broker url, or remove them"
            )
        if (self.certificate_file is None) != (self.key_file is None):
            raise ConfigError(
                "certificate_file and key_file go together (central: --certificate, --key)"
            )
        if self.username == "":
            raise ConfigError("username is empty; write it, or remove it")
        if self.username is None and self.password_file is not None:
            raise ConfigError("password_file needs username (central: --username)")
        return address

    def tls_context(self) -> ssl.SSLContext:
        """Return a context of TLS 1.2 or newer with the CA and the certificate.

        Raise `SyncError` for files that cannot be used.
        """
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.sslsocket_class = _TlsSocket
        self._load(context)
        return context

    def files_fault(self) -> str | None:
        """Return why a connection could not be made with the files as they are now, or None."""
        try:
            self.password()
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        except SyncError as error:
            return str(error)
        return None

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            if self.ca_file is not None:
                context.load_verify_locations(self.ca_file)
        except (OSError, ValueError) as error:
            raise SyncError(
                f"{self.ca_file}: cannot be used as the CA's certificate: {error}; put the"
                " authority's file (ca.crt) there"
            ) from error
        try:
            if self.certificate_file is not None:
                # a key with a passphrase is an error, and not a question on the terminal
                context.load_cert_chain(self.certificate_file, self.key_file, password="")
        except (OSError, ValueError) as error:
            raise SyncError(
                f"{self.certificate_file}, {self.key_file}: cannot be used as certificate and key:"
                f" {error}; put a certificate and its key there (docs/broker)"
            ) from error

    def password(self) -> str | None:
        """Return the password without its line's end, None if there is none. Raise `SyncError`."""
        if self.password_file is None:
            return None
        try:
            text = self.password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise SyncError(
                f"{self.password_file}: cannot be read as password_file: {reason}"
            ) from None
        if not text or len(text.encode()) > PASSWORD_BYTES_MAX:
            raise SyncError(
                f"{self.password_file}: a password has 1 to {PASSWORD_BYTES_MAX} bytes; write it"
                " into the file"
            )
        return text

    def expired(self, now: datetime | None = None) -> str | None:
        """Return the sentence for an own certificate that has ended, None if there is none."""
        end = self.certificate_end()
        if end is None or end > (now or datetime.now(UTC)):
            return None
        return f"the own certificate {self.certificate_file} ended on {end:%Y-%m-%d}; {RENEW}"

    def expires_soon(self, now: datetime | None = None) -> str | None:
        """Return the sentence for an own certificate that ends in `WARN_DAYS`, or None."""
        end, now = self.certificate_end(), now or datetime.now(UTC)
        if end is None or not now < end <= now + timedelta(days=WARN_DAYS):
            return None
        days = (end - now).days
        return (
            f"the own certificate {self.certificate_file} ends on {end:%Y-%m-%d}, in {days} days;"
            f" {RENEW}"
        )

    def certificate_end(self) -> datetime | None:
        """Return when the own certificate ends; None for none, or one that cannot be read."""
        if self.certificate_file is None:
            return None
        try:
            return valid_until(self.certificate_file.read_text(encoding="ascii"))
        except (OSError, ValueError, SyncError):
            return None  # `tls_context` says what is wrong with it
