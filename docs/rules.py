"""Prints the decision table of the contract, and its rules with their tests (rules.md).

`python -m docs.rules` writes both. `--check` ends with 1 when one differs, when no test names a
rule, or when a test names a rule that PROTOCOL.md does not have. A test names a rule in a comment
above it or within it: C34.
"""

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from agent.terminal.decision import ROWS
from docs import printed

CONTRACT = printed.ROOT / "docs" / "PROTOCOL.md"
PAGE = printed.ROOT / "docs" / "reference" / "protocol" / "rules.md"
BEGIN, END = "<!-- the decision table, printed by python -m docs.rules -->", "<!-- end -->"
SENTENCE_CHARACTERS_MAX = 90
HEAD = """# The contract's rules and their tests

```
C34  An entry's hash is SHA-256 over two parts, one after the other, …
     tests/domain/test_ledger.py
       test_the_chain_hash_is_sha256_over_the_previous_hash_and_the_canonical_json
```

[The contract](../../PROTOCOL.md) states the rules. Their numbers stay.
A rule without a test fails `make check`.

This page is printed by `python -m docs.rules`.

```
"""

_RULE = re.compile(r"\*\*(C[1-9][0-9]*)\.\*\*\s+(.*?)(?:\n|$)")
_ROW = re.compile(r"^\| (C[1-9][0-9]*) \| (.*?) \|", re.MULTILINE)
_NAMED = re.compile(r"\bC[1-9][0-9]*\b")


class NamingTest(NamedTuple):
    """A test, and the rules that it names."""

    file: str
    name: str
    rules: frozenset[str]


def contract() -> str:
    """Return the contract with the decision table that the terminal uses."""
    lines = ["| rule | the message | the terminal |", "|---|---|---|"]
    lines += [f"| {row.rule} | {row.message} | {row.terminal} |" for row in ROWS]
    return printed.part(CONTRACT, BEGIN, END, "\n".join(lines))


def rules(text: str) -> dict[str, str]:
    """Return the rules of a contract by number, each with its first sentence."""
    numbered = _RULE.findall(text) + _ROW.findall(text)
    counts = Counter(number for number, _ in numbered)
    twice = [number for number, count in counts.items() if count > 1]
    if twice:
        raise ValueError(f"{CONTRACT.name}: two rules have the number {', '.join(twice)}")
    return dict(sorted(numbered, key=lambda rule: int(rule[0][1:])))


def tests() -> Iterator[NamingTest]:
    """Yield every test that names a rule."""
    for path in sorted((printed.ROOT / "tests").rglob("test_*.py")):
        source = path.read_text(encoding="utf-8")
        lines = source.splitlines()
        for node in ast.parse(source).body:
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
                continue
            first = min([node.lineno, *(part.lineno for part in node.decorator_list)]) - 1
            while first > 0 and lines[first - 1].startswith("#"):
                first -= 1
            comments = re.findall(r"#.*|[\"]{3}.*", "\n".join(lines[first : node.end_lineno]))
            named = frozenset(_NAMED.findall("\n".join(comments)))
            if named:
                yield NamingTest(path.relative_to(printed.ROOT).as_posix(), node.name, named)


def page(known: dict[str, str], named: list[NamingTest]) -> str:
    """Return the page of rules."""
    parts = [HEAD]
    for rule, sentence in known.items():
        plain = re.sub(r"[`*]", "", sentence)
        if len(plain) > SENTENCE_CHARACTERS_MAX:
            plain = f"{plain[: SENTENCE_CHARACTERS_MAX - 1].rpartition(' ')[0]} …"
        parts.append(f"{rule:5}{plain}\n")
        file = ""
        for test in named:
            if rule not in test.rules:
                continue
            if test.file != file:
                file = test.file
                parts.append(f"     {file}\n")
            parts.append(f"       {test.name}\n")
    return "".join([*parts, "```\n"])


def complaints(known: dict[str, str], named: list[NamingTest]) -> Iterator[str]:
    """Yield each rule without a test, and each test that names a rule that does not exist."""
    tested = {rule for test in named for rule in test.rules}
    for rule in known.keys() - tested:
        yield f"{CONTRACT.name}: no test names {rule}: {known[rule]}"
    for test in named:
        for rule in sorted(test.rules - known.keys()):
            yield f"{test.file}: {test.name} names {rule}, which {CONTRACT.name} does not have"


def main(check: bool) -> int:
    text = contract()
    known, named = rules(text), list(tests())
    wrong = sorted(complaints(known, named))
    for complaint in wrong:
        print(complaint)
    pages: dict[Path, str] = {CONTRACT: text, PAGE: page(known, named)}
    return printed.finish(pages, check=check) or int(check and bool(wrong))


if __name__ == "__main__":
    sys.exit(main(printed.wants_check()))
