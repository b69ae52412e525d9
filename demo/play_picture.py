"""Takes the README's picture of `make play`: `python -m demo.play_picture FILE`.

It starts the town, clicks as a person would, and ends it.
"""

import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.parts.browser import browser_page
from tests.parts.process import ROOT, Process, wait_for

SIZE = (1600, 1060)
START_S = 60.0


@contextmanager
def playing(folder: Path) -> Iterator[tuple[Process, Page]]:
    """Yield the running town and its page in a browser."""
    command = [sys.executable, "-m", "demo.play"]
    environment = {"PYTHONPATH": str(ROOT)}
    with Process(command, folder / "play.log", environment=environment) as town:
        wait_for(lambda: "the town: " in town.output() or not town.is_running, "the town", START_S)
        address = re.search(r"the town: (\S+)", town.output())
        assert address is not None, town.output()
        with browser_page(address[1], *SIZE) as page:
            yield town, page
        if town.is_running:
            town.signal(signal.SIGINT)
        wait_for(lambda: not town.is_running, "the end of the town")


def row(page: Page, child: int, words: str) -> None:
    """Click a button of a child."""
    page.click(f"#children tr:nth-child({child}) button:has-text('{words}')")


def main(picture: Path) -> int:
    """Play a little, and take the picture."""
    with tempfile.TemporaryDirectory() as folder, playing(Path(folder)) as (_, page):
        way = page.locator("#way")
        for child in (1, 2, 3):
            row(page, child, "t-a")
            expect(page.locator("#seen")).to_have_text("green light")
            euros = page.locator(f"#children tr:nth-child({child}) .euro")
            expect(euros).to_have_text(["-3.66"] * 3)
        row(page, 4, "pay")
        expect(page.locator("#children tr:nth-child(4) .euro")).to_have_text(["10.00"] * 3)
        expect(way).to_have_text("equal")
        page.click("button:has-text('network of t-b')")
        for child, waiting in ((5, "1 on the way"), (6, "2 on the way")):
            row(page, child, "t-b")
            expect(way).to_have_text(waiting)
        row(page, 1, "t-a")
        expect(page.frame_locator("iframe >> nth=0").locator("#word")).to_contain_text("Già")
        page.screenshot(path=picture)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
