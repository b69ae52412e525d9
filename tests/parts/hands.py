"""Ways to use the staff's page: by touch, with a numeric keypad alone, with a keyboard alone."""

from dataclasses import dataclass

from playwright.sync_api import CDPSession, Page, expect

TABS_MAX = 60
_KEYPAD = {
    **{str(digit): (f"Numpad{digit}", 96 + digit) for digit in range(10)},
    "*": ("NumpadMultiply", 106),
    "+": ("NumpadAdd", 107),
    "-": ("NumpadSubtract", 109),
    ".": ("NumpadDecimal", 110),
    "/": ("NumpadDivide", 111),
    "\n": ("NumpadEnter", 13),
}
# Whether the element with the focus shows it: an outline of its own, inside the window.
_FOCUS_IS_SEEN = """() => {
  const element = document.activeElement, box = element.getBoundingClientRect();
  const outline = getComputedStyle(element);
  if (element === document.body || document.body.dataset.by === "touch") return true;
  return outline.outlineStyle === "solid" && parseFloat(outline.outlineWidth) >= 3
    && box.top >= 0 && box.bottom <= innerHeight + 1;
}"""


@dataclass(frozen=True, slots=True)
class Touch:
    """A finger on what a selector names."""

    selector: str


@dataclass(frozen=True, slots=True)
class Keypad:
    """Keys of a numeric keypad, in order; a line feed is Enter."""

    keys: str


@dataclass(frozen=True, slots=True)
class Tab:
    """The key Tab until a selector has the focus, then Enter."""

    selector: str


@dataclass(frozen=True, slots=True)
class Typed:
    """Letters, digits and named keys of a keyboard."""

    text: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What the page must show before the next step."""

    selector: str
    text: str = ""


Step = Touch | Keypad | Tab | Typed | Seen


def use(page: Page, steps: list[Step]) -> None:
    """Do the steps in order. Raise `AssertionError` when a focus is not seen."""
    session = page.context.new_cdp_session(page)
    for step in steps:
        match step:
            case Touch(selector):
                page.locator(selector).first.tap()
            case Keypad(keys):
                for key in keys:
                    assert page.evaluate(_FOCUS_IS_SEEN), f"no visible focus before {key!r}"
                    _press(session, key)
            case Tab(selector):
                _tab_to(page, selector)
                page.keyboard.press("Enter")
            case Typed("Enter" | "ArrowDown" | "Escape" as key):
                page.keyboard.press(key)
            case Typed(text):
                page.keyboard.type(text)
            case Seen(selector, text):
                expect(page.locator(selector).first).to_contain_text(text)


def _press(session: CDPSession, key: str) -> None:
    code, number = _KEYPAD[key]
    named = "Enter" if key == "\n" else key
    parts = {"key": named, "code": code, "windowsVirtualKeyCode": number, "isKeypad": True}
    text = "\r" if key == "\n" else key
    session.send("Input.dispatchKeyEvent", {"type": "keyDown", "text": text, **parts})
    session.send("Input.dispatchKeyEvent", {"type": "keyUp", **parts})


def _tab_to(page: Page, selector: str) -> None:
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        assert page.evaluate(_FOCUS_IS_SEEN), "no visible focus after Tab"
        if page.evaluate(f"document.activeElement.matches({selector!r})"):
            return
    raise AssertionError(f"Tab does not reach {selector}")
