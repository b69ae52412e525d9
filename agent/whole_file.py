"""A small file that is written whole: after a power cut it is the old one or the new one."""

import os
from pathlib import Path

SECRET_MODE, PUBLIC_MODE = 0o600, 0o644


def write_whole(path: Path, text: str, mode: int, *, owner: int = -1, group: int = -1) -> None:
    """Write a file durably, with its mode and owner, in one step. Raise `OSError`."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)  # of a run that was killed; perhaps with another owner
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchown(descriptor, owner, group)
        os.fchmod(descriptor, mode)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    os.replace(new, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
