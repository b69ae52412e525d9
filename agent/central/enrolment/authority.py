"""The town's certificate authority: makes certificates, and the list of those it took back.

The wall to `cryptography` on the central's side. Its files are in a folder beside the database. The
extensions are those that Python 3.13's strict rules want (RFC 5280).
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.errors import CentralError, ConfigError
from agent.whole_file import PUBLIC_MODE, SECRET_MODE, write_whole

AUTHORITY_DAYS = 7_300
"""20 years: a new authority means a visit to every terminal."""
TERMINAL_DAYS = 365
"""A terminal renews its certificate itself. A stolen one ends by itself, too."""
CLOCK_SLACK = timedelta(days=1)
"""A certificate begins earlier, so that a box whose clock is late accepts it."""
COMMON_NAME_MAX = 64  # characters, by X.509

_Extension = tuple[x509.ExtensionType, bool]


class Issued(NamedTuple):
    """A terminal's certificate as PEM text, its number in hex digits, and when it ends."""

    pem: str
    serial: str
    until: datetime


class Own(NamedTuple):
    """A certificate of this authority: its number in hex digits, its name, its begin and end."""

    serial: str
    name: str
    made_at: datetime
    until: datetime


class _Leaf(NamedTuple):
    """What a certificate is for: a client's name, or a server's with its host."""

    name: str
    public: ec.EllipticCurvePublicKey
    until: datetime
    host: str | None = None


class _Validity(NamedTuple):
    begin: datetime
    end: datetime


def new_authority(name: str, now: datetime) -> "Authority":
    """Return a new authority. Raise `CentralError` for a name that no certificate can have."""
    if not 0 < len(name) <= COMMON_NAME_MAX:
        raise CentralError(f"the authority's name has 1 to {COMMON_NAME_MAX} characters")
    key = ec.generate_private_key(ec.SECP256R1())
    subject, public = _name(name), key.public_key()
    extensions: list[_Extension] = [
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (_usage(key_cert_sign=True, crl_sign=True), True),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
    ]
    validity = _Validity(now - CLOCK_SLACK, now + timedelta(days=AUTHORITY_DAYS))
    return Authority(_signed(_builder(subject, subject, public, validity), extensions, key), key)


def store_authority(folder: Path, authority: "Authority") -> None:
    """Write an authority into its folder. Raise `OSError`."""
    write_whole(folder / "ca.crt", authority.pem, PUBLIC_MODE)
    # The key last: without it there is no authority, and it can be made again.
    write_whole(folder / "ca.key", _key_text(authority.key), SECRET_MODE)


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority that was created."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        """Its certificate, as every other machine has it."""
        return _text(self.certificate)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of its certificate, 32 bytes."""
        return self.certificate.fingerprint(hashes.SHA256())

    @property
    def until(self) -> datetime:
        """When it ends."""
        return self.certificate.not_valid_after_utc

    def issue_terminal(self, request: str, identity: str, now: datetime) -> Issued:
        """Sign a terminal's certificate request. Its name is given here, whatever the request has.

        Raise `CentralError` for a text that is no request, or is not signed by its own key.
        """
        public = _requested_key(request)
        until = min(now + timedelta(days=TERMINAL_DAYS), self.until)
        certificate = self._signed_leaf(_Leaf(identity, public, until), now)
        return Issued(_text(certificate), f"{certificate.serial_number:x}", until)

    def make_client(self, identity: str, now: datetime) -> str:
        """Return key and certificate of a client beside this authority, as one PEM text."""
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _Leaf(identity, key.public_key(), self.until)
        return _key_text(key) + _text(self._signed_leaf(leaf, now))

    def make_server(self, host: str, now: datetime) -> str:
        """Return key and certificate of a server with this name or address, as one PEM text."""
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _Leaf(host[:COMMON_NAME_MAX], key.public_key(), self.until, host)
        return _key_text(key) + _text(self._signed_leaf(leaf, now))

    def revocations(self, serials: list[str], now: datetime) -> str:
        """Return the list of certificates that are taken back, as PEM text.

        It is valid as long as the authority: a broker refuses everybody when its list has ended.
        """
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - CLOCK_SLACK)
            .next_update(self.until)
            .add_extension(self._issuer_key(), False)
            .add_extension(x509.CRLNumber(int(now.timestamp())), False)
        )
        for serial in serials:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(int(serial, 16))
                .revocation_date(now - CLOCK_SLACK)
                .build()
            )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()

    def revoked_serials(self, pem: str) -> list[str]:
        """Return the numbers in a list of this authority; none for another list."""
        try:
            listed = x509.load_pem_x509_crl(pem.encode("ascii"))
        except ValueError:
            return []
        if not listed.is_signature_valid(self.key.public_key()):
            return []
        return [f"{revoked.serial_number:x}" for revoked in listed]

    def read(self, pem: str) -> Own:
        """Return what a certificate of this authority says. Raise `CentralError` for another's."""
        certificate = _certificate(pem)
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature):
            raise CentralError("the certificate is another authority's") from None
        (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        serial = f"{certificate.serial_number:x}"
        made_at = certificate.not_valid_before_utc + CLOCK_SLACK
        return Own(serial, str(name.value), made_at, certificate.not_valid_after_utc)

    def _signed_leaf(self, leaf: _Leaf, now: datetime) -> x509.Certificate:
        if leaf.until <= now:
            raise CentralError("the authority has ended: make another, and enrol all boxes again")
        extensions: list[_Extension] = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(digital_signature=True), True),
            (x509.SubjectKeyIdentifier.from_public_key(leaf.public), False),
            (self._issuer_key(), False),
        ]
        purpose = ExtendedKeyUsageOID.CLIENT_AUTH
        if leaf.host is not None:
            purpose = ExtendedKeyUsageOID.SERVER_AUTH
            extensions.append((x509.SubjectAlternativeName([_host_name(leaf.host)]), False))
        extensions.append((x509.ExtendedKeyUsage([purpose]), False))
        validity = _Validity(now - CLOCK_SLACK, leaf.until)
        builder = _builder(_name(leaf.name), self.certificate.subject, leaf.public, validity)
        return _signed(builder, extensions, self.key)

    def _issuer_key(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())


def load_authority(folder: Path) -> Authority:
    """Return the authority in a folder. Raise `ConfigError`."""
    try:
        certificate = _certificate((folder / "ca.crt").read_text(encoding="ascii"))
        key = load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
    except FileNotFoundError:
        raise ConfigError(
            f"{folder}: has no authority; make it with: canteen-central ca init"
        ) from None
    except (OSError, ValueError, TypeError, CentralError) as error:
        raise ConfigError(f"{folder}: the authority cannot be read: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or (
        key.public_key() != certificate.public_key()
    ):
        raise ConfigError(f"{folder}: ca.key is not the key of ca.crt; restore both")
    return Authority(certificate, key)


def store_revocations(folder: Path, authority: Authority, serials: list[str], now: datetime) -> str:
    """Add certificates to the list beside the authority, and return it as PEM text.

    The list outlives the books: a database that is restored does not know what came after its
    backup. Raise `OSError`.
    """
    before = stored_revocations(folder, authority)
    text = authority.revocations(sorted({*serials, *before}), now)
    write_whole(folder / "revoked.pem", text, PUBLIC_MODE)
    return text


def stored_revocations(folder: Path, authority: Authority) -> list[str]:
    """Return the numbers in the list beside the authority. Raise `OSError`."""
    path = folder / "revoked.pem"
    return authority.revoked_serials(path.read_text(encoding="ascii")) if path.exists() else []


def require_no_authority(folder: Path) -> None:
    """Raise `CentralError` if a folder has an authority: a new one ends all its certificates."""
    if (folder / "ca.key").exists():
        raise CentralError(f"{folder}: has an authority; a new one ends all its certificates")


def is_signed(signature: bytes, data: bytes, pem: str) -> bool:
    """Return whether the key of a certificate signed some data, with ECDSA and SHA-256."""
    public = _certificate(pem).public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey):
        return False
    try:
        public.verify(signature, data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def key_fingerprint(request: str) -> str:
    """Return SHA-256 of the key that a certificate request is for, in hex. Raise `CentralError`."""
    public = _requested_key(request)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return digest.finalize().hex()


def _requested_key(request: str) -> ec.EllipticCurvePublicKey:
    try:
        parsed = x509.load_pem_x509_csr(request.encode("ascii"))
        public = parsed.public_key()
        is_own = parsed.is_signature_valid
    except (ValueError, UnsupportedAlgorithm):
        raise CentralError("this is no certificate request") from None
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(
        public.curve, ec.SECP256R1
    ):
        raise CentralError("the certificate request is for a key of another kind than P-256")
    if not is_own:
        raise CentralError("the certificate request is not signed by its own key")
    return public


def _certificate(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode("ascii"))
    except ValueError:
        raise CentralError("this is no certificate") from None


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    validity: _Validity,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity.begin)
        .not_valid_after(validity.end)
    )


def _signed(
    builder: x509.CertificateBuilder,
    extensions: list[_Extension],
    key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, is_critical)
    return builder.sign(key, hashes.SHA256())


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
