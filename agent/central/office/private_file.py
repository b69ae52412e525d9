"""Files that the office keeps: only their owner may read them, and none is ever half written."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from agent.errors import CentralError


def write_private(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file of its parts, in place of an earlier one of that name, all of it or nothing.

    Raise `CentralError` if it cannot be written.
    """
    try:
        # mkstemp's file has mode 600; in the same folder, so that the rename cannot fail half-way
        descriptor, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(parts)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CentralError(f"{path}: cannot be written: {error.strerror}") from error


def make_folder(path: Path) -> None:
    """Create a folder for such files, unless it exists. Raise `CentralError`."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CentralError(f"{path}: cannot be made: {error.strerror}") from error
