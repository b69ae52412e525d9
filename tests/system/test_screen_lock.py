"""A staff card unlocks the page's corrections, and its account reaches the central's lists."""

import json
from pathlib import Path

import msgspec
from playwright.sync_api import expect

from tests.parts.broker import Mosquitto
from tests.parts.canteen import CARDS, canteen
from tests.parts.far_end import WELL, tap
from tests.parts.process import wait_for
from tests.system.test_screen import page_of
from tests.system.test_screen_states import shown

LOCKED = "Per correggere serve la tessera del personale"
UNDO = "#taps li button[aria-disabled=false]"


def test_a_staff_card_unlocks_the_page_and_its_account_reaches_the_central(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path / "broker") as broker,
        canteen(
            tmp_path, central_url=broker.url, terminal_url=broker.url, terminals=1, start=False
        ) as town,
    ):
        (terminal,), (line,) = town.terminals, town.lines
        town.central.add_roster("account,category", ["a-7,staff"])
        with terminal.config.open("a", encoding="utf-8") as config:
            config.write('\n[screen]\nunlock = "staff_card"\n')
        town.central.start()
        town.start(terminal)
        terminal.wait_for_account("a-7")
        with page_of(town, tmp_path) as page:
            town.tap(0)
            undo = page.locator("#taps li button").last
            expect(page.locator("#condition")).to_contain_text(LOCKED)
            undo.click()
            undo.click()
            expect(page.locator("#answer")).to_have_text(
                "Prima passare una tessera del personale sul lettore. Sblocca per 3 minuti."
            )
            assert town.recorded(terminal) == 1
            line.hold(CARDS[7])
            expect(page.locator("#word")).to_have_text("Servito")
            expect(page.locator("#condition")).to_contain_text("Sbloccato fino alle")
            undo.click()
            undo.click()
            expect(page.locator("#answer")).to_contain_text("Annullato")
            town.tapped = 3
            wait_for(town.all_booked, "everything booked")
        listed = json.loads(town.central.office("entries", "--json"))
        assert [(row["kind"], row["by"]) for row in listed] == [
            ("meal", None),
            ("meal", None),
            ("storno", "a-7"),
        ]
        town.stop()
        town.check()


def test_the_page_says_when_it_is_locked_again(tmp_path: Path) -> None:
    with shown(tmp_path) as at:
        condition = at.page.locator("#condition")
        until = "2026-11-23T11:08:00.000Z"
        locked = msgspec.structs.replace(WELL, needs_staff_card=True)
        at.far_end.send_condition(msgspec.structs.replace(locked, unlocked_until=until))
        expect(condition).to_have_text("Tutto bene · Sbloccato fino alle 12:08")
        at.far_end.send_condition(locked)
        expect(condition).to_have_text(f"Tutto bene · {LOCKED}")


def test_two_touches_of_one_finger_are_one_touch(tmp_path: Path) -> None:
    with shown(tmp_path) as at:
        at.page.clock.install(time="2026-11-23T11:05:00Z")
        at.page.clock.pause_at("2026-11-23T11:05:02Z")
        at.far_end.send_tap(tap(1))
        undo = at.page.locator("#taps li button")
        undo.dblclick()
        expect(undo).to_have_text("Annulla n. 1?")
        at.page.clock.run_for(399)
        expect(undo).to_have_attribute("aria-disabled", "true")
        undo.dispatch_event("click")
        expect(undo).to_be_enabled(enabled=False)
        assert at.far_end.asked == []
        at.page.clock.run_for(1)
        undo.click()
        wait_for(lambda: bool(at.far_end.asked), "the undo")
        assert [request["do"] for request in at.far_end.asked] == ["storno"]


def test_a_key_that_is_held_is_one_touch(tmp_path: Path) -> None:
    with shown(tmp_path) as at:
        at.far_end.send_tap(tap(1))
        at.page.locator("#taps li button").focus()
        at.page.keyboard.down("Enter")
        expect(at.page.locator(UNDO)).to_have_text("Annulla n. 1?")
        at.page.keyboard.down("Enter")  # the second of a key that is held is a repetition
        at.page.keyboard.up("Enter")
        expect(at.page.locator(UNDO)).to_have_text("Annulla n. 1?")
        assert at.far_end.asked == []
        at.page.keyboard.press("Enter")
        wait_for(lambda: bool(at.far_end.asked), "the undo")
