"""The staff's page in a real browser, in states that a terminal seldom has."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Page, expect

from agent.ops.control_messages import FaultCode, FaultLine, Word
from tests.parts.browser import HELP, browser_page, screen_of
from tests.parts.far_end import WELL, FarEnd, tap
from tests.parts.process import wait_for

WAITING = "Il terminale sta partendo…"


@dataclass
class Shown:
    """A page, and the far end that it watches."""

    far_end: FarEnd
    page: Page


@contextmanager
def shown(folder: Path, query: str = "", size: tuple[int, int] = (800, 480)) -> Iterator[Shown]:
    far_end = FarEnd(folder / "state")
    try:
        with (
            screen_of(folder / "state", folder) as url,
            browser_page(url + query, *size) as page,
        ):
            expect(page.locator("body")).to_have_attribute("data-state", "serving")
            yield Shown(far_end, page)
    finally:
        far_end.close()


def test_a_terminal_that_is_gone_is_never_shown_as_ready(tmp_path: Path) -> None:
    with shown(tmp_path) as at:
        at.far_end.send_tap(tap(1, label="Rossi M."))
        expect(at.page.locator("#who")).to_have_text("Rossi M.")
        at.page.clock.install()
        at.far_end.close()
        expect(at.page.locator("#word")).to_have_text(WAITING)
        expect(at.page.locator("#taps")).to_be_hidden()
        at.page.clock.fast_forward(61_000)
        expect(at.page.locator("#faults")).to_contain_text("Il terminale non risponde dalle")
        expect(at.page.locator("#faults")).to_contain_text(HELP)
        expect(at.page.locator("#word")).to_have_text(WAITING)


def test_out_of_order_stands_until_it_is_over(tmp_path: Path) -> None:
    with shown(tmp_path) as at:
        reason = "the disk is full"
        fault = FaultLine(code=FaultCode.FILE, since=WELL.at, words=reason)
        broken = msgspec.structs.replace(WELL, out_of_order=reason, faults=[fault])
        at.far_end.send_condition(broken)
        expect(at.page.locator("#word")).to_have_text("Fuori servizio")
        expect(at.page.locator("#faults")).to_contain_text("Segnare i nomi su carta")
        expect(at.page.locator("#faults")).to_contain_text(HELP)
        expect(at.page.locator("#faults small")).to_have_text("the disk is full")
        at.far_end.send_condition(WELL)
        expect(at.page.locator("#word")).to_have_text("Pronto")
        expect(at.page.locator("#faults")).to_be_hidden()


def test_a_fault_that_lasts_for_a_minute_is_shown_with_what_to_do_and_whom_to_call(
    tmp_path: Path,
) -> None:
    fault = FaultLine(
        code=FaultCode.READER, since="2026-11-23T11:04:00.000Z", words="counter: down: unplugged"
    )
    broken = msgspec.structs.replace(WELL, at="2026-11-23T11:04:59.999Z", faults=[fault])
    with shown(tmp_path) as at:
        at.far_end.send_condition(msgspec.structs.replace(broken, pending=7))
        expect(at.page.locator("#condition")).to_contain_text("7")
        expect(at.page.locator("#faults")).to_be_hidden()
        at.far_end.send_condition(msgspec.structs.replace(broken, at="2026-11-23T11:05:00.000Z"))
        expect(at.page.locator("#faults")).to_contain_text("Un lettore di tessere non funziona")
        expect(at.page.locator("#faults")).to_contain_text("dalle 12:04")
        expect(at.page.locator("#faults")).to_contain_text(HELP)
        expect(at.page.locator("#faults small")).to_have_text("counter: down: unplugged")


def test_the_line_that_is_touched_stands_still_while_the_queue_goes_on(tmp_path: Path) -> None:
    with shown(tmp_path) as at:
        at.far_end.send_tap(tap(1, label="Rossi M."))
        undo = at.page.locator("#taps li button").first
        undo.click()
        expect(undo).to_have_text("Annulla Rossi M.?")
        at.far_end.send_tap(tap(2, label="Verdi A."))
        expect(at.page.locator("#who")).to_have_text("Verdi A.")
        undo.click()
        wait_for(lambda: bool(at.far_end.asked), "a request")
        assert at.far_end.asked[0]["arguments"] == {"epoch": "1-0f", "seq": 1}
        expect(at.page.locator("#taps li")).to_have_count(2)
        assert len(at.far_end.asked) == 1


def test_a_touch_that_is_not_repeated_undoes_nothing(tmp_path: Path) -> None:
    with shown(tmp_path) as at:
        at.page.clock.install()
        at.far_end.send_tap(tap(1))
        undo = at.page.locator("#taps li button")
        undo.click()
        at.page.clock.fast_forward(4_500)
        expect(undo).to_have_text("Annulla")
        undo.click()
        expect(undo).to_have_text("Annulla n. 1?")
        assert at.far_end.asked == []


def test_a_service_is_not_closed_without_a_number_of_trays(tmp_path: Path) -> None:
    with shown(tmp_path) as at:
        at.page.click("[data-open=closing]")
        for written in ("", "12a", "-3"):
            at.page.fill("#trays", written)
            at.page.click("#close")
            expect(at.page.locator("#answer")).to_contain_text("quanti vassoi")
        assert at.far_end.asked == []


def test_a_terminal_without_an_answer_of_the_central_is_not_all_well(tmp_path: Path) -> None:
    with shown(tmp_path) as at:
        expect(at.page.locator("#condition")).to_have_text("Tutto bene")
        at.far_end.send_condition(msgspec.structs.replace(WELL, data_age_min=None))
        expect(at.page.locator("#condition")).to_contain_text("Ancora nessuna risposta")


def test_a_browser_that_slept_paints_no_outcome_that_is_over(tmp_path: Path) -> None:
    """A child who stands there now would take another child's *served* for theirs."""
    with shown(tmp_path) as at:
        at.far_end.silent = [tap(1), tap(2)]
        at.page.evaluate(
            "setTimeout(() => { ask('day', {}); const end = Date.now() + 6000;"
            " while (Date.now() < end); }, 0)"
        )
        wait_for(lambda: bool(at.far_end.asked), "a page that stands still")
        expect(at.page.locator("#taps li")).to_have_count(2, timeout=15_000)
        assert at.page.locator("#outcome").get_attribute("data-word") == ""
        assert at.far_end.watches == 2
        at.far_end.send_tap(tap(3))
        expect(at.page.locator("#word")).to_have_text("Servito")


def test_an_undo_ends_with_its_window_though_nothing_else_happens(tmp_path: Path) -> None:
    with shown(tmp_path) as at:
        at.page.clock.install(time="2026-11-23T11:05:00Z")
        at.far_end.send_tap(tap(1, undo_until="2026-11-23T11:06:00.000Z"))
        undo = at.page.locator("#taps li button")
        at.page.clock.fast_forward(55_000)
        expect(undo).to_be_visible()
        at.page.clock.fast_forward(6_000)
        expect(undo).to_have_count(0)
        assert at.page.locator("#taps li").count() == 1


def test_times_are_those_of_the_town(tmp_path: Path) -> None:
    with shown(tmp_path, "/?lang=en") as at:
        at.far_end.send_tap(tap(1))
        expect(at.page.locator("#taps li span")).to_have_text("12:05 Served n. 1")


def test_no_sound_waits_for_the_first_touch(tmp_path: Path) -> None:
    with shown(tmp_path) as at:
        at.page.evaluate("audio.suspend()")
        assert at.page.evaluate("audio.state") == "suspended"
        at.page.evaluate(
            "{ window.made = 0; const make = audio.createOscillator.bind(audio);"
            " audio.createOscillator = () => { made += 1; return make(); }; } 0"
        )
        at.far_end.send_tap(tap(1))
        expect(at.page.locator("#word")).to_have_text("Servito")
        assert at.page.evaluate("made") == 0
        at.page.click("#condition")
        wait_for(lambda: at.page.evaluate("audio.state") == "running", "sound")
        at.far_end.send_tap(tap(2))
        expect(at.page.locator("#who")).to_have_text("n. 2")
        assert at.page.evaluate("made") == 1


@pytest.mark.parametrize("size", [(800, 480), (1280, 800)])
@pytest.mark.parametrize("language", ["it", "en"])
def test_outcome_and_last_undo_fit_the_screen(
    tmp_path: Path, size: tuple[int, int], language: str
) -> None:
    with shown(tmp_path, f"/?lang={language}", size) as at:
        refused: list[str] = []
        at.page.on("console", lambda message: refused.append(message.text))
        for seq, word in enumerate(Word, start=1):
            if word is Word.OUT_OF_ORDER:
                continue
            at.far_end.send_tap(tap(seq, word, label="Bartolomeo-Maria D.", group="2B", dish="D3"))
            expect(at.page.locator("#outcome")).to_have_attribute("data-word", word)
            expect(at.page.locator("#word")).to_be_in_viewport(ratio=1)
            expect(at.page.locator("#dish")).to_be_in_viewport(ratio=1)
            at.page.screenshot(path=tmp_path / f"{language}-{size[0]}-{word}.png")
        at.far_end.send_tap(tap(99, label="Bartolomeo-Maria D.", group="2B"))
        undo = at.page.locator("#taps li button").first
        expect(undo).to_be_in_viewport(ratio=1)
        box = undo.bounding_box()
        assert box is not None and box["height"] >= 44 and box["width"] >= 44
        wide = at.page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert not wide and refused == []
