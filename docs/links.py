"""Checks every Markdown page: what it points at exists, and it can be read.

`python -m docs.links --check` ends with 1 and names page and line when
- a relative link leads to no file, or to no heading of that file;
- a path of the project in code type does not exist, nor a `make` target, command or option;
- docs/CONSISTENCY.md names an invariant that no file tests/*invariants.py has, or leaves one out;
- docs/PROTOCOL.md does not name a field of a message, a record or an entry;
- a line has more than 120 characters, or a sentence more than 25 words.
It also checks that every page that a Python file names exists.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from agent.domain.canteen import (
    AccountRecord,
    CardRecord,
    GoneRecord,
    LastCredit,
    LastMeal,
    PolicyRecord,
    Price,
    ServiceRecord,
)
from agent.domain.ledger import ChainEnd, Entry, Reversed
from agent.sync.messages import (
    CentralState,
    Changes,
    Digest,
    Entries,
    Hello,
    Note,
    Order,
    TerminalState,
)
from docs import printed
from docs.commands import PROGRAMS

LINE_MAX = 120
WORDS_MAX = 25
# printed from the words of code: a table row cannot be wrapped, and sentences are the code's
PRINTED = {f"docs/reference/{name}.md" for name in ("commands", "limits")}
LISTS = {"docs/contribute/limits.md"}
ROOMS = "agent|bench|demo|docs|firmware-profiles|packaging|requirements|systemd|tests"
CODE = ("agent", "bench", "demo", "docs", "tests")
INVARIANTS = sorted((printed.ROOT / "tests").glob("*invariants.py"))
PROOF = "docs/CONSISTENCY.md"
CONTRACT = "docs/PROTOCOL.md"
CONTRACT_TYPES: tuple[type[msgspec.Struct], ...] = (
    *(Hello, Entries, Changes, Note, Digest, Order, TerminalState, CentralState),
    *(AccountRecord, CardRecord, PolicyRecord, ServiceRecord, GoneRecord),
    *(Price, LastMeal, LastCredit, Entry, Reversed, ChainEnd),
)

_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_CODE = re.compile(r"`([^`]+)`")
_PATH = re.compile(rf"(?<![\w./-])(?:{ROOMS})/[\w./*-]*[\w/*]")
_PAGE = re.compile(r"\bdocs/[\w/-]+\.md")
_MAKE = re.compile(r"\bmake ([a-z][a-z0-9-]+)")
_COMMAND = re.compile(r"(?<!-u )\b(canteen-agent|canteen-central)((?: +[^\s`|;&#]+)*)")
_WATCHED = re.compile(r"`([a-z]+(?:_[a-z]+)+)`")
_REPEATED = re.compile(r"^-([a-z])\1+$")
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+(?=[A-Z`*\[(\"…0-9])")


def pages() -> Iterator[Path]:
    """Yield every Markdown file of the project, not of what is installed in it."""
    for path in sorted(printed.ROOT.rglob("*.md")):
        parts = path.relative_to(printed.ROOT).parts
        if not any(part.startswith((".", "bench-of-")) or part == "node_modules" for part in parts):
            yield path


def complaints(path: Path) -> Iterator[str]:
    """Yield what is wrong with one page."""
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(printed.ROOT).as_posix()
    fenced = False
    for number, line in enumerate(text.splitlines(), start=1):
        fenced ^= line.lstrip().startswith("```")
        codes = [line] if fenced else _CODE.findall(line)
        found = [*_paths(codes), *_targets(codes), *_commands(codes)]
        found += [] if fenced else _links(path, line)
        if len(line) > LINE_MAX and name not in PRINTED:
            found.append(f"has {len(line)} characters, more than {LINE_MAX}")
        yield from (f"{name}:{number}: {complaint}" for complaint in found)
    if name not in PRINTED | LISTS:
        yield from (f"{name}: {complaint}" for complaint in _sentences(text))
    if name == PROOF:
        yield from (f"{name}: {complaint}" for complaint in _invariants(text))
    if name == CONTRACT:
        yield from (f"{name}: {complaint}" for complaint in _fields(text))


def _links(path: Path, line: str) -> Iterator[str]:
    for match in _LINK.finditer(_CODE.sub("", line)):
        target, _, heading = match["target"].partition("#")
        if "://" in target:
            continue
        file = path.parent / target if target else path
        if not file.exists():
            yield f"leads to {target}, which does not exist"
        elif heading and heading not in _headings(file):
            yield f"leads to {match['target']}, and there is no such heading"


def _headings(file: Path) -> set[str]:
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    words = [re.sub(r"[^\w\s-]", "", line.lstrip("# ").lower()) for line in lines]
    return {re.sub(r"\s", "-", text.strip()) for text in words}


def _paths(codes: list[str]) -> Iterator[str]:
    for path in [path for code in codes for path in _PATH.findall(code)]:
        if not any(printed.ROOT.glob(path.rstrip("/"))):
            yield f"names {path}, which does not exist"


def _targets(codes: list[str]) -> Iterator[str]:
    makefile = (printed.ROOT / "Makefile").read_text(encoding="utf-8")
    for target in [target for code in codes for target in _MAKE.findall(code)]:
        if not re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE):
            yield f"names make {target}, which the Makefile lacks"


def _commands(codes: list[str]) -> Iterator[str]:
    """Yield what a quoted command line says that the program does not know."""
    for program, words in [found for code in codes for found in _COMMAND.findall(code)]:
        command: click.Command = PROGRAMS[program]
        known = {option: param for param in command.params for option in param.opts}
        rest = iter(words.split())
        for word in rest:
            if word == "--":
                break
            if word.startswith("-") and len(word) > 1:
                param = known.get(_REPEATED.sub(r"-\1", word.partition("=")[0]))
                if param is None and word not in ("-h", "--help"):
                    yield f"names {program} … {word}, which does not exist"
                if isinstance(param, click.Option) and not (param.is_flag or param.count):
                    next(rest, None)
            elif isinstance(command, click.Group):
                if word not in command.commands:
                    if re.fullmatch(r"[a-z-]+", word):
                        yield f"names {program} … {word}, which does not exist"
                    break
                command = command.commands[word]
                known |= {option: param for param in command.params for option in param.opts}


def _sentences(text: str) -> Iterator[str]:
    for block in _prose(text):
        plain = _LINK.sub("]", block)
        for sentence in _SENTENCE_END.split(plain):
            words = re.findall(r"`[^`]*`|[^\s`]*\w[^\s`]*", sentence)
            if len(words) > WORDS_MAX:
                yield f"a sentence has {len(words)} words: {' '.join(sentence.split())[:60]}…"


def _prose(text: str) -> Iterator[str]:
    """Yield paragraphs, list items and table cells, without code blocks."""
    block: list[str] = []
    fenced = False
    for line in [*text.splitlines(), ""]:
        if line.lstrip().startswith("```"):
            fenced = not fenced
        begins = re.match(r"\s*([*-]|\d+\.|>|#+)\s", line) is not None
        if fenced or not line.strip() or begins or line.lstrip().startswith(("|", "```")):
            yield " ".join(block)
            block = []
        if fenced or line.lstrip().startswith("```"):
            continue
        if line.lstrip().startswith("|"):
            yield from line.split("|")
        elif line.strip():
            block.append(line.strip())


def _invariants(text: str) -> Iterator[str]:
    """Yield invariants that lines "Watched by …" name and that do not exist, and those left out."""
    there = {
        node.name
        for file in INVARIANTS
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    named = {
        name
        for block in _prose(text)
        if block.startswith("Watched by")
        for name in _WATCHED.findall(block)
    }
    yield from (f"names the invariant {name}, which does not exist" for name in named - there)
    yield from (f"does not name the invariant {name}" for name in sorted(there - named))


def _fields(text: str) -> Iterator[str]:
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`]+`|```.*?```", text, re.DOTALL))))
    for form in CONTRACT_TYPES:
        for field in msgspec.structs.fields(form):
            if field.encode_name not in words:
                yield f"does not name the field {field.encode_name} of {form.__name__}"


def _named_in_code() -> Iterator[str]:
    files = [path for room in CODE for path in (printed.ROOT / room).rglob("*.py")]
    for path in files:
        if "house_rules" in path.as_posix():
            continue  # its samples name pages that do not exist
        for page in _PAGE.findall(path.read_text(encoding="utf-8")):
            if not (printed.ROOT / page).exists():
                yield f"{path.relative_to(printed.ROOT)}: names {page}, which does not exist"


def main() -> int:
    found = [complaint for path in pages() for complaint in complaints(path)]
    found += _named_in_code()
    for complaint in found:
        print(complaint)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
