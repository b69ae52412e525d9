"""How a box becomes a terminal, and how a terminal renews its certificate.

The power may go at any line. The key is on the disk before it is named to the central, so the same
code gives the same certificate again. `agent.toml` is written last: the service starts with it.
"""

import json
import os
import pwd
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.domain.clock import OLDEST_PLAUSIBLE_YEAR
from agent.errors import AgentError, ConfigError
from agent.ops.keypair import certificate_request, new_key, sign
from agent.readers.plugged import Device
from agent.readers.profile import Profile
from agent.sync.certificate import valid_until
from agent.sync.enrolment import (
    ENROL_PATH,
    RENEW_PATH,
    Address,
    Code,
    Enrolment,
    EnrolRequest,
    Renewal,
    RenewRequest,
    parse_address,
)
from agent.terminal.config import File, load_file
from agent.terminal.enrolment_server import fetch_authority, post
from agent.terminal.renewal import RENEW_DAYS, forget_failures, note_failure
from agent.whole_file import PUBLIC_MODE, SECRET_MODE, write_whole

KEY_NAME = "terminal.key"
PROFILE_DEFAULT = "pcsc-generic"
"""Where no reader is plugged in yet: most of the readers to buy are PC/SC readers."""
_TOML = """\
# Written by canteen-agent enrol. Every key: docs/reference/configuration.md
town = "{town}"
terminal = "{terminal}"
zone = "{zone}"
state_dir = "{state_dir}"

[broker]
url = "{broker}"
ca_file = "{state_dir}/ca.crt"
certificate_file = "{state_dir}/terminal.pem"
key_file = "{state_dir}/terminal.pem"

[enrolment]
address = "{address}"
"""
_READER = """
[[reader]]
name = "{name}"
profile = "{profile}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Where the files of a terminal go, and the user that runs its service; None: this user."""

    config: Path
    state_dir: Path
    user: str | None


def enrol(code: Code, box: Box, devices: list[Device]) -> Enrolment:
    """Make this box a terminal, or give the terminal that it is new certificates.

    Raise `AgentError`; the same code may then be tried again. `forget_key` ends the enrolment.
    """
    present = load_file(box.config) if box.config.exists() else None
    owner, group = _owner(box.user)
    authority = fetch_authority(code)
    try:
        box.config.parent.mkdir(parents=True, exist_ok=True)
        box.state_dir.mkdir(mode=0o710, parents=True, exist_ok=True)
        key = _key(box.state_dir / KEY_NAME)
        message = EnrolRequest(code.secret.hex(), certificate_request(key))
        answer = post(code.address, ENROL_PATH, message, authority, Enrolment)
        if present is not None and (present.town, present.terminal) != (
            answer.town,
            answer.terminal,
        ):
            raise AgentError(
                f"{box.config}: this box is {present.terminal} of {present.town}, and the code is"
                f" for {answer.terminal} of {answer.town}. To make it that, move this file away,"
                " and give the same code again"
            )
        certificate = box.state_dir / "ca.crt"
        write_whole(certificate, answer.authority, PUBLIC_MODE, owner=owner, group=group)
        own = box.state_dir / "terminal.pem"
        write_whole(own, key + answer.certificate, SECRET_MODE, owner=owner, group=group)
        write_whole(box.config.parent / "card-key", answer.card_key + "\n", SECRET_MODE)
        if present is None:
            write_whole(box.config, _toml(answer, box, devices), PUBLIC_MODE)
    except OSError as error:
        raise _denied(error) from error
    return answer


def forget_key(box: Box) -> None:
    """Delete the enrolment's own copy of the key, once the service is started.

    Until then the same code gives the same certificate.
    """
    (box.state_dir / KEY_NAME).unlink(missing_ok=True)


def _key(path: Path) -> str:
    """Return the key of this enrolment, which is on the disk before the central has its name."""
    if path.exists():
        key = path.read_text(encoding="ascii", errors="replace")
        with suppress(AgentError):
            certificate_request(key)
            return key
    key = new_key()
    write_whole(path, key, SECRET_MODE)
    return key


def renew(config: Path, now: datetime) -> str:
    """Renew the certificate if it ends within `RENEW_DAYS`; return what was done.

    The running agent uses the new file at its next connection. Raise `AgentError`: the agent
    reports a try that failed on several days.
    """
    file = load_file(config)
    if file.enrolment is None:
        raise ConfigError(f"{config}: key 'enrolment': missing; this terminal was not enrolled")
    if now.year < OLDEST_PLAUSIBLE_YEAR:
        return "the clock is not set yet: nothing was done"
    state_dir = config.parent / file.state_dir
    try:
        done = _renew(config, file, parse_address(file.enrolment.address), now)
    except AgentError as error:
        note_failure(state_dir, str(error), now)
        raise
    forget_failures(state_dir)
    return done


def _renew(config: Path, file: File, address: Address, now: datetime) -> str:
    own, trusted = file.broker.certificate_file, file.broker.ca_file
    if own is None or own != file.broker.key_file or trusted is None:
        raise ConfigError(
            f"{config}: key 'broker': renew needs ca_file, and the same file as certificate_file"
            " and key_file, as enrol writes them"
        )
    path = config.parent / own
    try:
        present = path.read_text(encoding="ascii", errors="backslashreplace")
        authority = (config.parent / trusted).read_text(encoding="ascii", errors="backslashreplace")
    except OSError as error:
        raise _denied(error) from error
    until = valid_until(present)
    if until - now > timedelta(days=RENEW_DAYS):
        return f"the certificate ends on {until:%Y-%m-%d}: nothing to do yet"
    key = new_key()
    request = certificate_request(key)
    signature = sign(present, request.encode("ascii")).hex()
    message = RenewRequest(present[present.index("-----BEGIN CERT") :], request, signature)
    answer = post(address, RENEW_PATH, message, authority, Renewal)
    text, before = key + answer.certificate, path.stat()
    # The unit is the owner. It may not give the file to the group that systemd gave it to.
    owner, group = (before.st_uid, before.st_gid) if os.geteuid() == 0 else (-1, -1)
    try:
        # One file, replaced in one step: key and certificate always fit.
        write_whole(path, text, SECRET_MODE, owner=owner, group=group)
        if answer.authority != authority:
            ca = config.parent / trusted
            write_whole(ca, answer.authority, PUBLIC_MODE, owner=owner, group=group)
    except OSError as error:
        raise _denied(error) from error
    return f"renewed: the certificate ends on {valid_until(answer.certificate):%Y-%m-%d}"


def _denied(error: OSError) -> AgentError:
    hint = "; call this command with sudo" if isinstance(error, PermissionError) else ""
    return AgentError(f"{error.filename}: {error.strerror}{hint}")


def present() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


def _owner(user: str | None) -> tuple[int, int]:
    if user is None:
        return -1, -1
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise AgentError(f"there is no user {user}; install the package canteen-agent") from None
    return entry.pw_uid, entry.pw_gid


def _toml(answer: Enrolment, box: Box, devices: list[Device]) -> str:
    text = _TOML.format(
        town=answer.town,
        terminal=answer.terminal,
        zone=answer.zone,
        state_dir=box.state_dir.resolve(),
        broker=answer.broker,
        address=answer.address,
    )
    readers = [
        _reader(number, device.profile, device.location or "")
        for number, device in enumerate(_usable(devices), start=1)
        if device.profile is not None
    ]
    return text + "".join(readers or [_READER.format(name="counter", profile=PROFILE_DEFAULT)])


def _usable(devices: list[Device]) -> list[Device]:
    """Return the readers to configure. A PC/SC reader with two slots is there once."""
    usable: list[Device] = []
    for device in devices:
        profile = device.profile
        if profile is None or device.location is None:
            continue
        is_pcsc = profile.transport == "pcsc"
        if not (is_pcsc and any(other.profile is profile for other in usable)):
            usable.append(device)
    return usable


def _reader(number: int, profile: Profile, location: str) -> str:
    name = "counter" if number == 1 else f"counter-{number}"
    text = _READER.format(name=name, profile=profile.id)
    return text + ("" if profile.transport == "pcsc" else f"port = {json.dumps(location)}\n")
