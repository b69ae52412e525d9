"""All looks together, on a terminal without an agent."""

from pathlib import Path

from agent.terminal.doctor.finding import CHECKS, Level
from agent.terminal.doctor.look import look
from tests.terminal.doctor.test_settings import TOML


def test_a_wrong_file_stops_no_look_that_does_not_need_it(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text("town = 1", encoding="utf-8")
    ids = {finding.id for finding in look(tmp_path / "agent.toml", [])}
    assert {"configuration.file", "machine.memory", "clock.synchronised"} <= ids
    assert not any(name.startswith(("storage", "broker")) for name in ids)


def test_all_that_can_be_looked_at_without_an_agent_is_looked_at(tmp_path: Path) -> None:
    text = TOML.replace('"mqtts://broker.example:8883"', '"mqtts://no-such-broker.invalid"')
    text = text.replace("[broker]", f'state_dir = "{tmp_path}"\n[broker]', 1)
    (tmp_path / "agent.toml").write_text(text, encoding="utf-8")
    findings = list(look(tmp_path / "agent.toml", []))
    assert {finding.id for finding in findings} <= set(CHECKS)
    faults = {finding.id for finding in findings if finding.level is Level.FAULT}
    assert {"agent.answer", "broker.name", "credential.file"} <= faults
    assert all(finding.mend for finding in findings if finding.level is Level.FAULT)
