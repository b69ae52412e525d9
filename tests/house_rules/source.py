"""The files that the house rules read, and what a rule returns."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHON_FOLDERS = ("agent", "bench", "demo", "docs", "tests")
DOCUMENTS = ("*.md", "docs/**/*.md")
OTHER_TEXTS = ("Makefile", "systemd/*", "firmware-profiles/*.toml")
NOT_OURS = ("tests/brokers/node_modules/",)


class Complaint(NamedTuple):
    """A place that breaks a rule, and what to do."""

    rule: str
    name: str
    line: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.name}:{self.line}: {self.sentence} [{self.rule}]"


@dataclass(frozen=True)
class Source:
    """A file by its path from the root, and its text."""

    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Return the syntax tree of a Python file."""
        return ast.parse(self.text, self.name)

    @property
    def in_agent(self) -> bool:
        return self.name.startswith("agent/")

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


def python_sources(root: Path) -> list[Source]:
    """Return all Python files of the project under `root`."""
    return _sources(root, [f"{folder}/**/*.py" for folder in PYTHON_FOLDERS])


def documents(root: Path) -> list[Source]:
    """Return all Markdown files of the project under `root`."""
    return _sources(root, DOCUMENTS)


def other_texts(root: Path) -> list[Source]:
    """Return the other texts that people read: the Makefile, units, firmware profiles."""
    return _sources(root, OTHER_TEXTS)


def _sources(root: Path, patterns: list[str] | tuple[str, ...]) -> list[Source]:
    paths = sorted({path for pattern in patterns for path in root.glob(pattern) if path.is_file()})
    names = [(path, path.relative_to(root).as_posix()) for path in paths]
    return [
        Source(name, path.read_text(encoding="utf-8"))
        for path, name in names
        if not name.startswith(NOT_OURS)
    ]
