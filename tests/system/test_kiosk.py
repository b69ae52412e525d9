"""The kiosk's local page, and what the screen's group may do in the state folder."""

import stat
from pathlib import Path

from playwright.sync_api import expect

from tests.parts.broker import Mosquitto, free_port
from tests.parts.browser import browser_page, screen_of
from tests.parts.canteen import canteen
from tests.parts.far_end import FarEnd
from tests.parts.process import ROOT

WAITING = "Il terminale sta partendo…"


def test_the_kiosk_opens_the_screen_when_it_answers_and_outlasts_it(tmp_path: Path) -> None:
    port = free_port()
    state = tmp_path / "state"
    far_end = FarEnd(state)
    local = f"file://{ROOT}/systemd/canteen-kiosk.html#{port}"
    with browser_page(local) as page:
        expect(page.locator("h1")).to_have_text(WAITING)
        serving = page.locator("body[data-state=serving]")
        with screen_of(state, tmp_path, port=port):
            expect(serving).to_be_visible(timeout=15_000)
        expect(page.locator("#word")).to_have_text(WAITING)
        with screen_of(state, tmp_path, port=port):
            expect(serving).to_be_visible(timeout=15_000)
    far_end.close()


def test_the_kiosk_says_after_a_minute_that_somebody_must_be_called(tmp_path: Path) -> None:
    with browser_page(f"file://{ROOT}/systemd/canteen-kiosk.html#{free_port()}") as page:
        page.clock.install()
        page.reload()
        expect(page.locator("h1")).to_have_text(WAITING)
        page.clock.run_for(62_000)
        expect(page.locator("#long")).to_contain_text("chiamare l’assistenza")


def test_the_agents_group_reads_the_ledger_and_others_read_nothing(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path / "broker") as broker,
        canteen(tmp_path, central_url=broker.url, terminal_url=broker.url, terminals=1) as town,
    ):
        (terminal,) = town.terminals
        terminal.stop()
        for path in terminal.db.parent.iterdir():
            path.unlink()
        as_in_the_unit = ["sh", "-c", 'umask 0027; exec "$@"', "sh"]
        terminal.start(enter=as_in_the_unit)
        terminal.wait_until_serving()
        modes = {path.name: path.stat().st_mode for path in terminal.db.parent.iterdir()}
        assert not [name for name, mode in modes.items() if mode & stat.S_IRWXO]
        assert {name for name, mode in modes.items() if mode & stat.S_IWGRP} == {
            "control.sock",
            "staff.sock",
            "watch.sock",
        }
        for name in ("terminal.db", "terminal.db-wal", "terminal.db-shm"):
            assert modes[name] & stat.S_IRGRP
