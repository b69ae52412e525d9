"""Prints docs/reference/limits.md: every limit and interval in the program, with value and reason.

`python -m docs.limits` writes the page, `--check` ends with 1 when it differs.
"""

import ast
import importlib
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docs import printed

PAGE = printed.ROOT / "docs" / "reference" / "limits.md"
LINE_MAX = 118
HEAD = """# Limits and intervals

```
MESSAGE_BYTES_MAX = 256 * 1024
```

A limit is a constant in the file that keeps it, with its reason as a comment.
A name that ends in `_MAX` or `_MIN` is a limit. `_MS`, `_S` and `_BYTES` are units.
[Limits and privacy rules](../contribute/limits.md) says which test reaches each limit.

This page is printed from the program by `python -m docs.limits`.
"""
_NAME = re.compile(r"[A-Z][A-Z0-9_]*_(MAX|MIN|MS|S|H|BYTES|RECORDS|ROWS)")
_UNIT = re.compile(r"(?<!PER)_(?P<unit>MS|S|BYTES|CENTS)(_MAX|_MIN)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A constant of a module. `reason` is its comment, or nothing."""

    file: str
    name: str
    value: float
    reason: str


def text() -> str:
    """Return the page."""
    parts, room = [HEAD], ""
    wrap = textwrap.TextWrapper(LINE_MAX, subsequent_indent="  ", break_on_hyphens=False)
    for limit in limits():
        if (here := limit.file.rpartition("/")[0]) != room:
            room = here
            parts.append(f"\n## {room}\n\n")
        item = f"* `{limit.name}` = {_number(limit)} (`{limit.file}`){limit.reason}"
        parts.append(wrap.fill(item.strip()) + "\n")
    return "".join(parts)


def limits() -> Iterator[Limit]:
    """Yield every limit in the program, ordered by file."""
    for path in sorted((printed.ROOT / "agent").rglob("*.py"), key=_room_and_name):
        file = path.relative_to(printed.ROOT).as_posix()
        source = path.read_text(encoding="utf-8")
        body = ast.parse(source).body
        for node, after in zip(body, [*body[1:], None], strict=True):
            name = _assigned(node)
            if name is None or not _NAME.fullmatch(name):
                continue
            module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
            value = getattr(module, name)
            if isinstance(value, int | float):
                yield Limit(file=file, name=name, value=value, reason=_reason(source, node, after))


def _room_and_name(path: Path) -> tuple[str, str]:
    return str(path.parent), path.name


def _assigned(node: ast.stmt) -> str | None:
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id
    return None


def _reason(source: str, node: ast.stmt, after: ast.stmt | None) -> str:
    """Return why a constant has its value: the text after it, else its comment.

    A comment is on the constant's own lines, else in the lines above it.
    """
    if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
        return _sentence(str(after.value.value))
    lines = source.splitlines()
    comments = [_comment(line) for line in lines[node.lineno - 1 : node.end_lineno]]
    if not any(comments):
        above = node.lineno - 2
        while above >= 0 and lines[above].startswith("#"):
            comments.insert(0, _comment(lines[above]))
            above -= 1
    return _sentence(" ".join(comments))


def _sentence(text: str) -> str:
    words = " ".join(text.split())
    return f": {words.rstrip('.')}." if words else "."


def _comment(line: str) -> str:
    """Return the comment of one line of a constant, which holds no text with a #."""
    return line.partition("#")[2].strip()


def _number(limit: Limit) -> str:
    unit = _UNIT.search(limit.name)
    return f"{limit.value:,} {unit['unit'].lower()}" if unit else f"{limit.value:,}"


def main(check: bool) -> int:
    return printed.finish({PAGE: text()}, check=check)


if __name__ == "__main__":
    sys.exit(main(printed.wants_check()))
