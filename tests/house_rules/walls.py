"""Rules of the tree: which file may import which library, and tests that mirror the modules."""

import ast
import re
from collections.abc import Iterator, Sequence

from tests.house_rules.source import Complaint, Source

# library -> the files and folders of agent/ that may import it
WALLS: dict[str, tuple[str, ...]] = {
    "smartcard": ("agent/readers/pcsc.py", "agent/readers/pcsc_calls.py"),
    "serial": ("agent/readers/serial_port.py", "agent/readers/plugged.py"),
    "evdev": ("agent/readers/keyboard.py",),
    "paho": ("agent/sync/mqtt.py",),
    "sqlite3": ("agent/sqlite_file.py", "agent/store/", "agent/central/books/"),
    "sqlite_utils": ("agent/store/",),
    "sqlalchemy": ("agent/central/books/",),
    "alembic": ("agent/central/books/migrations/",),
    "psycopg": ("agent/central/books/",),
    "starlette": ("agent/screen/", "agent/central/web/", "demo/"),
    "fpdf": ("agent/central/office/yearly_pdf.py",),
    "openpyxl": ("agent/central/office/roster_xlsx.py",),
    "defusedxml": ("agent/central/payments/xml.py",),
    "prometheus_client": ("agent/central/metrics.py",),
    "tenacity": ("agent/readers/thread.py",),
}
_LIMIT = re.compile(r"[A-Z][A-Z0-9_]*_(?:MAX|MIN)")


def check_imports(source: Source) -> Iterator[Complaint]:
    """Find imports of a library outside its wall."""
    for node in ast.walk(source.tree) if source.in_agent else ():
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        else:
            continue
        for module in modules:
            allowed = WALLS.get(module.split(".")[0])
            if allowed is not None and not source.name.startswith(allowed):
                sentence = f"imports {module}; only {', '.join(allowed)} may"
                yield Complaint("walls", source.name, node.lineno, sentence)


def check_mirror(sources: Sequence[Source]) -> Iterator[Complaint]:
    """Find modules of agent/ that have no test file of their name at the same place.

    The steps of a schema are tested together, by the files that they change.
    """
    names = {source.name for source in sources}
    for source in sources:
        folder, _, file = source.name.removeprefix("agent/").rpartition("/")
        if not source.in_agent or file == "__init__.py" or folder.endswith("/versions"):
            continue
        test = "/".join(["tests", *([folder] if folder else []), f"test_{file}"])
        if test not in names:
            yield Complaint("mirror", source.name, 1, f"has no test file {test}")


def check_limits(sources: Sequence[Source]) -> Iterator[Complaint]:
    """Find limits (`…_MAX`, `…_MIN`) of agent/ that no test names."""
    tests = [source.text for source in sources if source.name.startswith("tests/")]
    tested = {name for text in tests for name in _LIMIT.findall(text)}
    for source in sources:
        for node in source.tree.body if source.in_agent else ():
            targets = node.targets if isinstance(node, ast.Assign) else []
            for name in (target.id for target in targets if isinstance(target, ast.Name)):
                if _LIMIT.fullmatch(name.strip("_")) and name.strip("_") not in tested:
                    sentence = f"no test names the limit {name}"
                    yield Complaint("limits", source.name, node.lineno, sentence)
