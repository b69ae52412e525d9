"""A mother pays a notice on her phone, at a bank: a real browser, no script, axe's complaints."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.parts.bank import Bank
from tests.parts.browser import browser_page
from tests.parts.pay_site import PaySite, pay_site
from tests.parts.process import ROOT
from tests.parts.town import run_central

PHONE = (360, 640)


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "central.db"
    run_central("--db", path, "init", "--town", "borgofiorito")
    hours = ("--opens", "12:00", "--closes", "14:15")
    run_central("--db", path, "service", "primaria", "lunch", *hours)
    run_central("--db", path, "import-roster", ROOT / "demo" / "borgofiorito.csv")
    return path


def complaints(page: Page) -> list[str]:
    """Return what axe and a phone's width have against a page."""
    found = [f"axe: {rule['id']}" for rule in Axe().run(page).response["violations"]]
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        found.append("wider than a phone")
    low = (
        "[...document.querySelectorAll('button, input:not([type=hidden]), a')].filter("
        "part => part.getBoundingClientRect().height < 44).map(part => part.textContent)"
    )
    return [*found, *(f"lower than a finger: {text}" for text in page.evaluate(low))]


def look(page: Page, view: str) -> None:
    expect(page.locator("body")).to_have_attribute("data-view", view)
    assert complaints(page) == []


def pay(page: Page, site: PaySite, word: str) -> None:
    page.click("main button")
    assert page.url.startswith(site.bank.url)
    page.click(f"#{word}")


def test_a_notice_is_paid_on_a_phone_without_a_script(db: Path) -> None:
    with Bank() as bank, pay_site(db, bank) as site, browser_page(site.url, *PHONE) as page:
        notice = site.notice("a-1001=20.00")
        look(page, "enter")
        page.fill("#typed", "3" * 18)
        page.click("main button")
        look(page, "unknown")
        page.fill("#typed", notice["notice"])
        page.click("main button")
        look(page, "open")
        expect(page.locator("#amount")).to_have_text("20,00 €")
        page.click("nav a")
        expect(page.locator("#amount")).to_have_text("€20.00")
        look(page, "open")
        pay(page, site, "KO")
        look(page, "open")
        pay(page, site, "PEN")
        look(page, "pending")
        bank.decide("OK", "0")
        page.goto(notice["link"])
        look(page, "paid")
        assert not page.locator("script").count()


def test_a_page_that_is_asked_too_often_is_readable_too(db: Path) -> None:
    with Bank() as bank, pay_site(db, bank) as site, browser_page(site.url, *PHONE) as page:
        for _ in range(31):
            page.goto(f"{site.url}/notice/{'3' * 18}")
        look(page, "often")
        page.goto(f"{site.url}/bank/return?codTrans=x")
        look(page, "unsigned")
