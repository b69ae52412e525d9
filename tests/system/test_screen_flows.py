"""Each flow of the staff's page in a real browser: by touch, by keypad alone, by keyboard alone."""

from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import expect

from tests.parts.far_end import WELL, tap
from tests.parts.hands import Keypad, Seen, Step, Tab, Touch, Typed, use
from tests.parts.process import wait_for
from tests.system.test_screen_states import shown

Flow = dict[str, list[Step]]

FIRST = "#eaters li:nth-child(1) button"
EATERS, GROUPS, DAY_BEFORE = Seen("#eaters li"), Seen("#groups li"), Seen("#meal-day", "22 nov")
CHOSEN = Seen("#eaters :focus")
UNDO = "#taps li button"
ASKED = Seen(UNDO, "Annulla Rossi M.?")
FLOWS: dict[str, Flow] = {
    "storno": {
        "touch": [Touch(UNDO), ASKED, Touch(UNDO)],
        "keypad": [Keypad("-"), ASKED, Keypad("\n")],
        "keyboard": [Tab(UNDO), ASKED, Typed("Enter")],
    },
    "meal": {
        "touch": [
            Touch("[data-open=child]"),
            Touch("#pad button:has-text('1')"),
            Touch("#pad button:has-text('7')"),
            EATERS,
            Touch(FIRST),
        ],
        "keypad": [Keypad("+17"), EATERS, Keypad("\n"), CHOSEN, Keypad("\n")],
        "keyboard": [
            Tab("[data-open=child]"),
            Typed("bart"),
            EATERS,
            Typed("Enter"),
            CHOSEN,
            Typed("Enter"),
        ],
    },
    "late meal": {
        "touch": [
            Touch("[data-open=group]"),
            GROUPS,
            Touch("#day-before"),
            DAY_BEFORE,
            Touch("#groups li:nth-child(4) button"),
            EATERS,
            Touch("#eaters li:nth-child(12) button"),
        ],
        "keypad": [
            Keypad("/"),
            GROUPS,
            Keypad("*"),
            DAY_BEFORE,
            Keypad("4\n"),
            EATERS,
            Keypad("12\n"),
        ],
        "keyboard": [
            Tab("[data-open=group]"),
            GROUPS,
            Tab("#day-before"),
            DAY_BEFORE,
            Tab("#groups li:nth-child(4) button"),
            EATERS,
            Tab("#eaters li:nth-child(12) button"),
        ],
    },
    "closing": {
        "touch": [
            Touch("[data-open=closing]"),
            Touch("#pad button:has-text('2')"),
            Touch("#pad button:has-text('3')"),
            Touch("#pad [aria-label=Cancella]"),
            Touch("#pad button:has-text('2')"),
            Touch("#close"),
        ],
        "keypad": [Keypad("*22\n")],
        "keyboard": [Tab("[data-open=closing]"), Typed("22"), Tab("#close")],
    },
    "day": {
        "touch": [
            Touch("[data-open=today]"),
            *(Touch(f"#pad button:has-text('{digit}')") for digit in "23112026"),
            Touch("#confirm-day"),
            Seen("#day-words", "lun 23 nov 2026"),
            Touch("#confirm-day"),
        ],
        "keypad": [Keypad("023112026\n"), Seen("#day-words", "lun 23 nov 2026"), Keypad("\n")],
        "keyboard": [
            Tab("[data-open=today]"),
            Typed("23.11.2026"),
            Tab("#confirm-day"),
            Seen("#day-words", "lun 23 nov 2026"),
            Typed("Enter"),
        ],
    },
    "credit": {
        "touch": [
            Touch("[data-open=child]"),
            Touch("#pad button"),
            EATERS,
            Touch(f"{FIRST}:last-child"),
        ],
        "keypad": [Keypad("+17"), EATERS, Keypad("\n"), CHOSEN, Keypad("*")],
        "keyboard": [Tab("[data-open=child]"), Typed("bart"), EATERS, Tab(f"{FIRST}:last-child")],
    },
}
ARGUMENTS: dict[str, dict[str, object]] = {
    "storno": {"epoch": "1-0f", "seq": 1},
    "meal": {"account": "a-0"},
    "late meal": {"account": "a-11", "day": "2026-11-22"},
    "closing": {"trays": 22},
    "day": {"day": "2026-11-23"},
    "credit": {"account": "a-0"},
}
ANSWERS = {
    "storno": "Annullato: Rossi M.",
    "meal": "Servito: Bartolomeo-Maria A. · 2B",
    "late meal": "Servito: Bartolomeo-Maria L. · 2B (2026-11-22)",
    "closing": "Chiuso: 22 vassoi, 21 pasti (1)",
    "day": "Oggi è 2026-11-23",
    "credit": "16,34",
}
WAYS = ["touch", "keypad", "keyboard"]
READING = {"classes", "class", "search"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("flow", FLOWS)
def test_every_flow_is_done_in_every_way(tmp_path: Path, flow: str, way: str) -> None:
    with shown(tmp_path) as at:
        at.far_end.send_tap(tap(1, label="Rossi M."))
        expect(at.page.locator("#who")).to_have_text("Rossi M.")
        if flow == "day":
            at.far_end.send_condition(msgspec.structs.replace(WELL, clock="unset", day=None))
            expect(at.page.locator("#set-day")).to_be_visible()
        use(at.page, FLOWS[flow][way])
        expect(at.page.locator("#answer")).to_contain_text(ANSWERS[flow])
        writing = [request for request in at.far_end.asked if request["do"] not in READING]
        assert [(request["do"], request["arguments"]) for request in writing] == [
            (flow.removeprefix("late "), ARGUMENTS[flow])
        ]


@pytest.mark.parametrize("way", WAYS)
def test_the_language_is_switched_in_every_way(tmp_path: Path, way: str) -> None:
    steps: Flow = {
        "touch": [Touch("#language")],
        "keypad": [Keypad(".")],
        "keyboard": [Tab("#language")],
    }
    with shown(tmp_path) as at:
        use(at.page, steps[way])
        expect(at.page.locator("#condition")).to_have_text("All is well")
        use(at.page, steps[way])
        expect(at.page.locator("#condition")).to_have_text("Tutto bene")


def test_a_keypad_leaves_every_task_and_undoes_an_older_line(tmp_path: Path) -> None:
    with shown(tmp_path) as at:
        for seq in (1, 2):
            at.far_end.send_tap(tap(seq))
        expect(at.page.locator("#taps li")).to_have_count(2)
        for opened in ("+", "/", "*"):
            use(at.page, [Keypad(opened)])
            expect(at.page.locator("#home")).to_be_hidden()
            use(at.page, [Keypad(".")])
            expect(at.page.locator("#home")).to_be_visible()
        older, back = "Annulla n. 1?", "Annulla n. 2?"
        use(at.page, [Keypad("-"), Keypad("-"), Seen("#taps li:nth-child(2)", older)])
        use(at.page, [Keypad("+"), Seen("#taps li:nth-child(1)", back), Keypad(".")])
        expect(at.page.locator("#taps li").first).not_to_contain_text("?")
        use(at.page, [Keypad("--\n")])
        wait_for(lambda: any(r["do"] == "storno" for r in at.far_end.asked), "the undo")
        assert at.far_end.asked[-1]["arguments"] == {"epoch": "1-0f", "seq": 1}


def test_the_keys_that_work_are_on_the_page(tmp_path: Path) -> None:
    with shown(tmp_path) as at:
        keys = at.page.locator("nav > :visible kbd")
        expect(keys).to_have_text(["+", "/", "*", "−", "."])
        for opened, sentence in (("+", "Enter elenco"), ("/", "1–9 classe"), ("*", "Enter chiudi")):
            use(at.page, [Keypad(opened), Seen("#legend", sentence), Keypad(".")])
        at.far_end.send_tap(tap(1))
        use(at.page, [Seen("#taps li"), Keypad("-"), Seen("#legend", "Enter conferma")])


def test_an_impossible_day_is_not_sent(tmp_path: Path) -> None:
    with shown(tmp_path) as at:
        at.far_end.send_condition(msgspec.structs.replace(WELL, clock="unset", day=None))
        expect(at.page.locator("#set-day")).to_be_visible()
        for digits in ("31022026", "2311", "00112026"):
            use(at.page, [Keypad(f"0{digits}\n"), Seen("#answer", "non è un giorno"), Keypad(".")])
        assert at.far_end.asked == []
