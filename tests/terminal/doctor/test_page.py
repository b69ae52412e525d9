"""Whether the staff's page answers, asked of real servers."""

from pathlib import Path

from agent.terminal.doctor.finding import Level
from agent.terminal.doctor.page import judge_page, look_at_page
from tests.parts.broker import free_port
from tests.parts.browser import screen_process
from tests.parts.enrolment import enrolment_site
from tests.parts.far_end import FarEnd


def test_a_page_that_answers_is_well_and_without_it_a_line_mends(tmp_path: Path) -> None:
    port, state = free_port(), tmp_path / "state"
    far_end = FarEnd(state)
    with screen_process(state, tmp_path, port=port):
        assert judge_page(port).level is Level.OK
    finding = judge_page(port)
    assert finding.level is Level.FAULT and "systemctl restart canteen-screen" in finding.mend
    far_end.close()


def test_another_program_at_the_port_is_named(tmp_path: Path) -> None:
    with enrolment_site(tmp_path) as site:  # it speaks TLS only
        assert judge_page(site.port).level is Level.FAULT


def test_a_terminal_without_a_screen_has_no_finding() -> None:
    """The unit is not enabled here."""
    assert list(look_at_page(free_port())) == []
