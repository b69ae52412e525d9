"""What the staff's page costs: tap to paint, the light beside an open page, memory, idling."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from bench.chain import light_us
from bench.measure import Row, Series, against
from bench.process import IDLE_S, REST_S, cpu_s
from tests.parts.browser import ARGUMENTS, screen_process
from tests.parts.canteen import Counter, counter
from tests.parts.process import require, wait_for

PAINTS = 100
LIGHTS = 100
READER = '[[reader]]\nname = "counter"\nprofile = "acs-acr122u"\n'
BARE_PAGE = b"""<!doctype html><h1 id="outcome"></h1><script>
new EventSource("/events").onmessage = (event) => { outcome.textContent = event.data; };
</script>"""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nCache-Control: no-store\r\n\r\n"
# Notes the time after the frame that shows the first change: the next task follows the painting.
ARM = """() => {
  window.painted = 0;
  const watcher = new MutationObserver(() => {
    watcher.disconnect();
    requestAnimationFrame(() => {
      const after = new MessageChannel();
      after.port1.onmessage = () => { painted = performance.timeOrigin + performance.now(); };
      after.port2.postMessage(0);
    });
  });
  watcher.observe(document.getElementById("outcome"), { childList: true, subtree: true });
}"""


def screen(folder: Path) -> list[Row]:
    """Return all rows about the page."""
    for name in ("paint", "light"):
        (folder / name).mkdir()
    return [*paint_and_rest(folder / "paint"), light_beside_a_page(folder / "light")]


def paint_and_rest(folder: Path) -> list[Row]:
    """From the UID leaving the card to the painted outcome; then memory and idling.

    Floor: a line of a bare server in a bare page of the same browser, in turn.
    """
    uids = _uids(PAINTS)
    took, floor = Series(), Series()
    with ExitStack() as stack:
        at = _counter(stack, folder / "watched", uids)
        url, process = stack.enter_context(screen_process(at.terminal.db.parent, folder))
        server = stack.enter_context(_bare_server())
        page, bare = stack.enter_context(_pages(url, server.url))
        expect(page.locator("body")).to_have_attribute("data-state", "serving")
        wait_for(lambda: server.watchers, "the bare page")
        for number, uid in enumerate(uids):
            _arm(page)
            at.card.tap(uid)
            took.us.append(_painted_us(page, at.card.answered_ns[-1]))
            _arm(bare)
            sent_ns = time.perf_counter_ns()
            server.send(number)
            floor.us.append(_painted_us(bare, sent_ns))
        time.sleep(REST_S)
        assert at.terminal.process is not None
        before = cpu_s(process.pid)
        time.sleep(IDLE_S)
        idle = (cpu_s(process.pid) - before) / IDLE_S
        screen_mib, agent_mib = _rss_mib(process.pid), _rss_mib(at.terminal.process.pid)
    goal = "1.5, p99 100 ms"
    return [
        against("UID -> outcome painted in Chromium", took, "bare SSE and page", floor, goal),
        Row("memory of the screen at rest, page open", f"{screen_mib:.0f} MiB", goal="45 MiB"),
        Row("idling of the screen, page open", f"{100 * idle:.2f} % of a core", goal="0.3 %"),
        Row("memory of the agent beside a page", f"{agent_mib:.0f} MiB", goal="40 MiB"),
    ]


def light_beside_a_page(folder: Path) -> Row:
    """UID to light of an agent that a page watches. Floor: a second agent that none watches."""
    uids = _uids(LIGHTS)
    took, floor = Series(), Series()
    with ExitStack() as stack:
        watched, alone = (_counter(stack, folder / name, uids) for name in ("watched", "alone"))
        url, _ = stack.enter_context(screen_process(watched.terminal.db.parent, folder))
        (page,) = stack.enter_context(_pages(url))
        expect(page.locator("body")).to_have_attribute("data-state", "serving")
        for uid in uids:
            for at, series in ((watched, took), (alone, floor)):
                at.card.tap(uid)
                series.us.append(light_us(at.card))
    return against("UID -> light, page open", took, "no page", floor, "1.05")


def _uids(count: int) -> list[bytes]:
    return [b"\x04" + n.to_bytes(6, "big") for n in range(1, count + 1)]


def _counter(stack: ExitStack, folder: Path, uids: list[bytes]) -> Counter:
    folder.mkdir()
    made = stack.enter_context(counter(folder, [f"a:{uid.hex()}" for uid in uids], READER))
    made.terminal.start(enter=made.pcscd.namespace.command())
    made.terminal.wait_until_serving()
    made.terminal.wait_for_account(f"a-{len(uids) - 1}")
    return made


@contextmanager
def _pages(*urls: str) -> Iterator[list[Page]]:
    """Open each address in a window of its own of one browser."""
    with sync_playwright() as playwright:
        chromium = require("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        try:
            pages = [browser.new_page(viewport={"width": 800, "height": 480}) for _ in urls]
            for page, url in zip(pages, urls, strict=True):
                page.goto(url)
            yield pages
        finally:
            browser.close()


def _arm(page: Page) -> None:
    page.evaluate(ARM)
    time.sleep(0.02)  # the browser rests from the question


def _painted_us(page: Page, begun_ns: int) -> float:
    """Return the time from `begun_ns` of the monotonic clock to the frame that shows a change."""
    time.sleep(0.05)  # the browser is not asked while it paints
    wait_for(lambda: page.evaluate("painted"), "a painted outcome")
    begun_ms = (begun_ns + time.time_ns() - time.perf_counter_ns()) / 1e6
    return (float(page.evaluate("painted")) - begun_ms) * 1_000


class _BareServer:
    """Serves `BARE_PAGE`, and server-sent events that `send` writes."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        self.watchers: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def send(self, number: int) -> None:
        for watcher in self.watchers:
            watcher.sendall(f"data: {number}\n\n".encode())

    def close(self) -> None:
        for end in (self._socket, *self.watchers):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return  # closed
            if peer.recv(4_096).startswith(b"GET /events"):
                peer.sendall(HEAD % b"text/event-stream")
                self.watchers.append(peer)
                continue
            with peer:
                peer.sendall(HEAD % b"text/html" + BARE_PAGE)


@contextmanager
def _bare_server() -> Iterator[_BareServer]:
    server = _BareServer()
    try:
        yield server
    finally:
        server.close()


def _rss_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024
