"""A bug planted on purpose: named changes of the program's text, made in a copy of the program.

`was` must occur exactly once in its file. If the line changes, the bug must be brought up to date;
`make test` says which.
"""

from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent


class Change(NamedTuple):
    """In `file`, a path from the project's root, `becomes` replaces `was`."""

    file: str
    was: str
    becomes: str


class Bug:
    """One planted bug.

    The simulator must find it within `runs` seeds. A `quick` bug is found within seconds:
    `make test` tries those, `make sim-bite` tries all.
    """

    def __init__(self, name: str, *changes: Change, runs: int = 300, quick: bool = False) -> None:
        self.name = name
        self.changes = changes
        self.runs = runs
        self.quick = quick

    def texts(self) -> dict[str, str]:
        """Return path -> text of the changed files.

        Raise `RuntimeError` if a `was` does not occur exactly once.
        """
        texts: dict[str, str] = {}
        for change in self.changes:
            text = texts.get(change.file) or (ROOT / change.file).read_text(encoding="utf-8")
            times = text.count(change.was)
            if times != 1:
                raise RuntimeError(
                    f"{self.name}: {change.file} contains {change.was!r} {times} times, not once; "
                    "bring this bug in tests/simulation/bugs_in_*.py up to date"
                )
            texts[change.file] = text.replace(change.was, change.becomes)
        return texts
