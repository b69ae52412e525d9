"""What a key's code stands for on a reader that types (Linux, input-event-codes.h). Pure."""

KEY = 1  # EV_KEY
PRESSED = 1  # 0: released, 2: repeated by the kernel while it is held

_ROWS = {2: "1234567890", 16: "QWERTYUIOP", 30: "ASDFGHJKL", 44: "ZXCVBNM"}
_PAD = {
    71: "7",
    72: "8",
    73: "9",
    75: "4",
    76: "5",
    77: "6",
    79: "1",
    80: "2",
    81: "3",
    82: "0",
    83: ".",
    98: "/",
}
_SIGNS = {12: "-", 51: ",", 52: ".", 53: "/"}
_ENTER = {28: "\r", 96: "\r"}
_SILENT = frozenset(
    {29, 42, 54, 56, 58, 69, 97, 100, 125, 126}
)  # shift, control, alt, caps and num lock, logo
_CHARACTERS = (
    {first + n: letter for first, row in _ROWS.items() for n, letter in enumerate(row)}
    | _PAD
    | _SIGNS
    | _ENTER
)


def character(kind: int, code: int, value: int) -> bytes:
    """Return the one byte that a key event types, none for a release, a repeat or a key without a letter of its own.

    A key that is on no reader types `?`, so that the text fits no card's form.
    """
    if kind != KEY or value != PRESSED or code in _SILENT:
        return b""
    return _CHARACTERS.get(code, "?").encode("ascii")
