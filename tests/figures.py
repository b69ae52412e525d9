"""The figures of STYLE's "measured beside theirs": `python -m tests.figures [REVISION …]`.

Prints one column for each revision; `.`, the default, is the working tree. The figures of shape
count `agent/` alone; lines and subjects count the whole project.
"""

import ast
import io
import math
import re
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.house_rules import language, shape, walls
from tests.house_rules.source import ROOT, Source, python_sources

WORKING_TREE = "."
SUBJECTS = 100
_MOCK = re.compile(r"unittest\.mock|\bMagicMock\b|monkeypatch\.setattr")
_SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE FROM|CREATE TABLE|PRAGMA)\s")


def figures(root: Path, revision: str) -> dict[str, str]:
    """Return the figures of the tree under `root`, with the subjects of a revision's history."""
    sources = python_sources(root)
    agent = [source for source in sources if source.in_agent]
    return {
        **_sizes(agent),
        **_signatures(agent),
        "modules with SQL, terminal": str(sum(map(_has_sql, _of_product(agent, "terminal")))),
        "modules with SQL, central": str(sum(map(_has_sql, _of_product(agent, "central")))),
        "modules without a test of their name": str(len(list(walls.check_mirror(sources)))),
        "mocks and patches in tests": str(sum(_mocks(source) for source in sources)),
        f"lines over {language.PYTHON_COLUMNS_MAX} columns": _long_lines(sources),
        **_subjects(revision),
    }


def _sizes(agent: list[Source]) -> dict[str, str]:
    modules = [len(source.text.splitlines()) for source in agent if len(source.tree.body) > 1]
    functions = sorted(shape.lines_of(f) for source in agent for f in source.functions())
    return {
        "modules": f"{len(modules)}",
        "module lines, median": f"{statistics.median(modules):.0f}",
        "module lines, maximum": f"{max(modules)}",
        "functions": f"{len(functions)}",
        "function lines, 99th percentile": f"{functions[math.ceil(0.99 * len(functions)) - 1]}",
        "function lines, maximum": f"{functions[-1]}",
    }


def _signatures(agent: list[Source]) -> dict[str, str]:
    functions = [function for source in agent for function in source.functions()]
    private = [f for f in functions if f.name.startswith("_") and not f.name.endswith("__")]
    longer = [f for f in functions if len(shape.parameters(f)) > shape.PARAMETERS_MAX]
    tuples = [f for f in functions if any(map(shape.has_large_tuple, shape.annotations(f)))]
    holes = [f for f in functions if any(map(shape.has_any, shape.annotations(f)))]
    return {
        "private helpers among functions": _share(len(private), len(functions)),
        "parameter lists above five": f"{len(longer)}",
        "signatures with a tuple of three or more": f"{len(tuples)}",
        "signatures with Any": f"{len(holes)}",
    }


def _of_product(agent: list[Source], product: str) -> list[Source]:
    return [s for s in agent if s.name.startswith("agent/central/") is (product == "central")]


def _has_sql(source: Source) -> bool:
    return any(
        isinstance(node, ast.Constant) and isinstance(node.value, str) and _SQL.search(node.value)
        for node in ast.walk(source.tree)
    )


def _mocks(source: Source) -> int:
    # the house rules name what they forbid
    is_test = source.name.startswith("tests/") and "house_rules" not in source.name
    return len(_MOCK.findall(source.text)) if is_test and source.name != "tests/figures.py" else 0


def _long_lines(sources: Iterable[Source]) -> str:
    lines = [line for source in sources for line in source.text.splitlines()]
    return _share(sum(len(line) > language.PYTHON_COLUMNS_MAX for line in lines), len(lines))


def _subjects(revision: str) -> dict[str, str]:
    head = "HEAD" if revision == WORKING_TREE else revision
    newest = _git("log", f"-{SUBJECTS}", "--format=%s", head).decode().splitlines()
    recent = language.subjects_since(ROOT, language.FIRST_COMMIT, head)
    long_name = f"subjects over {language.SUBJECT_COLUMNS_MAX} columns"
    return {
        f"{long_name}, last {SUBJECTS}": _long_subjects(newest),
        f"{long_name}, since the rule": "-" if recent is None else _long_subjects(recent),
    }


def _long_subjects(subjects: list[str]) -> str:
    return _share(len(list(language.check_subjects(subjects))), len(subjects))


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} % ({part})" if whole else "-"


@contextmanager
def _tree(revision: str) -> Iterator[Path]:
    """Yield a folder with the files of a revision, without a checkout."""
    if revision == WORKING_TREE:
        yield ROOT
        return
    archive = _git("archive", "--format=zip", revision)
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(io.BytesIO(archive)).extractall(folder)
        yield Path(folder)


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


def main(revisions: list[str]) -> None:
    """Print a table with a column for each revision."""
    columns = []
    for revision in revisions or [WORKING_TREE]:
        with _tree(revision) as root:
            columns.append({"": revision, **figures(root, revision)})
    for name in columns[0]:
        print(f"{name:44}" + "".join(f"{column[name]:>18}" for column in columns))


if __name__ == "__main__":
    main(sys.argv[1:])
