"""The town to play with: each click goes through the real parts, and Ctrl-C leaves nothing."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from demo.play_picture import playing, row
from tests.parts.process import Process, wait_for
from tests.system.test_lunch import left_behind


@pytest.fixture
def town(tmp_path: Path) -> Iterator[tuple[Process, Page]]:
    with playing(tmp_path) as started:
        yield started


def word_at(page: Page, box: int) -> str:
    return page.frame_locator(f"iframe >> nth={box}").locator("#word").inner_text()


def tap_until_debited(page: Page, child: int) -> None:
    """Hold a tag to t-b until its ledger has the meal: its reader may not be open yet."""
    euros = page.locator(f"#children tr:nth-child({child}) .euro")

    def is_debited() -> bool:
        row(page, child, "t-b")
        page.wait_for_timeout(500)
        return euros.nth(2).inner_text() == "-3.66"

    wait_for(is_debited, "a meal at t-b", 30)


@pytest.mark.timeout(240)
def test_every_click_goes_through_the_real_parts(town: tuple[Process, Page]) -> None:
    process, page = town
    page.set_default_timeout(30_000)
    expect.set_options(timeout=30_000)
    way, euros = page.locator("#way"), page.locator("#children tr:nth-child(1) .euro")
    row(page, 1, "t-a")
    expect(page.locator("#seen")).to_have_text("green light")
    assert word_at(page, 0) == "Servito"
    expect(euros).to_have_text(["-3.66", "-3.66", "-3.66"])
    row(page, 1, "pay")
    expect(euros).to_have_text(["6.34", "6.34", "6.34"])
    expect(way).to_have_text("equal")

    assert [rule["id"] for rule in Axe().run(page).response["violations"]] == []

    page.click("button:has-text('network of t-b: on')")
    row(page, 2, "t-b")
    expect(way).to_have_text("1 on the way")
    page.click("button:has-text('network of t-b: cut')")
    expect(way).to_have_text("equal")

    page.click("button:has-text('broker: on')")
    row(page, 3, "t-a")
    expect(way).to_have_text("1 on the way")
    page.click("button:has-text('broker: stopped')")
    expect(way).to_have_text("equal")

    page.click("button:has-text('power of t-b: on')")
    frame = page.frame_locator("iframe >> nth=1")
    expect(frame.locator("body")).to_have_attribute("data-state", "gone")
    page.click("button:has-text('power of t-b: off')")
    expect(frame.locator("body")).to_have_attribute("data-state", "serving")
    page.click("button:has-text('clock of t-b: right')")
    expect(page.locator("[data-what=clock][data-box=t-b]")).to_contain_text("1970")
    tap_until_debited(page, 4)
    expect(way).to_have_text("equal")
    expect.set_options(timeout=5_000)

    match = re.search(r"\S+canteen-play-\S+", process.output())
    assert match is not None and left_behind(match[0])
    process.signal(signal.SIGINT)
    wait_for(lambda: not process.is_running, "the end of the town")
    wait_for(lambda: not left_behind(match[0]), "every process of the town to end")
    assert "nothing is left running" in process.output()
