"""The characters of key codes on a reader that types (Linux, input-event-codes.h). Pure."""

KEY = 1  # EV_KEY
PRESSED = 1  # 0: released, 2: repeated by the kernel while it is held down

_ROWS = {2: "1234567890", 16: "QWERTYUIOP", 30: "ASDFGHJKL", 44: "ZXCVBNM"}
_PAD = dict(zip((71, 72, 73, 75, 76, 77, 79, 80, 81, 82, 83, 98), "7894561230./", strict=True))
_SIGNS = {12: "-", 51: ",", 52: ".", 53: "/"}
_ENTER = {28: "\r", 96: "\r"}
# shift, control, alt, caps lock, num lock, logo
_SILENT = frozenset({29, 42, 54, 56, 58, 69, 97, 100, 125, 126})
_CHARACTERS = (
    {first + n: letter for first, row in _ROWS.items() for n, letter in enumerate(row)}
    | _PAD
    | _SIGNS
    | _ENTER
)


def character(kind: int, code: int, value: int) -> bytes:
    """Return the one byte that a key event types.

    Nothing for a release, for a repeat, and for keys such as shift. Any other key types `?`, so
    that the text is not taken for a card's number.
    """
    if kind != KEY or value != PRESSED or code in _SILENT:
        return b""
    return _CHARACTERS.get(code, "?").encode("ascii")
