"""`python -m tests.house_rules`: prints what breaks a house rule and ends with 1, else with 0."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.house_rules import claims, language, shape, walls
from tests.house_rules.source import (
    ROOT,
    Complaint,
    Source,
    documents,
    other_texts,
    python_sources,
)

PYTHON_RULES: tuple[Callable[[Source], Iterator[Complaint]], ...] = (
    language.check_phrases,
    language.check_names,
    language.check_columns,
    shape.check_module,
    shape.check_functions,
    shape.check_signatures,
    shape.check_exceptions,
    shape.check_money,
    shape.check_test_code,
    walls.check_imports,
)
TREE_RULES: tuple[Callable[[Sequence[Source]], Iterator[Complaint]], ...] = (
    walls.check_mirror,
    walls.check_limits,
    claims.check_claims,
)
# they hold samples of what they forbid
EXEMPT = ("tests/house_rules/", "tests/test_house_rules.py")


def complaints(root: Path) -> Iterator[Complaint]:
    """Yield what breaks a rule in the tree under `root`."""
    python = python_sources(root)
    for source in python:
        if not source.name.startswith(EXEMPT):
            for rule in PYTHON_RULES:
                yield from rule(source)
    for document in documents(root):
        yield from language.check_columns(document)
        yield from language.check_phrases(document)
    for text in other_texts(root):
        yield from language.check_phrases(text)
    for tree_rule in TREE_RULES:
        yield from tree_rule(python)


def main() -> int:
    """Print every complaint; return the exit code."""
    lines = [str(complaint) for complaint in complaints(ROOT)]
    subjects = language.subjects_since(ROOT, language.FIRST_COMMIT)
    if subjects is None:
        print("commit subjects are not checked: this copy lacks the history", file=sys.stderr)
    lines += [str(complaint) for complaint in language.check_subjects(subjects or [])]
    print(*lines, sep="\n", end="\n" if lines else "")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
