"""Faults between terminal and broker, planted with a real mosquitto and real certificates."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent.sync.broker import Broker
from agent.terminal.doctor.finding import Finding, Level
from agent.terminal.doctor.network import look_at_broker
from tests.parts.broker import Mosquitto, free_port
from tests.parts.certificates import (
    make_authority,
    make_broker_certificate,
    make_client_certificate,
)
from tests.parts.process import require

TOML = Path("/etc/canteen-agent/agent.toml")
EDIT = f"sudo nano {TOML} && sudo systemctl restart canteen-agent"
ENROL = "sudo canteen-agent enrol CODE; sudo systemctl restart canteen-agent"
BROKER_FILES = "broker-config && sudo systemctl restart mosquitto"


def findings_of(broker: Broker) -> dict[str, Finding]:
    return {finding.id: finding for finding in look_at_broker(broker, TOML)}


@contextmanager
def broker_with(pki: Path, *, requires: bool = True) -> Iterator[str]:
    """Yield the URL of a broker with the certificates of a folder."""
    settings = (
        f"allow_anonymous true\nrequire_certificate {str(requires).lower()}\n"
        f"cafile {pki}/ca.crt\ncertfile {pki}/broker.crt\nkeyfile {pki}/broker.key"
    )
    with Mosquitto(pki / "broker", extra=settings) as broker:
        yield f"mqtts://127.0.0.1:{broker.port}"


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    make_authority(tmp_path, "A town")
    make_broker_certificate(tmp_path)
    make_client_certificate(tmp_path, "borgofiorito/t/t-1")
    return tmp_path


def own(pki: Path, url: str) -> Broker:
    name = pki / "borgofiorito" / "t" / "t-1"
    return Broker(
        url=url,
        ca_file=pki / "ca.crt",
        certificate_file=name.with_name("t-1.crt"),
        key_file=name.with_name("t-1.key"),
    )


def test_a_broker_with_good_certificates_is_well(pki: Path) -> None:
    with broker_with(pki) as url:
        found = findings_of(own(pki, url))
    assert {finding.level for finding in found.values()} == {Level.OK}
    assert set(found) == {
        "broker.name", "broker.port", "broker.tls", "broker.strict", "broker.certificate",
    }  # fmt: skip


def test_a_name_without_an_address_is_a_fault() -> None:
    found = findings_of(Broker(url="mqtt://no-such-broker.invalid"))
    assert list(found) == ["broker.name"] and found["broker.name"].level is Level.FAULT


def test_a_closed_port_is_a_fault_until_the_broker_runs(tmp_path: Path) -> None:
    port = free_port()
    broker = Broker(url=f"mqtt://127.0.0.1:{port}")
    finding = findings_of(broker)["broker.port"]
    assert finding.level is Level.FAULT and "takes no connection" in finding.seen
    with Mosquitto(tmp_path, port=port):
        assert findings_of(broker)["broker.port"].level is Level.OK


def test_an_authority_of_another_town_is_a_fault(pki: Path) -> None:
    other = pki / "other"
    other.mkdir()
    make_authority(other, "Another town")
    with broker_with(pki, requires=False) as url:
        finding = findings_of(Broker(url=url, ca_file=other / "ca.crt"))["broker.tls"]
    assert finding.level is Level.FAULT and "authority" in finding.seen
    assert BROKER_FILES in finding.mend and "# at the central" in finding.mend


def test_a_broker_that_knows_another_authority_is_mended_at_the_broker(pki: Path) -> None:
    other = pki / "other"
    other.mkdir()
    make_authority(other, "Another town")
    make_client_certificate(other, "borgofiorito/t/t-1")
    with broker_with(pki) as url:
        of_ours = own(other, url)
        finding = findings_of(replace(of_ours, ca_file=pki / "ca.crt"))["broker.tls"]
    assert "does not know the authority of our certificate" in finding.seen
    assert BROKER_FILES in finding.mend


def test_a_port_without_tls_is_corrected_in_the_url(pki: Path) -> None:
    with Mosquitto(pki / "plain") as broker:
        finding = findings_of(own(pki, f"mqtts://127.0.0.1:{broker.port}"))["broker.tls"]
    assert finding.level is Level.FAULT and finding.mend.startswith(EDIT)


def test_a_missing_certificate_is_a_fault(pki: Path) -> None:
    with broker_with(pki) as url:
        finding = findings_of(Broker(url=url, ca_file=pki / "ca.crt"))["broker.tls"]
    assert finding.level is Level.FAULT and "certificate" in finding.seen
    assert finding.mend.startswith(EDIT)


def test_a_name_that_is_not_in_the_brokers_certificate_is_a_fault(pki: Path) -> None:
    with broker_with(pki) as url:
        wrong = url.replace("127.0.0.1", "localhost")
        finding = findings_of(own(pki, wrong))["broker.tls"]
    assert finding.level is Level.FAULT and "localhost" in finding.seen
    assert finding.mend.startswith(EDIT)


def test_a_broken_key_is_a_fault_with_its_file(pki: Path) -> None:
    with broker_with(pki) as url:
        broker = own(pki, url)
        assert broker.key_file is not None
        broker.key_file.write_text("no key")
        finding = findings_of(broker)["broker.tls"]
        assert broker.certificate_file is not None
        broker.certificate_file.write_text("no certificate")
        assert "broker.certificate" not in findings_of(broker)
    assert finding.level is Level.FAULT and str(broker.key_file) in finding.seen
    assert finding.mend.startswith(ENROL)


@pytest.mark.parametrize(("days", "level"), [(29, Level.WARNING), (31, Level.OK)])
def test_a_certificate_that_ends_soon_is_a_warning(pki: Path, days: int, level: Level) -> None:
    make_client_certificate(pki, "borgofiorito/t/t-1", days=days)
    with broker_with(pki) as url:
        finding = findings_of(own(pki, url))["broker.certificate"]
    assert finding.level is level


def test_an_authority_without_key_usage_is_a_warning_before_the_upgrade(tmp_path: Path) -> None:
    """Plain `openssl req -x509` makes one that Python 3.13 refuses."""
    openssl = require("openssl")
    settings = tmp_path / "ca.cnf"
    settings.write_text(
        "[req]\nprompt=no\ndistinguished_name=n\nx509_extensions=x\n[n]\nCN=A town\n"
        "[x]\nbasicConstraints=critical,CA:true\nsubjectKeyIdentifier=hash\n"
    )
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "30", "-config", settings.name]
    subprocess.run(
        [*command, "-keyout", "ca.key", "-out", "ca.crt"],
        cwd=tmp_path, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    make_broker_certificate(tmp_path)
    with broker_with(tmp_path, requires=False) as url:
        found = findings_of(Broker(url=url, ca_file=tmp_path / "ca.crt"))
    strict = found["broker.strict"] if "broker.strict" in found else found["broker.tls"]
    assert strict.level in (Level.WARNING, Level.FAULT)
    assert "ca init" in strict.mend or BROKER_FILES in strict.mend
