"""A terminal's own key: made on the machine where it stays, and what is signed with it.

The wall to `cryptography` on the terminal's side. Loaded by the commands `enrol` and `renew` only,
so a serving agent needs no memory for it.
"""

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from agent.errors import AgentError


def new_key() -> str:
    """Return a new P-256 key as PEM text."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def certificate_request(key: str) -> str:
    """Return a certificate request for a key, as PEM text. The central gives the name."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    signed = builder.sign(_loaded(key), hashes.SHA256())
    return signed.public_bytes(Encoding.PEM).decode("ascii")


def sign(key: str, data: bytes) -> bytes:
    """Return the ECDSA signature of data, with SHA-256. Raise `AgentError` for no key."""
    return _loaded(key).sign(data, ec.ECDSA(hashes.SHA256()))


def _loaded(key: str) -> ec.EllipticCurvePrivateKey:
    """Return the first key in a PEM text, which may have a certificate after it."""
    try:
        loaded = load_pem_private_key(key.encode("ascii"), password=None)
    except (ValueError, TypeError):
        raise AgentError(
            "there is no key in the terminal's certificate file; enrol again"
        ) from None
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise AgentError("the terminal's key is no P-256 key; enrol again")
    return loaded
