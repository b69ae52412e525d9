"""Whether agent.toml and the secrets that systemd hands over are right."""

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from agent.errors import AgentError
from agent.terminal.config import File, load_file, load_readers
from agent.terminal.doctor.finding import Finding, fault, hidden, ok
from agent.terminal.doctor.lines import ENROL, RESTART, edit

SECRETS = Path("/etc/canteen-agent")
USER = "canteen-agent"
TECHNICIANS = "canteen-technician"
_CREDENTIAL = "credential:"


def look_at_file(path: Path) -> Iterator[Finding]:
    """Yield the findings about agent.toml. Secrets are not read."""
    try:
        load_file(path)
        readers = load_readers(path)
    except AgentError as error:
        mend = edit(path) if os.path.lexists(path) else ENROL
        yield fault("configuration.file", str(error), mend)
        return
    if not _agent_may_read(path):
        seen = f"{path}: the user {USER} may not read it"
        yield fault("configuration.file", seen, f"sudo chmod 644 {path} && {RESTART}")
        return
    names = ", ".join(reader.name for reader in readers)
    yield ok("configuration.file", f"{path} is right; readers: {names}")


def _agent_may_read(path: Path) -> bool:
    """Return whether the unit's user may read a file, as far as its mode says."""
    status = os.stat(path)
    try:
        user = pwd.getpwnam(USER)
    except KeyError:
        return True  # no such user: an agent that somebody runs by hand
    if status.st_uid == user.pw_uid:
        return bool(status.st_mode & stat.S_IRUSR)
    if status.st_gid == user.pw_gid:
        return bool(status.st_mode & stat.S_IRGRP)
    return bool(status.st_mode & stat.S_IROTH)


def look_at_credentials(file: File, secrets: Path = SECRETS) -> Iterator[Finding]:
    """Yield the findings about the files that the unit hands over (`LoadCredential`)."""
    broker = file.broker
    named = (file.card_key_file, broker.key_file, broker.password_file)
    for name in named:
        if name is not None and name.startswith(_CREDENTIAL):
            yield _secret(secrets / name.removeprefix(_CREDENTIAL))


def _secret(path: Path) -> Finding:
    check = "credential.file"
    mend = f"sudo install -m 600 -o root -g root FILE {path} && {RESTART}"
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return fault(check, f"{path} is missing", mend)
    except PermissionError:
        return hidden(check, f"{path}: root may see it; run sudo canteen-agent doctor")
    if status.st_size == 0:
        return fault(check, f"{path} is empty", mend)
    if stat.S_IMODE(status.st_mode) & 0o077:
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        return fault(check, f"{path} has mode {mode}: others may read it", f"sudo chmod 600 {path}")
    return ok(check, f"{path} is there, for its owner alone")
