"""The state folder, its disk, and the ledger in it. Reads only."""

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from agent.errors import StoreError
from agent.store.disk_space import free_bytes, full_words, has_inodes, megabytes
from agent.store.reserve import LEFT_BYTES, Reserve
from agent.store.verify import verify
from agent.store.viewing import view
from agent.terminal.doctor.finding import Finding, fault, hidden, ok, warning
from agent.terminal.doctor.lines import RESTART
from agent.terminal.doctor.settings import TECHNICIANS, USER

_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_MORE_SPACE = "sudo apt-get clean; sudo journalctl --vacuum-size=16M"
_FEWER_FILES = "sudo du --inodes -xS / | sort -n | tail  # remove many small files there"
_UPGRADE = "sudo apt-get update && sudo apt-get install --only-upgrade '?name(^canteen-)'"
_NEWER = "newer program"  # in the sentence of a ledger that a later version has migrated
DIFFERENCES_SHOWN = 3


def look_at_storage(database: Path) -> Iterator[Finding]:
    """Yield the findings about the folder, the disk and the ledger."""
    folder = database.parent
    try:
        status = os.stat(folder)
    except FileNotFoundError:
        mend = f"sudo install -d -o {USER} -g {TECHNICIANS} -m 711 {folder}; {RESTART}"
        yield fault("storage.folder", f"{folder} is missing", mend)
        return
    except PermissionError:
        yield hidden("storage.folder", f"{folder}: root and {TECHNICIANS} may see it")
        return
    yield _owner(folder, status)
    yield look_at_medium(folder)
    yield from _space(folder, Reserve(database))
    yield _ledger(database)


def _owner(folder: Path, status: os.stat_result) -> Finding:
    try:
        wanted = pwd.getpwnam(USER).pw_uid
    except KeyError:
        return ok("storage.folder", f"{folder} is there; this machine has no user {USER}")
    if status.st_uid != wanted:
        seen = f"{folder} belongs to user {status.st_uid}, and the agent cannot write there"
        mend = f"sudo chown -R {USER}:{TECHNICIANS} {folder}; {RESTART}"
        return fault("storage.folder", seen, mend)
    return ok("storage.folder", f"{folder} is there, and the agent's own")


def look_at_medium(folder: Path, mounts: Path = Path("/proc/mounts")) -> Finding:
    """Return whether a folder is on a disk, by the machine's table of mounts."""
    try:
        lines = [line.split() for line in mounts.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        return hidden("storage.medium", f"{mounts}: {error.strerror}")
    real = folder.resolve()
    points = [(Path(words[1]), words[2]) for words in lines if len(words) > 2]
    holding = [(point, kind) for point, kind in points if real.is_relative_to(point)]
    point, kind = max(holding, key=lambda mount: len(mount[0].parts), default=(Path("/"), "?"))
    if kind in _IN_MEMORY:
        seen = f"{folder} is in memory ({kind} at {point}): a power cut takes every meal"
        return fault("storage.medium", seen, _from_memory(folder, point))
    if kind == "overlay":
        seen = f"{folder} is on an overlay at {point}: what is written there may be in memory"
        mend = "write a folder on a partition of its own as state_dir in agent.toml"
        return warning("storage.medium", seen, mend)
    return ok("storage.medium", f"{folder} is on {kind}")


def _from_memory(folder: Path, point: Path) -> str:
    """Return the line that takes a state folder out of memory. What was recorded there is kept."""
    if point != folder.resolve():
        return "write a folder on a disk as state_dir in agent.toml"
    kept = f"{folder}.memory"
    return (
        f"sudo systemctl stop canteen-agent && sudo cp -a {folder} {kept} && sudo umount {folder}"
        f" && sudo systemctl start canteen-agent  # then: ledger salvage {kept}/terminal.db"
    )


def _space(folder: Path, reserve: Reserve) -> Iterator[Finding]:
    try:
        free = free_bytes(folder)
        if has_inodes(folder):
            yield ok("storage.inodes", "more files fit on the disk")
        else:
            yield fault("storage.inodes", full_words(folder), _FEWER_FILES)
    except OSError as error:
        yield hidden("storage.space", f"{folder}: {error.strerror}")
        return
    kept = f"a reserve for about {reserve.taps} taps"
    if free < LEFT_BYTES:
        yield fault("storage.space", f"{full_words(folder)}; {kept}", _MORE_SPACE)
    else:
        yield ok("storage.space", f"{megabytes(free)} free, and {kept}")


def _ledger(database: Path) -> Finding:
    check = "storage.database"
    try:
        if not database.exists():
            return warning(check, f"{database} is missing", "sudo systemctl start canteen-agent")
        with view(database) as db:
            differences = list(verify(db))
    except PermissionError:
        return hidden(check, f"{database}: root and {TECHNICIANS} may read it")
    except StoreError as error:
        if not os.access(database, os.R_OK):
            return hidden(check, f"{database}: root and {TECHNICIANS} may read it")
        return fault(check, str(error), _UPGRADE if _NEWER in str(error) else RESTART)
    if differences:
        seen = "; ".join(differences[:DIFFERENCES_SHOWN])
        return fault(check, f"{len(differences)} differences: {seen}", RESTART)
    return ok(check, "chain, checksums and balances are right")
