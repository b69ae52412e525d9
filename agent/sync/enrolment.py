"""Enrolment: the one-time code, and the messages over HTTPS between a new box and the central.

Pure. A box requests `/ca` first, over a connection that proves nothing, and compares the answer
with the code's fingerprint. Only then, over a connection that this authority proves, it sends the
secret. So who listens, or answers in the central's place, learns no secret.
"""

import base64
import binascii
import re
import zlib
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

from agent.domain.canteen import Id
from agent.errors import SyncError

CA_PATH, ENROL_PATH, RENEW_PATH = "/ca", "/enrol", "/renew"
MESSAGE_BYTES_MAX = 16 * 1024
"""A certificate has 1 KB."""
FINGERPRINT_BYTES = 16
"""The first half of SHA-256: to make another certificate with the same takes 2^128 attempts."""
SECRET_BYTES = 16
ADDRESS_CHARACTERS_MAX = 100
GROUP = 5
"""Characters between two hyphens of a code: so much a person copies at once."""
_CHECKSUM_BYTES = 4
_VERSION = 1
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):(?P<port>[0-9]{1,5})")

Pem = Annotated[str, Meta(max_length=MESSAGE_BYTES_MAX)]


class Address(NamedTuple):
    """Where the central enrols."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Code(NamedTuple):
    """What a technician carries to the box: where, whose authority, and a secret for one use."""

    address: Address
    fingerprint: bytes
    secret: bytes


class EnrolRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A box's request: the code's secret in hex digits, and a certificate request as PEM text."""

    secret: Annotated[str, Meta(pattern=f"^[0-9a-f]{{{2 * SECRET_BYTES}}}$")]
    request: Pem


class Enrolment(Struct, frozen=True):
    """What a box needs to be a terminal. `card_key` is the town's secret, in hex digits."""

    town: Id
    terminal: Id
    zone: str
    broker: str
    address: str
    card_key: str
    authority: Pem
    certificate: Pem


class RenewRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A terminal's request for its next certificate, signed with the key of its present one.

    `signature` is ECDSA with SHA-256 over the bytes of `request`, in hex digits.
    """

    certificate: Pem
    request: Pem
    signature: Annotated[str, Meta(pattern=r"^[0-9a-f]{2,200}$")]


class Renewal(Struct, frozen=True):
    """A terminal's next certificate, and the authority's as it is now."""

    authority: Pem
    certificate: Pem


class Refusal(Struct, frozen=True):
    """Why nothing is given, as one sentence."""

    error: Annotated[str, Meta(max_length=500)]


def parse_address(text: str) -> Address:
    """Return host and port of HOST:PORT. Raise `SyncError`."""
    parts = _ADDRESS.fullmatch(text)
    if parts is None or len(text) > ADDRESS_CHARACTERS_MAX or not 0 < int(parts["port"]) < 65_536:
        raise SyncError(f"{text!r} is no address; write HOST:PORT, as central.example.org:8884")
    return Address(parts["host"].strip("[]"), int(parts["port"]))


def format_code(code: Code) -> str:
    """Return a code as text: upper-case letters, digits and hyphens."""
    body = bytes([_VERSION]) + code.fingerprint + code.secret + str(code.address).encode("ascii")
    checksum = zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "big")
    text = base64.b32encode(body + checksum).decode("ascii").rstrip("=")
    return "-".join(text[at : at + GROUP] for at in range(0, len(text), GROUP))


def parse_code(text: str) -> Code:
    """Return the parts of a code, however its letters, spaces and hyphens were copied.

    Raise `SyncError` for any other text.
    """
    letters = re.sub(r"[\s-]", "", text).upper()
    try:
        data = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except (binascii.Error, ValueError):
        data = b""
    body, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    at_secret = 1 + FINGERPRINT_BYTES
    at_address = at_secret + SECRET_BYTES
    is_whole = len(body) > at_address and zlib.crc32(body).to_bytes(4, "big") == checksum
    if not is_whole or body[0] != _VERSION:
        raise SyncError("this is no enrolment code, or a part is missing; copy it whole")
    address = parse_address(body[at_address:].decode("ascii", "replace"))
    return Code(address, body[1:at_secret], body[at_secret:at_address])
