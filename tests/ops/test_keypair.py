"""A terminal's key: openssl accepts what it makes."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.central.enrolment.authority import new_authority
from agent.errors import AgentError
from agent.ops.keypair import certificate_request, new_key, sign
from tests.parts.process import require


def openssl(*words: str | Path) -> str:
    command = [require("openssl"), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return done.stdout + done.stderr


def test_a_request_is_signed_by_its_key_and_has_no_name(tmp_path: Path) -> None:
    (tmp_path / "csr").write_text(certificate_request(new_key()))
    assert "verify OK" in openssl("req", "-in", tmp_path / "csr", "-noout", "-verify")
    assert "subject=\n" in openssl("req", "-in", tmp_path / "csr", "-noout", "-subject")


def test_a_signature_is_proved_by_the_public_key(tmp_path: Path) -> None:
    key = new_key()
    (tmp_path / "key").write_text(key)
    (tmp_path / "public").write_text(openssl("pkey", "-in", tmp_path / "key", "-pubout"))
    (tmp_path / "data").write_bytes(b"a request")
    (tmp_path / "signature").write_bytes(sign(key, b"a request"))
    words = ("-verify", tmp_path / "public", "-signature", tmp_path / "signature")
    assert "Verified OK" in openssl("dgst", "-sha256", *words, tmp_path / "data")


def test_the_key_is_read_from_the_file_with_key_and_certificate() -> None:
    key = new_key()
    authority = new_authority("A town", datetime.now(UTC))
    issued = authority.issue_terminal(certificate_request(key), "borgo/t/t-1", datetime.now(UTC))
    assert sign(key + issued.pem, b"x")


@pytest.mark.parametrize("text", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAA\n"])
def test_a_file_without_a_key_is_a_sentence(text: str) -> None:
    with pytest.raises(AgentError, match="enrol again"):
        sign(text, b"x")


def test_two_keys_differ() -> None:
    assert new_key() != new_key()
