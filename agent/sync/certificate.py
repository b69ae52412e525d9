"""When a certificate ends: the one fact that Python's ssl does not give of a client's own file.

Pure: reads bytes that the caller read.
"""

import ssl
from datetime import UTC, datetime

from agent.errors import SyncError

_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


def valid_until(pem: str) -> datetime:
    """Return the end of the validity of the first certificate in a PEM text.

    Raise `SyncError` for anything else.
    """
    end = "-----END CERTIFICATE-----"
    try:
        start = pem.index("-----BEGIN CERTIFICATE-----")
        first = pem[start : pem.index(end, start) + len(end)]
        body, _ = _element(_element(ssl.PEM_cert_to_DER_cert(first), _SEQUENCE)[0], _SEQUENCE)
        if body[:1] == bytes([_VERSION]):
            body = _element(body, _VERSION)[1]
        for _ in ("serial number", "algorithm", "issuer"):
            body = _element(body, body[0])[1]
        validity, _ = _element(body, _SEQUENCE)
        _, ends = _element(validity, validity[0])
        text, _ = _element(ends, ends[0])
        form = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}[ends[0]]
        return datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC)
    except (ValueError, IndexError, KeyError) as error:
        raise SyncError(f"not a certificate: {error}") from error


def _element(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """Return the content of the first DER element, and what follows it. Raise `ValueError`."""
    if data[0] != tag:
        raise ValueError(f"tag {data[0]:#x}, expected {tag:#x}")
    size, begin = data[1], 2
    if size & 0x80:
        begin += size & 0x7F
        size = int.from_bytes(data[2:begin], "big")
    if len(data) < begin + size:
        raise ValueError("it ends too soon")
    return data[begin : begin + size], data[begin + size :]
