"""Rules of tests: each one claims something, so each one can fail."""

import ast
from collections.abc import Iterator, Sequence

from tests.house_rules.source import Complaint, Source

CLAIMS = frozenset({"raises", "fail", "wait_for", "expect"})
"""Calls that fail a test: of pytest, of the wait for a condition, of the browser."""


def check_claims(sources: Sequence[Source]) -> Iterator[Complaint]:
    """Find tests that assert nothing, neither themselves nor by a function of the tests."""
    tests = [source for source in sources if source.name.startswith("tests/")]
    functions = [(source, function) for source in tests for function in source.functions()]
    claiming = set(CLAIMS)
    while True:
        more = {
            function.name
            for _, function in functions
            if function.name not in claiming and _claims(function, claiming)
        }
        if not more:
            break
        claiming |= more
    for source, function in functions:
        if function.name.startswith("test_") and not _claims(function, claiming):
            sentence = f"{function.name} asserts nothing: it cannot fail"
            yield Complaint("claims", source.name, function.lineno, sentence)


def _claims(function: ast.AST, claiming: set[str]) -> bool:
    """Return whether a function has an assertion, or calls one that has."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        # a method's name says little: many parts have one that is called start, or close
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in claiming:
            return True
        if isinstance(node, ast.Attribute) and node.attr in CLAIMS:
            return True
    return False
