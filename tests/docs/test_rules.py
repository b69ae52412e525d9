"""Each rule of the contract has a number and a test, and the table is the terminal's own."""

import pytest

from agent.terminal.decision import ROWS
from docs import rules
from docs.rules import NamingTest


def test_the_contracts_table_is_the_one_that_the_terminal_uses() -> None:
    assert rules.main(check=True) == 0
    page = rules.CONTRACT.read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| C")]
    assert rows == [f"| {row.rule} | {row.message} | {row.terminal} |" for row in ROWS]


def test_a_rule_without_a_test_and_a_test_of_no_rule_are_complaints() -> None:
    known = {"C1": "A payload is JSON.", "C2": "Money is cents."}
    named = [NamingTest("tests/test_x.py", "test_y", frozenset({"C1", "C9"}))]
    assert sorted(rules.complaints(known, named)) == [
        "PROTOCOL.md: no test names C2: Money is cents.",
        "tests/test_x.py: test_y names C9, which PROTOCOL.md does not have",
    ]


def test_two_rules_never_have_one_number() -> None:
    assert rules.rules("**C1.** A.\n**C2.** B.\n| C3 | a row | gap |") == {
        "C1": "A.",
        "C2": "B.",
        "C3": "a row",
    }
    with pytest.raises(ValueError, match="two rules have the number C1"):
        rules.rules("**C1.** A.\n| C1 | a row | gap |")
