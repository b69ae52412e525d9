"""Prints into docs/contribute/limits.md, for each limit, the tests that name it.

`python -m docs.tested` writes the list. `--check` ends with 1 when it differs, when no test names
a limit, or when a test that the page names elsewhere does not exist.
"""

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from docs import printed
from docs.limits import Limit, limits

PAGE = printed.ROOT / "docs" / "contribute" / "limits.md"
BEGIN, END = "<!-- printed by python -m docs.tested -->", "<!-- end -->"
NO_TEST = "no test names it"

_NAMED = re.compile(r"`(?:(?P<file>tests/[\w/]+\.py)|(?P<name>test_\w+))`")


def text() -> str:
    """Return the list of limits, each with its tests."""
    bounds = [limit for limit in limits() if limit.name.endswith(("_MAX", "_MIN"))]
    names = Counter(limit.name for limit in bounds)
    tests = list(_tests())
    items = []
    for limit in bounds:
        lines = [f"* `{limit.name}` of `{limit.file}`"]
        for path, name, code in tests:
            is_named = re.search(rf"\b{limit.name}\b", code) is not None
            if is_named and (names[limit.name] == 1 or _imports(path, limit)):
                file = f"  in `{path.relative_to(printed.ROOT)}`:"
                lines += [f"  `{name}`"] if file in lines else [file, f"  `{name}`"]
        items.append("\n".join(lines if len(lines) > 1 else [*lines, f"  {NO_TEST}"]))
    return "\n".join(items)


def complaints(page: str) -> Iterator[str]:
    """Yield what is wrong with a page: a limit without a test, a rule without one, a lost test."""
    name = PAGE.relative_to(printed.ROOT)
    for item in page.split("\n* ")[1:]:
        source = None
        for match in _NAMED.finditer(item):
            if match["file"] is not None:
                path = printed.ROOT / match["file"]
                source = path.read_text(encoding="utf-8") if path.exists() else ""
            elif f"def {match['name']}(" not in (source or ""):
                yield f"{name}: {match['name']} does not exist: {item.splitlines()[0]}"
        if source is None:
            yield f"{name}: no test: {item.splitlines()[0]}"


def _tests() -> Iterator[tuple[Path, str, str]]:
    """Yield file, name and source of every test, with its decorators and the values they name."""
    for path in sorted((printed.ROOT / "tests").rglob("test_*.py")):
        source = path.read_text(encoding="utf-8")
        body = ast.parse(source).body
        values = {
            target.id: _segment(source, node.lineno, node.end_lineno)
            for node in body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                first = min([node.lineno, *(part.lineno for part in node.decorator_list)])
                code = _segment(source, first, node.end_lineno)
                named = [values[name] for name in values if re.search(rf"\b{name}\b", code)]
                yield path, node.name, "\n".join([code, *named])


def _segment(source: str, first: int, last: int | None) -> str:
    return "\n".join(source.splitlines()[first - 1 : last])


def _imports(path: Path, limit: Limit) -> bool:
    """Return whether a test file imports the module of a limit. Two limits may have one name."""
    module = limit.file.removesuffix(".py").replace("/", ".")
    room, _, stem = module.rpartition(".")
    source = path.read_text(encoding="utf-8")
    return (
        re.search(rf"\b{re.escape(module)}\b", source) is not None
        or re.search(rf"from {re.escape(room)} import [^\n]*\b{stem}\b", source) is not None
    )


def main(check: bool) -> int:
    page = printed.part(PAGE, BEGIN, END, text())
    found = list(complaints(page)) if check else []
    for complaint in found:
        print(complaint)
    return printed.finish({PAGE: page}, check=check) or int(bool(found))


if __name__ == "__main__":
    sys.exit(main(printed.wants_check()))
