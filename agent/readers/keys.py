"""What a reader that types has typed, from its key events (Linux, input-event-codes.h). Pure.

A key is a place on the keyboard, and its character depends on the layout that the reader is set to.
The digits, and the letters with and without shift, are taken as on a US keyboard. Whatever else
depends on the layout makes the text unknown, so that it is never taken for another card's number.
"""

from dataclasses import dataclass, field

KEY = 1  # EV_KEY
RELEASED, PRESSED = 0, 1  # 2: repeated by the kernel while it is held down

_ROWS = {2: "1234567890", 16: "qwertyuiop", 30: "asdfghjkl", 44: "zxcvbnm"}
_PAD = dict(zip((71, 72, 73, 75, 76, 77, 79, 80, 81, 82, 83, 98), "7894561230./", strict=True))
_SIGNS = {12: "-", 51: ",", 52: ".", 53: "/"}
_END = {15: "\r", 28: "\r", 96: "\r"}  # tab, enter, enter of the number pad
_SHIFT = frozenset({42, 54})
# control, alt and logo: with them a key types no character, or one by its number
_OTHER_HELD = frozenset({29, 56, 97, 100, 125, 126})
_CAPS_LOCK, _NUM_LOCK = 58, 69
_CHARACTERS = (
    {first + n: letter for first, row in _ROWS.items() for n, letter in enumerate(row)}
    | _PAD
    | _SIGNS
    | _END
)
# A text of fewer keys is a hand on the keyboard, not a card.
KEYS_MIN = 4


@dataclass(slots=True)
class Keys:
    """The keys that are held down, and the text since the last end of a line."""

    is_unknown: bool = False
    _count: int = 0
    _held: set[int] = field(default_factory=set)
    _has_caps_lock: bool = False

    def typed(self, kind: int, code: int, value: int) -> bytes:
        """Return the byte that a key event types; nothing for a release or a repeat.

        A key whose character is not known types `?`, and makes the text unknown.
        """
        if kind != KEY or value not in (RELEASED, PRESSED):
            return b""
        if code in _SHIFT or code in _OTHER_HELD:
            (self._held.add if value == PRESSED else self._held.discard)(code)
            return b""
        if value == RELEASED or code == _NUM_LOCK:
            return b""
        if code == _CAPS_LOCK:
            self._has_caps_lock = not self._has_caps_lock
            return b""
        self._count += 1
        return self._character(code).encode("ascii")

    @property
    def is_unfinished(self) -> bool:
        """Return whether a text has begun that is long enough for a card."""
        return self._count >= KEYS_MIN

    def begin(self) -> None:
        """Forget the text: it has ended, or nothing more came."""
        self._count, self.is_unknown = 0, False

    def _character(self, code: int) -> str:
        character = _CHARACTERS.get(code, "?")
        has_shift = bool(self._held & _SHIFT)
        if character.isalpha():
            is_capital = has_shift != self._has_caps_lock
            character = character.upper() if is_capital else character
        elif has_shift and character not in _END.values():
            character = "?"
        if character == "?" or self._held & _OTHER_HELD:
            self.is_unknown = True
            return "?"
        return character
