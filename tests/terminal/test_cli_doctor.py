"""The command `canteen-agent doctor`."""

import json
from pathlib import Path

from agent.terminal.doctor.finding import CHECKS, Level
from tests.parts.town import run_agent


def test_the_doctor_prints_each_finding_with_the_line_that_mends_it(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text("town = 1", encoding="utf-8")
    printed = run_agent("doctor", "-c", config, code=1)
    assert "fault   configuration.file" in printed and "mend:" in printed
    rows = json.loads(run_agent("doctor", "-c", config, "--json", code=1))
    assert all(set(row) == {"id", "level", "seen", "mend"} for row in rows)
    assert {row["id"] for row in rows} <= set(CHECKS)
    assert {row["level"] for row in rows} <= {level.value for level in Level}
