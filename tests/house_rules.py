"""House rules that no linter knows: `python -m tests.house_rules` prints what breaks them and ends with 1."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULE_LINES_MAX = 450
FUNCTION_LINES_MAX = 60

# library -> the files that may import it
WALLS = {
    "smartcard": {"agent/readers/pcsc.py"},
    "serial": {"agent/readers/serial_port.py"},
    "evdev": {"agent/readers/keyboard.py"},
    "paho": {"agent/sync/mqtt.py"},
    "sqlite3": {"agent/store/", "agent/central/books/", "agent/sqlite_file.py"},
    "sqlite_utils": {"agent/central/books/lists.py"},
    "msgspec": {"agent/"},
}
MONEY_ROOMS = ("agent/domain/", "agent/store/", "agent/central/")
# not in the project: what would be no test, or hide a fault
FORBIDDEN_IN_TESTS = {
    r"unittest\.mock": "a mock; write a small real far end",
    r"pytest\.(skip|mark\.skip|importorskip|mark\.xfail)": "a skip; fail with the missing package's name",
    r"monkeypatch\.setattr": "a patch; pass the part in",
}


def main() -> int:
    complaints = [complaint for path in _sources() for complaint in _look(path)]
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


def _sources() -> Iterator[Path]:
    for folder in ("agent", "bench", "demo", "docs", "tests"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def _look(path: Path) -> Iterator[str]:
    name = path.relative_to(ROOT).as_posix()
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    if name.endswith("__init__.py"):
        if len(tree.body) > 1:
            yield f"{name}: holds more than the room's docstring"
    elif not ast.get_docstring(tree):
        yield f"{name}: has no docstring that says its rule"
    if len(text.splitlines()) > MODULE_LINES_MAX:
        yield f"{name}: {len(text.splitlines())} lines, more than {MODULE_LINES_MAX}; split by meaning"
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.FunctionDef)
            and (node.end_lineno or 0) - node.lineno > FUNCTION_LINES_MAX
        ):
            yield f"{name}:{node.lineno}: {node.name} does not fit a screen"
        if name.startswith("agent/"):
            yield from _look_at_node(name, node)
    if name.startswith("tests/") and name != "tests/house_rules.py":
        for pattern, why in FORBIDDEN_IN_TESTS.items():
            if match := re.search(pattern, text):
                yield f"{name}: {match[0]} is {why}"
        if "time.sleep(" in text and not name.startswith("tests/parts/"):
            yield f"{name}: sleeps; wait for a condition"


def _look_at_node(name: str, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        modules = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
        for module in modules:
            allowed = WALLS.get(module.split(".")[0])
            if allowed is not None and not any(name.startswith(place) for place in allowed):
                yield f"{name}:{node.lineno}: imports {module}, which only {', '.join(sorted(allowed))} may"
    if isinstance(node, ast.ExceptHandler) and name != "agent/console.py":
        caught = node.type.id if isinstance(node.type, ast.Name) else ""
        transaction = name == "agent/sqlite_file.py"  # roll back and raise again
        if (caught in ("Exception", "BaseException") or node.type is None) and not transaction:
            yield f"{name}:{node.lineno}: a broad except; the only one is in agent/console.py"
    if name.startswith(MONEY_ROOMS):
        if isinstance(node, ast.Name) and node.id in ("float", "Decimal"):
            yield f"{name}:{node.lineno}: {node.id} in a room of money; cents are int"
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield f"{name}:{node.lineno}: a float in a room of money"


if __name__ == "__main__":
    sys.exit(main())
