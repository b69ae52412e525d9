"""A town's certificates in a folder, by file name, as the central makes them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.central.enrolment.authority import (
    TERMINAL_DAYS,
    Authority,
    load_authority,
    new_authority,
    store_authority,
)
from agent.ops.keypair import certificate_request, new_key

_YEARS_AGO = timedelta(days=2 * TERMINAL_DAYS)


def make_authority(
    folder: Path, name: str = "A town", *, made_at: datetime | None = None
) -> Authority:
    """Make `ca.crt` and `ca.key`, two years old if not given: it could sign what has ended."""
    authority = new_authority(name, made_at or datetime.now(UTC) - _YEARS_AGO)
    store_authority(folder, authority)
    return authority


def make_broker_certificate(folder: Path, host: str = "127.0.0.1") -> None:
    """Make `broker.crt` and `broker.key`."""
    pem = load_authority(folder).make_server(host, datetime.now(UTC))
    key, mark, certificate = pem.partition("-----BEGIN CERTIFICATE")
    _write(folder / "broker", key, mark + certificate)


def make_client_certificate(folder: Path, identity: str, *, days: int = TERMINAL_DAYS) -> None:
    """Make IDENTITY.crt and IDENTITY.key, which end in `days`."""
    key = new_key()
    made_at = datetime.now(UTC) - timedelta(days=TERMINAL_DAYS - days)
    issued = load_authority(folder).issue_terminal(certificate_request(key), identity, made_at)
    _write(folder / identity, key, issued.pem)


def _write(path: Path, key: str, certificate: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name(f"{path.name}.key").write_text(key, encoding="ascii")
    path.with_name(f"{path.name}.crt").write_text(certificate, encoding="ascii")
