"""Rules of shape: sizes, parameters, types in signatures, exceptions, docstrings, money."""

import ast
import re
from collections.abc import Iterator

from tests.house_rules.source import Complaint, Source

Function = ast.FunctionDef | ast.AsyncFunctionDef

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 45
PARAMETERS_MAX = 5
COMMAND_PARAMETERS_MAX = 10
"""A command's parameters are its options: click passes them by name, and nothing else calls it."""
TUPLE_PARTS_MAX = 2

ONLY_BROAD_EXCEPT = "agent/console.py"
UNTYPED_WALL = "agent/readers/pcsc.py"
MONEY_ROOMS = ("agent/domain/", "agent/store/", "agent/central/")
VAGUE_MODULES = frozenset({"utils", "helpers", "common", "manager", "service", "handler"})
# not in the project: what would be no test, or hide a fault
FORBIDDEN_IN_TESTS = {
    r"unittest\.mock": "a mock; write a small real far end",
    r"pytest\.(skip|mark\.skip|importorskip|mark\.xfail)": "a skip; fail with the missing package",
    r"monkeypatch\.setattr": "a patch; pass the part in",
}


def check_module(source: Source) -> Iterator[Complaint]:
    """Find modules that are too long, badly named, or without a docstring."""
    lines = len(source.text.splitlines())
    if lines > MODULE_LINES_MAX:
        sentence = f"{lines} lines, more than {MODULE_LINES_MAX}; split it by meaning"
        yield Complaint("module", source.name, 1, sentence)
    if source.name.endswith("__init__.py"):
        if len(source.tree.body) > 1:
            yield Complaint("module", source.name, 1, "holds more than the room's docstring")
    elif not ast.get_docstring(source.tree):
        yield Complaint("module", source.name, 1, "has no docstring that says its rule")
    if source.name.rsplit("/", 1)[-1].removesuffix(".py") in VAGUE_MODULES:
        yield Complaint("module", source.name, 1, "is named by nothing it does")


def check_functions(source: Source) -> Iterator[Complaint]:
    """Find functions that are too long or take too many parameters."""
    for function in source.functions():
        if (lines := lines_of(function)) > FUNCTION_LINES_MAX:
            sentence = f"{function.name} has {lines} lines, more than {FUNCTION_LINES_MAX}"
            yield Complaint("functions", source.name, function.lineno, sentence)
        count = len(parameters(function))
        count_max = COMMAND_PARAMETERS_MAX if is_command(function) else PARAMETERS_MAX
        if count > count_max:
            sentence = (
                f"{function.name} has {count} parameters, more than {count_max}; name a value"
            )
            yield Complaint("parameters", source.name, function.lineno, sentence)


def check_signatures(source: Source) -> Iterator[Complaint]:
    """Find large tuples, and `Any` in public signatures and fields of classes, in agent/.

    `Any` may stay in a private function and in the wall to pyscard, which has no types.
    """
    if not source.in_agent:
        return
    for function in source.functions():
        if any(map(has_large_tuple, annotations(function))):
            sentence = f"{function.name}: a tuple of three or more parts; name it"
            yield Complaint("tuples", source.name, function.lineno, sentence)
        is_wall = function.name.startswith("_") or source.name == UNTYPED_WALL
        if any(map(has_any, annotations(function))) and not is_wall:
            sentence = f"{function.name}: Any in its signature; say the type"
            yield Complaint("any", source.name, function.lineno, sentence)
    for node in ast.walk(source.tree):
        for field in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(field, ast.AnnAssign) and has_any(field.annotation):
                sentence = "a field is Any; say the type"
                yield Complaint("any", source.name, field.lineno, sentence)


def check_exceptions(source: Source) -> Iterator[Complaint]:
    """Find a broad `except` in agent/ that does not end by raising again."""
    if not source.in_agent or source.name == ONLY_BROAD_EXCEPT:
        return
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = {
            name.id for name in ast.walk(node.type or ast.Pass()) if isinstance(name, ast.Name)
        }
        raises_again = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
        if (node.type is None or caught & {"Exception", "BaseException"}) and not raises_again:
            sentence = f"a broad except; the only one is in {ONLY_BROAD_EXCEPT}"
            yield Complaint("exceptions", source.name, node.lineno, sentence)


def check_money(source: Source) -> Iterator[Complaint]:
    """Find floats and decimals in rooms that handle money."""
    for node in ast.walk(source.tree) if source.name.startswith(MONEY_ROOMS) else ():
        if isinstance(node, ast.Name) and node.id in ("float", "Decimal"):
            sentence = f"{node.id} in a room of money; cents are int"
            yield Complaint("money", source.name, node.lineno, sentence)
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield Complaint("money", source.name, node.lineno, "a float in a room of money")


def check_test_code(source: Source) -> Iterator[Complaint]:
    """Find mocks, patches, skips and sleeps in tests."""
    if not source.name.startswith("tests/"):
        return
    for number, line in enumerate(source.text.splitlines(), start=1):
        for pattern, reason in FORBIDDEN_IN_TESTS.items():
            if match := re.search(pattern, line):
                yield Complaint("tests", source.name, number, f"{match[0]} is {reason}")
        if "time.sleep(" in line and not source.name.startswith("tests/parts/"):
            yield Complaint("tests", source.name, number, "sleeps; wait for a condition")


def lines_of(function: Function) -> int:
    """Return a function's lines, from `def` to its last one."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def parameters(function: Function) -> list[str]:
    """Return the names of a function's parameters, without self, cls, * and **."""
    arguments = function.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls")]


def is_command(function: Function) -> bool:
    """Return whether click calls a function."""
    called = [getattr(node, "func", node) for node in function.decorator_list]
    return any(getattr(node, "attr", "") in ("command", "group") for node in called)


def annotations(function: Function) -> list[ast.expr]:
    """Return the annotations of a function's parameters and result."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [extra for extra in (arguments.vararg, arguments.kwarg) if extra is not None]
    written = [*(argument.annotation for argument in every), function.returns]
    return [annotation for annotation in written if annotation is not None]


def has_large_tuple(annotation: ast.expr) -> bool:
    """Return whether an annotation holds a tuple of three or more parts, at any depth."""
    return any(
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id == "tuple"
        and isinstance(node.slice, ast.Tuple)
        and len(node.slice.elts) > TUPLE_PARTS_MAX
        for node in ast.walk(annotation)
    )


def has_any(annotation: ast.expr) -> bool:
    """Return whether an annotation holds `Any`, at any depth."""
    return any(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(annotation))
