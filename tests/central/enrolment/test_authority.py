"""The authority: what it signs is accepted under strict rules, and nothing else is."""

import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from agent.central.enrolment.authority import (
    AUTHORITY_DAYS,
    COMMON_NAME_MAX,
    TERMINAL_DAYS,
    Authority,
    is_signed,
    key_fingerprint,
    load_authority,
    new_authority,
    require_no_authority,
    store_authority,
    store_revocations,
    stored_revocations,
)
from agent.errors import CentralError, ConfigError
from agent.ops.keypair import certificate_request, new_key, sign
from tests.parts.process import require

NOW = datetime.now(UTC).replace(microsecond=0)
IDENTITY = "borgofiorito/t/t-1"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    store_authority(tmp_path, new_authority("Canteens of Borgofiorito", NOW))
    return load_authority(tmp_path)


def strictly(folder: Path, *pems: str, revoked: str | None = None) -> str:
    """Return what openssl answers to certificates under the strict rules."""
    words: list[str | Path] = ["-x509_strict", "-CAfile", folder / "ca.crt"]
    if revoked is not None:
        (folder / "revoked.pem").write_text(revoked)
        words += ["-crl_check", "-CRLfile", folder / "revoked.pem"]
    for number, pem in enumerate(pems):
        (folder / f"{number}.pem").write_text(pem)
        words.append(folder / f"{number}.pem")
    command = [require("openssl"), "verify", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return done.stdout + done.stderr


def test_all_that_it_makes_passes_the_strict_rules(tmp_path: Path, authority: Authority) -> None:
    issued = authority.issue_terminal(certificate_request(new_key()), IDENTITY, NOW)
    central = authority.make_client("borgofiorito/central", NOW)
    servers = [authority.make_server(host, NOW) for host in ("a.example.org", "10.0.0.1", "::1")]
    assert strictly(tmp_path, issued.pem, central, *servers).count(": OK") == 5


def test_the_name_in_a_certificate_is_the_authoritys_and_not_the_requests(
    authority: Authority,
) -> None:
    """Else a terminal could name itself the central."""
    key = serialization.load_pem_private_key(new_key().encode(), None)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "borgofiorito/central")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    request = builder.sign(key, hashes.SHA256())  # type: ignore[arg-type]
    pem = request.public_bytes(serialization.Encoding.PEM).decode()
    issued = x509.load_pem_x509_certificate(
        authority.issue_terminal(pem, IDENTITY, NOW).pem.encode()
    )
    assert issued.subject.rfc4514_string() == f"CN={IDENTITY}"


def test_a_terminals_certificate_ends_after_terminal_days_and_never_after_the_authority(
    authority: Authority,
) -> None:
    request = certificate_request(new_key())
    assert authority.issue_terminal(request, IDENTITY, NOW).until == NOW + timedelta(
        days=TERMINAL_DAYS
    )
    late = NOW + timedelta(days=AUTHORITY_DAYS - 1)
    assert authority.issue_terminal(request, IDENTITY, late).until == authority.until


def test_a_revoked_certificate_is_refused_and_another_is_not(
    tmp_path: Path, authority: Authority
) -> None:
    stolen, kept = (
        authority.issue_terminal(certificate_request(new_key()), IDENTITY, NOW) for _ in range(2)
    )
    lists = [authority.revocations([], NOW), authority.revocations([stolen.serial], NOW)]
    assert strictly(tmp_path, stolen.pem, revoked=lists[0]).endswith("OK\n")
    assert "certificate revoked" in strictly(tmp_path, stolen.pem, revoked=lists[1])
    assert strictly(tmp_path, kept.pem, revoked=lists[1]).endswith("OK\n")


def test_the_list_of_revoked_certificates_ends_with_the_authority(authority: Authority) -> None:
    """A broker with a list that has ended refuses every terminal of the town."""
    listed = x509.load_pem_x509_crl(authority.revocations([], NOW).encode())
    assert listed.next_update_utc == authority.until


def test_a_certificate_of_another_authority_is_not_known(authority: Authority) -> None:
    other = new_authority("Canteens of Borgofiorito", NOW)
    request = certificate_request(new_key())
    own = authority.issue_terminal(request, IDENTITY, NOW)
    assert authority.read(own.pem) == (own.serial, IDENTITY, NOW.replace(microsecond=0), own.until)
    with pytest.raises(CentralError, match="another authority"):
        authority.read(other.issue_terminal(request, IDENTITY, NOW).pem)
    with pytest.raises(CentralError, match="no certificate"):
        authority.read("x")


def test_a_request_for_a_weaker_key_is_refused(authority: Authority) -> None:
    key = rsa.generate_private_key(65_537, 1_024)
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    with pytest.raises(CentralError, match="another kind than P-256"):
        authority.issue_terminal(request, IDENTITY, NOW)


def test_a_request_with_another_keys_signature_is_refused(authority: Authority) -> None:
    """Else somebody could get a certificate for a key that is not his."""
    request = x509.load_pem_x509_csr(certificate_request(new_key()).encode())
    forged = bytearray(request.public_bytes(serialization.Encoding.DER))
    forged[-1] ^= 1
    pem = x509.load_der_x509_csr(bytes(forged)).public_bytes(serialization.Encoding.PEM).decode()
    with pytest.raises(CentralError, match="not signed by its own key"):
        authority.issue_terminal(pem, IDENTITY, NOW)


@pytest.mark.parametrize("text", ["", "x", "è", "-----BEGIN CERTIFICATE REQUEST-----\nAA==\n"])
def test_what_is_no_request_is_refused(authority: Authority, text: str) -> None:
    with pytest.raises(CentralError, match="no certificate request"):
        authority.issue_terminal(text, IDENTITY, NOW)


def test_a_signature_counts_for_its_key_and_its_data_only(authority: Authority) -> None:
    key = new_key()
    pem = authority.issue_terminal(certificate_request(key), IDENTITY, NOW).pem
    assert is_signed(sign(key, b"data"), b"data", pem)
    assert not is_signed(sign(key, b"data"), b"other", pem)
    assert not is_signed(sign(new_key(), b"data"), b"data", pem)
    assert not is_signed(b"no signature", b"data", pem)


def test_two_requests_for_a_key_have_one_fingerprint() -> None:
    key = new_key()
    assert key_fingerprint(certificate_request(key)) == key_fingerprint(certificate_request(key))
    assert key_fingerprint(certificate_request(key)) != key_fingerprint(
        certificate_request(new_key())
    )


def test_the_authoritys_key_is_for_its_owner_alone(tmp_path: Path, authority: Authority) -> None:
    assert stat.S_IMODE((tmp_path / "ca.key").stat().st_mode) == 0o600


def test_an_authority_is_never_replaced(tmp_path: Path, authority: Authority) -> None:
    with pytest.raises(CentralError, match="ends all its certificates"):
        require_no_authority(tmp_path)
    require_no_authority(tmp_path / "empty")


def test_a_folder_that_misses_a_part_names_what_to_do(tmp_path: Path, authority: Authority) -> None:
    other = tmp_path / "other"
    other.mkdir()
    store_authority(other, new_authority("Other", NOW))
    (tmp_path / "ca.crt").write_text((other / "ca.crt").read_text())
    with pytest.raises(ConfigError, match="restore both"):
        load_authority(tmp_path)
    (tmp_path / "ca.key").write_text("no key")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_authority(tmp_path)
    (tmp_path / "ca.key").unlink()
    with pytest.raises(ConfigError, match="ca init"):
        load_authority(tmp_path)


def test_an_authority_that_has_ended_signs_nothing(authority: Authority) -> None:
    with pytest.raises(CentralError, match="has ended"):
        authority.make_server("127.0.0.1", authority.until)


def test_a_list_of_another_authority_is_not_read(authority: Authority) -> None:
    other = new_authority("Other", NOW)
    assert authority.revoked_serials(authority.revocations(["a1", "b2"], NOW)) == ["a1", "b2"]
    assert authority.revoked_serials(other.revocations(["a1"], NOW)) == []
    assert authority.revoked_serials("no list") == []


def test_a_name_has_a_limit() -> None:
    new_authority("n" * COMMON_NAME_MAX, NOW)
    for name in ("", "n" * (COMMON_NAME_MAX + 1)):
        with pytest.raises(CentralError, match=str(COMMON_NAME_MAX)):
            new_authority(name, NOW)


@pytest.mark.parametrize("later", [[], ["b2"], ["a1", "b2"], ["c3"]])
def test_books_of_an_earlier_day_take_nothing_off_the_list(
    tmp_path: Path, authority: Authority, later: list[str]
) -> None:
    """A database that is restored knows none, or others, of the certificates taken back."""
    store_revocations(tmp_path, authority, ["a1"], NOW)
    stored = authority.revoked_serials(store_revocations(tmp_path, authority, later, NOW))
    assert sorted(stored) == sorted({"a1", *later})
    assert stored_revocations(tmp_path, authority) == stored
