"""The staff's page in a real browser, beside a real terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.parts.broker import Mosquitto
from tests.parts.browser import browser_page, screen_of
from tests.parts.canteen import CARDS, Canteen, canteen
from tests.parts.process import wait_for


@contextmanager
def school(folder: Path) -> Iterator[Canteen]:
    with (
        Mosquitto(folder / "broker") as broker,
        canteen(folder, central_url=broker.url, terminal_url=broker.url, terminals=1) as town,
    ):
        town.terminals[0].wait_for_account("a-1")
        yield town


@contextmanager
def page_of(town: Canteen, folder: Path, language: str = "it") -> Iterator[Page]:
    with (
        screen_of(town.terminals[0].db.parent, folder, language) as url,
        browser_page(url) as page,
    ):
        expect(page.locator("body")).to_have_attribute("data-state", "serving")
        yield page


def test_a_tap_is_painted_and_undone_by_two_touches(tmp_path: Path) -> None:
    with school(tmp_path) as town, page_of(town, tmp_path) as page:
        line = town.lines[0]
        line.hold(CARDS[0])
        expect(page.locator("#word")).to_have_text("Servito")
        expect(page.locator("#outcome")).to_have_attribute("data-word", "served")
        expect(page.locator("#total")).to_have_text("1")
        page.screenshot(path=tmp_path / "served.png")
        undo = page.locator("#taps li button")
        undo.click()
        expect(undo).to_contain_text("Annulla")
        assert town.recorded(town.terminals[0]) == 1  # the first touch only asks
        undo.click()
        expect(page.locator("#answer")).to_contain_text("Annullato")
        expect(page.locator("#taps li")).to_contain_text("annullato")
        expect(page.locator("#taps li button")).to_have_count(0)
        expect(page.locator("#total")).to_have_text("0")
        town.tapped = 2
        wait_for(town.all_booked, "everything booked")


def test_the_page_survives_a_kill_of_the_terminal_and_catches_up(tmp_path: Path) -> None:
    with school(tmp_path) as town, page_of(town, tmp_path) as page:
        (terminal,), (line,) = town.terminals, town.lines
        town.tap(0)
        expect(page.locator("#taps li")).to_have_count(1)
        assert terminal.process is not None
        terminal.process.kill()
        expect(page.locator("body")).to_have_attribute("data-state", "gone")
        expect(page.locator("#condition")).to_have_text("Il terminale sta partendo…")
        town.start(terminal)
        town.tap(0)
        expect(page.locator("body")).to_have_attribute("data-state", "serving")
        expect(page.locator("#taps li")).to_have_count(2)
        line.hold(CARDS[2])
        expect(page.locator("#word")).to_have_text("Servito")
        town.tapped = 3
        wait_for(town.all_booked, "everything booked")


def test_a_child_without_a_card_is_searched_and_served_once(tmp_path: Path) -> None:
    with school(tmp_path) as town, page_of(town, tmp_path, "en") as page:
        page.click("[data-open=child]")
        page.fill("#search", "a-1")
        first = page.locator("#eaters li").first
        first.get_by_role("button", name="Serve").click()
        expect(page.locator("#answer")).to_contain_text("Served")
        expect(first.get_by_role("button", name="Serve")).to_be_disabled()
        first.get_by_role("button", name="Credit").click()
        expect(page.locator("#answer")).to_contain_text("€")
        expect(page.locator("#answer")).to_have_text("", timeout=12_000)
        assert "€" not in page.content()
        page.click("[data-open=closing]")
        page.fill("#trays", "3")
        page.click("#close")
        expect(page.locator("#answer")).to_contain_text("Closed: 3 trays, 1 meals (2)")


def test_a_class_lists_who_has_not_eaten_and_takes_a_paper_list(tmp_path: Path) -> None:
    with school(tmp_path) as town, page_of(town, tmp_path, "en") as page:
        (terminal,) = town.terminals
        town.tap(0)
        (eaten,) = terminal.rows("SELECT eater FROM entry")[0]
        group, count = "2B", 3
        rows = [f"{account},{group}" for account in {eaten, "a-1", "a-2", "a-3"}][:count]
        rows = rows if f"{eaten},{group}" in rows else [*rows[1:], f"{eaten},{group}"]
        town.central.add_roster("account,class", rows)
        in_class = "SELECT count(*) FROM record WHERE body ->> '$.group' = ?"
        wait_for(lambda: terminal.rows(in_class, group) == [(count,)], "the class")
        page.click("[data-open=group]")
        page.click(f"#groups button:has-text('{group}')")
        children = page.locator("#eaters li")
        expect(page.locator("#missing")).to_have_text(f"{group}: {count - 1} have not eaten")
        page.click("[data-open=home]")
        yesterday = (date.today() - timedelta(days=1)).isoformat()
        page.click("#day-before")
        expect(page.locator("#meal-day")).not_to_contain_text("Today")
        page.click(f"#groups button:has-text('{group}')")
        expect(page.locator("#missing")).to_contain_text(f": {count} have not eaten")
        children.first.get_by_role("button", name="Serve").click()
        expect(page.locator("#answer")).to_contain_text(yesterday)
        newest = terminal.rows("SELECT body ->> '$.how', day FROM entry ORDER BY n DESC")[0]
        assert newest == ("late", yesterday)


def test_another_page_and_another_host_may_ask_nothing(tmp_path: Path) -> None:
    with school(tmp_path) as town, page_of(town, tmp_path) as page:
        town.tap(0)
        url = page.url
        request = page.request
        refused = request.post(f"{url}ask/storno", data="{}", headers={"Origin": "http://evil"})
        assert refused.status == 403
        assert request.post(f"{url}ask/storno", data="{}").status == 403
        own = {"Origin": url.rstrip("/")}
        assert request.post(f"{url}ask/watch", data="{}", headers=own).status == 404
        assert request.post(f"{url}ask/storno", data="[", headers=own).status == 400
        assert request.get(url, headers={"Host": "evil.example"}).status == 400
        headers = request.get(url).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert town.recorded(town.terminals[0]) == 1
