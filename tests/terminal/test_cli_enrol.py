"""The commands `enrol` and `renew`, as a technician gives them."""

import os
from pathlib import Path

from agent.terminal.cli_enrol import START_S_MAX
from tests.parts.enrolment import enrol_box, enrolment_site
from tests.parts.process import ROOT
from tests.parts.town import run_agent


def test_a_code_in_several_words_makes_a_terminal_and_names_what_is_missing(
    tmp_path: Path,
) -> None:
    """Nothing is plugged in here, and no broker runs."""
    with enrolment_site(tmp_path / "central") as site:
        code = site.new_code().replace("-", " ")
        printed = enrol_box(tmp_path / "box", code, exit_code=1)
        assert "this box is terminal t-1 of borgofiorito" in printed
        assert "broker.port" in printed and "mend:" in printed
        assert "nothing to do yet" in run_agent("renew", "-c", tmp_path / "box" / "agent.toml")


def test_a_wrong_code_is_a_sentence(tmp_path: Path) -> None:
    printed = enrol_box(tmp_path, "AHANX-2O3UR", exit_code=1)
    assert "copy it whole" in printed
    assert not os.listdir(tmp_path)


def test_the_service_may_take_as_long_to_start_as_the_command_waits() -> None:
    unit = (ROOT / "systemd" / "canteen-agent.service").read_text()
    assert "TimeoutStartSec" not in unit  # systemd's own is 90 s
    assert START_S_MAX > 90
