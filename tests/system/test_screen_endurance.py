"""The staff's page through a lunch: many taps, reloads, two pages, a screen that is killed."""

import re
from pathlib import Path

from playwright.sync_api import CDPSession, Page, expect

from tests.parts.broker import free_port
from tests.parts.browser import browser_page, screen_process
from tests.parts.far_end import FarEnd, tap
from tests.parts.process import Process, wait_for
from tests.system.test_screen import page_of, school

CLASS = 22
LUNCH = 250
WARM_UP = 2 * LUNCH  # the browser compiles the page's code meanwhile
# What three lunches may add to a page and to its process: less than a kept tap, some 200 bytes.
HEAP_GROWTH_BYTES = 3 * LUNCH * 120
RSS_GROWTH_KIB = 1_024


def rss_kib(process: Process) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0])


def heap_bytes(session: CDPSession) -> int:
    for _ in range(3):
        session.send("HeapProfiler.collectGarbage")
    return int(session.send("Runtime.getHeapUsage")["usedSize"])


def nodes(session: CDPSession) -> int:
    session.send("HeapProfiler.collectGarbage")
    return int(session.send("Memory.getDOMCounters")["nodes"])


def serve(page: Page, far_end: FarEnd, first: int, count: int) -> None:
    """Send taps as fast as the page paints them."""
    for seq in range(first, first + count):
        far_end.send_tap(tap(seq, label=f"Alunno {seq}", group="2B"))
        expect(page.locator("#who")).to_have_text(f"Alunno {seq} · 2B")


def test_lunches_of_250_taps_leave_no_memory_behind(tmp_path: Path) -> None:
    far_end = FarEnd(tmp_path / "state")
    with screen_process(tmp_path / "state", tmp_path) as (url, process), browser_page(url) as page:
        expect(page.locator("body")).to_have_attribute("data-state", "serving")
        session = page.context.new_cdp_session(page)
        serve(page, far_end, 1, WARM_UP)
        heap, count, memory = heap_bytes(session), nodes(session), rss_kib(process)
        serve(page, far_end, 1_000, 3 * LUNCH)
        assert heap_bytes(session) - heap < HEAP_GROWTH_BYTES
        assert nodes(session) <= count + 20
        assert rss_kib(process) - memory < RSS_GROWTH_KIB
        expect(page.locator("#taps li")).to_have_count(6)
    far_end.close()


def test_a_class_of_22_is_painted_child_by_child_though_the_page_is_reloaded(
    tmp_path: Path,
) -> None:
    with school(tmp_path) as town, page_of(town, tmp_path) as page:
        for child in range(1, CLASS + 1):
            town.tap(0)
            expect(page.locator("#total")).to_have_text(str(child))
            expect(page.locator("#taps li").first).to_contain_text("Servito")
            if child == CLASS // 2:
                page.reload()
                expect(page.locator("#total")).to_have_text(str(child))
                expect(page.locator("#outcome")).to_have_attribute("data-word", "")
        wait_for(town.all_booked, "everything booked")


def test_two_pages_show_the_same_and_undo_once(tmp_path: Path) -> None:
    with school(tmp_path) as town, page_of(town, tmp_path) as page:
        browser = page.context.browser
        assert browser is not None
        other = browser.new_page()
        other.goto(page.url)
        expect(other.locator("body")).to_have_attribute("data-state", "serving")
        town.tap(0)
        for each in (page, other):
            expect(each.locator("#word")).to_have_text("Servito")
            each.locator("#taps li button").click()
            expect(each.locator("#taps li button")).to_contain_text("?")
        for each in (page, other):
            each.locator("#taps li button").click(no_wait_after=True)
            expect(each.locator("#answer")).not_to_be_empty()
        for each in (page, other):
            expect(each.locator("#taps li")).to_contain_text("annullato")
            expect(each.locator("#total")).to_have_text("0")
        kinds = town.terminals[0].rows("SELECT kind FROM entry ORDER BY n")
        assert kinds == [("meal",), ("storno",)]
        town.tapped = 2
        wait_for(town.all_booked, "everything booked")


def test_taps_go_on_while_the_screen_is_killed_and_the_page_catches_up(tmp_path: Path) -> None:
    port = free_port()
    with school(tmp_path) as town:
        state = town.terminals[0].db.parent
        with (
            screen_process(state, tmp_path, port=port) as (url, process),
            browser_page(url) as page,
        ):
            town.tap(0)
            expect(page.locator("#total")).to_have_text("1")
            process.kill()
            expect(page.locator("#word")).to_have_text("Il terminale sta partendo…")
            town.tap(0)
            with screen_process(state, tmp_path, port=port):
                expect(page.locator("#total")).to_have_text("2", timeout=20_000)
                expect(page.locator("#taps li")).to_have_count(2)
        wait_for(town.all_booked, "everything booked")
