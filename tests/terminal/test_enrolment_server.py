"""Whom a box trusts with its secret."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.central.enrolment.authority import Authority, new_authority
from agent.errors import AgentError
from agent.sync.enrolment import (
    ENROL_PATH,
    FINGERPRINT_BYTES,
    Address,
    Code,
    EnrolRequest,
    Refusal,
)
from agent.terminal.enrolment_server import fetch_authority, post
from tests.parts.broker import free_port
from tests.parts.false_central import false_central

NOW = datetime.now(UTC)
MESSAGE = EnrolRequest("00" * 16, "request")


def server_file(folder: Path, authority: Authority, host: str = "127.0.0.1") -> Path:
    path = folder / "server.pem"
    path.write_text(authority.make_server(host, NOW))
    return path


def code(address: Address, authority: Authority) -> Code:
    return Code(address, authority.fingerprint[:FINGERPRINT_BYTES], bytes(16))


def test_the_towns_authority_is_accepted(tmp_path: Path) -> None:
    town = new_authority("A town", NOW)
    answer = b'{"error":"words"}'
    with false_central(server_file(tmp_path, town), town.pem, answer) as central:
        pem = fetch_authority(code(central.address, town))
        assert pem == town.pem
        assert post(central.address, ENROL_PATH, MESSAGE, pem, Refusal).error == "words"
        assert len(central.posted) == 1


def test_an_impostor_with_his_own_authority_gets_no_secret(tmp_path: Path) -> None:
    town, impostor = new_authority("A town", NOW), new_authority("A town", NOW)
    with false_central(server_file(tmp_path, impostor), impostor.pem) as central:
        with pytest.raises(AgentError, match="Nothing was sent"):
            fetch_authority(code(central.address, town))
        assert central.posted == []


def test_an_impostor_who_shows_the_towns_authority_gets_no_secret(tmp_path: Path) -> None:
    """He passes the first step: its answer is no secret. The second needs the authority's key."""
    town, impostor = new_authority("A town", NOW), new_authority("A town", NOW)
    with false_central(server_file(tmp_path, impostor), town.pem) as central:
        pem = fetch_authority(code(central.address, town))
        with pytest.raises(AgentError, match="its certificate is not accepted"):
            post(central.address, ENROL_PATH, MESSAGE, pem, Refusal)
        assert central.posted == []


def test_a_certificate_for_another_name_is_not_accepted(tmp_path: Path) -> None:
    """A terminal's or another server's key must not be enough to collect secrets."""
    town = new_authority("A town", NOW)
    with false_central(server_file(tmp_path, town, "10.9.8.7"), town.pem) as central:
        with pytest.raises(AgentError, match="not accepted"):
            post(central.address, ENROL_PATH, MESSAGE, town.pem, Refusal)
        assert central.posted == []


def test_a_clock_that_is_years_late_is_named(tmp_path: Path) -> None:
    """A Pi begins in 1970: for its clock no certificate has begun."""
    town = new_authority("A town", NOW + timedelta(days=400))
    with (
        false_central(server_file(tmp_path, town), town.pem) as central,
        pytest.raises(AgentError, match="look at this machine's date: timedatectl"),
    ):
        post(central.address, ENROL_PATH, MESSAGE, town.pem, Refusal)


def test_what_is_no_central_is_named(tmp_path: Path) -> None:
    town = new_authority("A town", NOW)
    with false_central(server_file(tmp_path, town), "hello", b"hello") as other:
        with pytest.raises(AgentError, match="no central answers there"):
            fetch_authority(code(other.address, town))
        with pytest.raises(AgentError, match="check its version"):
            post(other.address, ENROL_PATH, MESSAGE, town.pem, Refusal)
    with pytest.raises(AgentError, match="check the network"):
        fetch_authority(code(Address("127.0.0.1", free_port()), town))
