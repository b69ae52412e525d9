"""The ids are a closed table, and each that is used is in it."""

import re
from pathlib import Path

from agent.terminal import doctor
from agent.terminal.doctor.finding import CHECKS, Level, fault, hidden, ok, warning


def test_every_id_that_is_used_is_in_the_table_and_the_reverse() -> None:
    assert doctor.__file__ is not None
    used = {
        name
        for path in Path(doctor.__file__).parent.glob("*.py")
        if path.name != "finding.py"
        for name in re.findall(r'"([a-z]+\.[a-z]+)"', path.read_text(encoding="utf-8"))
    }
    assert used == set(CHECKS)


def test_a_fault_and_a_warning_have_a_line_that_mends_them() -> None:
    check = "service.state"
    levels = [ok(check, "x"), warning(check, "x", "y"), fault(check, "x", "y"), hidden(check, "x")]
    assert [finding.level for finding in levels] == list(Level)
    assert [bool(finding.mend) for finding in levels] == [False, True, True, False]
