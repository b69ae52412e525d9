"""The central's enrolment server as a box reaches it: HTTPS, proved by the town's authority."""

import hashlib
import http.client
import ssl
from typing import TypeVar

import msgspec

from agent.errors import AgentError
from agent.sync.enrolment import (
    CA_PATH,
    FINGERPRINT_BYTES,
    MESSAGE_BYTES_MAX,
    Address,
    Code,
    Refusal,
)

TIMEOUT_S = 15.0

_Answer = TypeVar("_Answer", bound=msgspec.Struct)


def fetch_authority(code: Code) -> str:
    """Return the authority's certificate as PEM text, if it is the code's.

    Raise `AgentError`: no connection, or another authority. No secret was sent then.
    """
    unproved = ssl.create_default_context()
    unproved.check_hostname = False
    unproved.verify_mode = ssl.CERT_NONE
    reply = _request(code.address, CA_PATH, b"", unproved)
    try:
        pem = reply.decode("ascii")
        der = ssl.PEM_cert_to_DER_cert(pem.strip())
    except ValueError:
        raise AgentError(f"{code.address}: no central answers there; check the code") from None
    if hashlib.sha256(der).digest()[:FINGERPRINT_BYTES] != code.fingerprint:
        raise AgentError(
            f"{code.address}: another authority than the code's answers. Somebody may stand between"
            " this box and the central. Nothing was sent; make a new code, or tell the town"
        )
    # Not `pem`: after the authority it may have another, which a stranger put there.
    return ssl.DER_cert_to_PEM_cert(der)


def post(
    address: Address, path: str, message: msgspec.Struct, authority: str, shape: type[_Answer]
) -> _Answer:
    """Return the answer to a message, from a server that the authority proves.

    Raise `AgentError`: no connection, another server, or the central's own refusal.
    """
    try:
        proved = ssl.create_default_context(cadata=authority)
    except (ssl.SSLError, ValueError) as error:
        raise AgentError(
            f"the file ca_file of this box is no certificate: {error}; put the authority's there"
        ) from error
    reply = _request(address, path, msgspec.json.encode(message), proved)
    try:
        return msgspec.json.decode(reply, type=shape)
    except msgspec.DecodeError:
        pass
    try:
        refusal = msgspec.json.decode(reply, type=Refusal)
    except msgspec.DecodeError:
        raise AgentError(f"{address}: does not answer like a central; check its version") from None
    raise AgentError(f"{address}: the central refuses: {refusal.error}")


def _request(address: Address, path: str, body: bytes, context: ssl.SSLContext) -> bytes:
    connection = http.client.HTTPSConnection(
        address.host, address.port, timeout=TIMEOUT_S, context=context
    )
    try:
        headers = {"Content-Type": "application/json"} if body else {}
        connection.request("POST" if body else "GET", path, body or None, headers)
        return connection.getresponse().read(MESSAGE_BYTES_MAX)
    except ssl.SSLCertVerificationError as error:
        hint = ""
        if error.verify_code in (9, 10):  # not valid yet, or no more
            hint = "; look at this machine's date: timedatectl"
        raise AgentError(
            f"{address}: its certificate is not accepted: {error.verify_message}{hint}"
        ) from error
    except (OSError, UnicodeError, http.client.HTTPException) as error:
        raise AgentError(
            f"{address}: no answer: {error}; check the network, and canteen-central enrol serve"
        ) from error
    finally:
        connection.close()
