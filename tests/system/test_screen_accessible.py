"""axe-core has no complaint about the staff's page, in any state of it."""

from pathlib import Path

import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from agent.ops.control_messages import Word
from tests.parts.browser import browser_page
from tests.parts.far_end import NOON, WELL, tap
from tests.parts.hands import Keypad, use
from tests.parts.process import ROOT
from tests.system.test_screen_layout import STATES, fill
from tests.system.test_screen_states import shown


def violations(page: Page) -> list[str]:
    return [
        f"{violation['id']}: {node['html'][:90]} ({node['failureSummary'][:200]})"
        for violation in Axe().run(page).response["violations"]
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("language", ["it", "en"])
def test_no_task_has_a_violation(tmp_path: Path, language: str) -> None:
    with shown(tmp_path, f"/?lang={language}") as at:
        fill(at)
        at.far_end.send_condition(msgspec.structs.replace(WELL, clock="unset", pending=14))
        expect(at.page.locator("#set-day")).to_be_visible()
        for state, steps in STATES.items():
            use(at.page, steps)
            assert violations(at.page) == [], state
            use(at.page, [Keypad(".")] * (2 if state == "class" else 1) if steps else [])


def test_no_outcome_has_a_violation(tmp_path: Path) -> None:
    with shown(tmp_path) as at:
        assert violations(at.page) == []
        for seq, word in enumerate(Word, start=1):
            at.far_end.send_tap(tap(seq, word, label="Rossi M.", dish="D3", again_at=NOON))
            expect(at.page.locator("#outcome")).to_have_attribute("data-word", word)
            assert violations(at.page) == [], word
        at.far_end.close()
        expect(at.page.locator("body")).to_have_attribute("data-state", "gone")
        assert violations(at.page) == []


def test_the_page_of_the_kiosk_has_no_violation() -> None:
    with browser_page(f"file://{ROOT}/systemd/canteen-kiosk.html#1024") as page:
        assert violations(page) == []
