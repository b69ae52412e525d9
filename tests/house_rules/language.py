"""Rules of language: banned words and names, length of lines and commit subjects."""

import ast
import io
import re
import shutil
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.house_rules.source import Complaint, Source

PYTHON_COLUMNS_MAX = 100
DOCUMENT_COLUMNS_MAX = 120
SUBJECT_COLUMNS_MAX = 72
FIRST_COMMIT = "883ac4e0839aa73df2538a8357ed7eaa1450cb7c"
"""The commit that brought the rule: the subjects of its descendants are checked."""

# word or phrase -> what to write; whole words, any case
BANNED_PHRASES = {
    "anew": "again",
    "ask(?:ed|s)? for again": "requested again",
    "bites?": "chunk, step",
    "brings? about": "causes, returns",
    "founded": "initialised",
    "go(?:es)? by": "uses, follows",
    "(?:un)?heard": "received, last contact",
    "hears?": "receives",
    "lies": "is, stands",
    "said": "sent, wrote, reported",
    "see to it": "what to do, in one sentence",
    "spoilt": "damaged",
    "told": "sent, shown, acknowledged",
    "whoever": "the program, the person or the thread by name",
}
_BANNED = re.compile(
    rf"(?<![-\w])(?:{'|'.join(f'(?:{phrase})' for phrase in BANNED_PHRASES)})(?![-\w])",
    re.IGNORECASE,
)

# `journal` is systemd's: one of these words must be in the same text
_JOURNAL = re.compile(r"\bjournals?\b", re.IGNORECASE)
_JOURNAL_OF = re.compile(r"systemd|journald|journalctl|rollback|journal_mode|-journal\b")
JOURNAL_ROOMS = ("agent/ops/", "tests/ops/", "systemd/")

BANNED_NAME_PARTS = frozenset({"found", "told", "heard", "said", "life", "bite", "here"})
BANNED_NAMES = frozenset({"one"})
_NAME_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


class _Text(NamedTuple):
    """A docstring, string, comment or test name, with its line."""

    line: int
    text: str


def check_phrases(source: Source) -> Iterator[Complaint]:
    """Find banned words in docstrings, strings, comments and test names, or in a plain text."""
    is_python = source.name.endswith(".py")
    for text in _python_texts(source) if is_python else _lines(source):
        for match in _BANNED.finditer(text.text):
            instead = next(
                plain
                for phrase, plain in BANNED_PHRASES.items()
                if re.fullmatch(phrase, match[0], re.IGNORECASE)
            )
            line = text.line + text.text[: match.start()].count("\n")
            sentence = f"{match[0]!r} is banned; write: {instead}"
            yield Complaint("phrases", source.name, line, sentence)
        if (
            not source.name.startswith(JOURNAL_ROOMS)
            and _JOURNAL.search(text.text)
            and not _JOURNAL_OF.search(text.text)
        ):
            sentence = "'journal' is systemd's only; write-ahead log, rollback journal, generation?"
            yield Complaint("phrases", source.name, text.line, sentence)


def _python_texts(source: Source) -> Iterator[_Text]:
    for node in ast.walk(source.tree):
        # a string without a space is a word of the contract or of a library, not a text for people
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield _Text(node.lineno, node.value)
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield _Text(node.lineno, node.name.replace("_", " "))
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type == tokenize.COMMENT:
            yield _Text(token.start[0], token.string)


def _lines(source: Source) -> Iterator[_Text]:
    for number, line in enumerate(source.text.splitlines(), start=1):
        yield _Text(number, line)


def check_names(source: Source) -> Iterator[Complaint]:
    """Find banned words in names of variables, parameters, functions and classes in agent/."""
    if not source.in_agent:
        return
    for node in ast.walk(source.tree):
        for name in _names_defined(node):
            parts = {part.lower() for part in _NAME_PARTS.findall(name)}
            is_journal = "journal" in parts and not source.name.startswith(JOURNAL_ROOMS)
            if name.strip("_") in BANNED_NAMES or parts & BANNED_NAME_PARTS or is_journal:
                sentence = f"{name!r} is no name; use a noun for what it is"
                yield Complaint("names", source.name, getattr(node, "lineno", 1), sentence)


def _names_defined(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
            yield name
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            yield name
        case ast.MatchAs(name=str(name)) | ast.ExceptHandler(name=str(name)):
            yield name
        case ast.alias(asname=str(name)):
            yield name


def check_columns(source: Source) -> Iterator[Complaint]:
    """Find lines that are too long."""
    columns_max = PYTHON_COLUMNS_MAX if source.name.endswith(".py") else DOCUMENT_COLUMNS_MAX
    for number, line in enumerate(source.text.splitlines(), start=1):
        if len(line) > columns_max:
            sentence = f"{len(line)} columns, more than {columns_max}"
            yield Complaint("columns", source.name, number, sentence)


def subjects_since(root: Path, first: str, last: str = "HEAD") -> list[str] | None:
    """Return the subjects of the descendants of a commit, None if this copy lacks the commit."""
    if shutil.which("git") is None:
        return None
    log = subprocess.run(
        ["git", "log", "--format=%s", "--ancestry-path", f"{first}..{last}"],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return log.stdout.splitlines() if log.returncode == 0 else None


def check_subjects(subjects: list[str]) -> Iterator[Complaint]:
    """Find commit subjects that are too long."""
    for subject in subjects:
        if len(subject) > SUBJECT_COLUMNS_MAX:
            sentence = f"{len(subject)} columns, more than {SUBJECT_COLUMNS_MAX}: {subject}"
            yield Complaint("subjects", "git log", 1, sentence)
