"""Debian's Chromium, driven by Playwright, and the screen of a terminal as a process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from tests.parts.broker import free_port
from tests.parts.process import AGENT, Process, listens, require, wait_for

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HELP = "call the office"


@contextmanager
def screen_process(
    state: Path, folder: Path, language: str = "it", port: int | None = None
) -> Iterator[tuple[str, Process]]:
    """Run the screen of the terminal with this state folder; yield its address and process."""
    port = port or free_port()
    config = folder / "screen.toml"
    config.write_text(
        f'state_dir = "{state}"\n[screen]\nport = {port}\nlanguage = "{language}"\n'
        f'help = "{HELP}"\n',
        encoding="utf-8",
    )
    with Process([AGENT, "screen", "-c", config], folder / "screen.log") as process:
        wait_for(lambda: listens(port) or not process.is_running, "the screen")
        assert f"http://127.0.0.1:{port}/" in process.output()
        yield f"http://127.0.0.1:{port}", process


@contextmanager
def screen_of(
    state: Path, folder: Path, language: str = "it", port: int | None = None
) -> Iterator[str]:
    """Run the screen of the terminal with this state folder; yield its address."""
    with screen_process(state, folder, language, port) as (url, _):
        yield url


@contextmanager
def browser_page(url: str, width: int = 1280, height: int = 800) -> Iterator[Page]:
    """Open a page in a new browser, which keeps nothing."""
    chromium = require("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        try:
            page = browser.new_page(viewport={"width": width, "height": height}, has_touch=True)
            page.set_default_timeout(15_000)
            page.goto(url)
            yield page
        finally:
            browser.close()


@contextmanager
def kept_browser(folder: Path, size: tuple[int, int]) -> Iterator[BrowserContext]:
    """Run a browser with its files in `folder`. Raise `RuntimeError` that names the package.

    Ctrl-C ends the program that runs it, which then closes the browser.
    """
    chromium = require("chromium")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch_persistent_context(
                folder,
                executable_path=chromium,
                args=ARGUMENTS,
                viewport={"width": size[0], "height": size[1]},
                handle_sigint=False,
                handle_sigterm=False,
            )
        except PlaywrightError as error:
            raise RuntimeError(
                f"Chromium cannot be driven: apt-get install chromium (or: make setup): {error}"
            ) from error
        try:
            yield browser
        finally:
            browser.close()
