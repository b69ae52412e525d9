"""The screens of the lunch's terminals, and their pictures from a real browser.

All of it runs in the main thread: Playwright's browser belongs to the thread that started it.
"""

import contextlib
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.parts.broker import free_port
from tests.parts.browser import kept_browser
from tests.parts.process import AGENT, Process, listens, wait_for
from tests.parts.town import Terminal

SIZE = (800, 480)  # the display of 7 inches of a Raspberry Pi


def settings(port: int) -> str:
    """Return the table `screen` of a terminal's agent.toml."""
    return f'[screen]\nport = {port}\nlanguage = "it"\nhelp = "assistenza: interno 12"\n'


class Screens:
    """A page for each terminal, and a folder of pictures."""

    def __init__(self, folder: Path, pictures: Path, stack: contextlib.ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.pictures = pictures
        pictures.mkdir(parents=True, exist_ok=True)
        self._browser = stack.enter_context(kept_browser(folder / "browser", SIZE))
        self._pages: dict[str, Page] = {}
        self.ports = {name: free_port() for name in ("t-a", "t-b")}

    def open(self, terminal: Terminal) -> str:
        """Start the screen of a running terminal, open its page, and return the address."""
        port = self.ports[terminal.name]
        log = self._folder / f"screen-{terminal.name}.log"
        self._stack.enter_context(Process([AGENT, "screen", "-c", terminal.config], log))
        wait_for(lambda: listens(port), f"the screen of {terminal.name}")
        page = self._browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        expect(page.locator("body")).to_have_attribute("data-state", "serving", timeout=15_000)
        self._pages[terminal.name] = page
        return page.url

    def outcome(self, terminal: Terminal, word: str, picture: str) -> None:
        """Wait for an outcome on a terminal's page, and take its picture."""
        page = self._pages[terminal.name]
        expect(page.locator("#outcome")).to_have_attribute("data-word", word, timeout=15_000)
        self._take(page, picture)

    def waiting(self, terminal: Terminal, entries: int, picture: str) -> None:
        """Wait until a terminal's page counts the entries that wait, and take its picture."""
        page = self._pages[terminal.name]
        expect(page.locator("#condition")).to_contain_text(f": {entries}", timeout=15_000)
        self._take(page, picture)

    def close_service(self, terminal: Terminal, trays: int, picture: str) -> str:
        """Close the service on a terminal's page as the staff do; return what the page answers."""
        page = self._pages[terminal.name]
        page.click("[data-open=closing]")
        page.fill("#trays", str(trays))
        page.click("#close")
        expect(page.locator("#answer")).not_to_be_empty(timeout=15_000)
        self._take(page, picture)
        return page.locator("#answer").inner_text()

    def new_page(self) -> Page:
        """Open an empty page in the browser."""
        return self._browser.new_page()

    def _take(self, page: Page, picture: str) -> None:
        page.screenshot(path=self.pictures / f"{picture}.png")
