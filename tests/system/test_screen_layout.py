"""Nothing of the staff's page overlaps or is cut, at each size, zoom and language; measured."""

from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Page, expect

from agent.ops.control_messages import Word
from tests.parts.far_end import NOON, WELL, tap
from tests.parts.hands import Keypad, Seen, Step, Touch, use
from tests.system.test_screen_states import Shown, shown

SIZES = {
    "small": (800, 480),
    "large": (1280, 800),
    "small at 200 %": (400, 240),
    "large at 200 %": (640, 400),
}
ZOOMED = {(400, 240), (640, 400)}
TALLEST = "Bartolomeo-Maria D."
STATES: dict[str, list[Step]] = {
    "home": [],
    "undo": [Keypad("-"), Seen("#taps li button", "?")],
    "search by touch": [Touch("[data-open=child]"), Touch("#pad button"), Seen("#eaters li")],
    "search by keypad": [
        Keypad("+17"),
        Seen("#eaters li"),
        Keypad("\n"),
        Seen("#eaters :focus"),
        Keypad("*"),
        Seen("#answer", "16"),
    ],
    "classes": [Keypad("/"), Seen("#groups li")],
    "class": [Keypad("/"), Seen("#groups li"), Keypad("4\n"), Seen("#eaters li:nth-child(22)")],
    "closing by touch": [Touch("[data-open=closing]")],
    "closed": [Keypad("*22\n"), Seen("#answer", "22")],
    "day by touch": [Touch("[data-open=today]")],
    "day": [Keypad("023112026\n"), Seen("#day-words", "2026")],
}
# Yields what overlaps, is outside of the page, or is wider or higher than its own box.
FAULTS = """(isZoomed) => {
  const LEAVES = "button, input, a, #answer, #legend, #condition, #faults, dd, dt, kbd, span, em,"
    + " output, label";
  const faults = [], shown = [];
  const name = (e) => e.id || e.dataset.open || `${e.tagName} ${e.textContent.slice(0, 20)}`;
  for (const element of document.querySelectorAll("body *")) {
    const box = element.getBoundingClientRect();
    if (!box.width || !box.height || getComputedStyle(element).visibility === "hidden") continue;
    const excess = element.scrollWidth - element.clientWidth;
    if (excess > 1 && element.clientWidth && !element.matches("input, output, span"))
      faults.push(`${name(element)} is cut by ${excess} px`);
    const isText = element.matches("p, h1, h2") && element.textContent;
    // what scrolls shows a part of its lines
    if (!(element.matches(LEAVES) || isText) || element.closest("#eaters, #faults")) continue;
    if (box.left < 0 || box.right > innerWidth + 1) faults.push(`${name(element)} is beside`);
    if (box.top + scrollY < 0 || (box.bottom > innerHeight + 1 && !isZoomed))
      faults.push(`${name(element)} is above or below`);
    shown.push([element, box]);
  }
  for (const [first, a] of shown) for (const [other, b] of shown) {
    if (first.contains(other) || other.contains(first)) continue;
    const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (width > 1 && height > 1) faults.push(`${name(first)} overlaps ${name(other)}`);
  }
  const page = document.scrollingElement;
  if (page.scrollWidth > innerWidth) faults.push(`the page is ${page.scrollWidth} px wide`);
  if (!isZoomed && page.scrollHeight > innerHeight)
    faults.push(`the page is ${page.scrollHeight} px high`);
  return faults;
}"""


# The page fits its lines before it is painted: what was never painted is not looked at.
PAINTED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def faults_of(page: Page, size: tuple[int, int]) -> list[str]:
    page.evaluate(PAINTED)
    return list(page.evaluate(FAULTS, size in ZOOMED))


def fill(at: Shown) -> None:
    for seq in range(1, 8):
        at.far_end.send_tap(tap(seq, label=TALLEST, group="2B", dish="D3"))
    expect(at.page.locator("#who")).to_have_text(f"{TALLEST} · 2B")
    expect(at.page.locator("#taps li")).to_have_count(6)


@pytest.mark.parametrize("language", ["it", "en"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_no_task_overlaps_or_is_cut(tmp_path: Path, size: tuple[int, int], language: str) -> None:
    with shown(tmp_path, f"/?lang={language}", size) as at:
        fill(at)
        at.far_end.send_condition(
            msgspec.structs.replace(WELL, clock="unset", pending=14, serve_all_until=NOON)
        )
        expect(at.page.locator("#set-day")).to_be_visible()
        for state, steps in STATES.items():
            use(at.page, steps)
            assert faults_of(at.page, size) == [], state
            at.page.screenshot(path=tmp_path / f"{state}.png")
            use(at.page, [Keypad(".")] * (2 if state == "class" else 1) if steps else [])
            if state != "home":
                expect(at.page.locator("#home")).to_be_visible()


@pytest.mark.parametrize("language", ["it", "en"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_no_outcome_overlaps_or_is_cut(
    tmp_path: Path, size: tuple[int, int], language: str
) -> None:
    with shown(tmp_path, f"/?lang={language}", size) as at:
        for first, task in ((1, "."), (101, "/")):
            use(at.page, [Keypad(task)] if task != "." else [])
            for seq, word in enumerate(Word, start=first):
                again = {"again_at": NOON} if word is Word.ALREADY_SERVED else {}
                at.far_end.send_tap(tap(seq, word, label=TALLEST, group="2B", dish="D3", **again))
                expect(at.page.locator("#outcome")).to_have_attribute("data-word", word)
                assert faults_of(at.page, size) == [], word
                outcome = at.page.locator("#outcome").bounding_box()
                for part in ("#word", "#who", "#dish"):
                    box = at.page.locator(part).bounding_box()
                    assert outcome is not None and box is not None
                    assert box["y"] >= outcome["y"], (word, part)
                    bottom = outcome["y"] + outcome["height"]
                    assert box["y"] + box["height"] <= bottom, (word, part)
