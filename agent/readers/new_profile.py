"""The template for a new profile: commented, complete, and without the self-tests to load."""

import re

from agent.errors import ProfileError

_HEAD = """# {vendor} {model}: write here what the reader is, and what a technician must know.
# agent/readers/profile.py describes every key.
schema    = 2
id        = "{id}"
revision  = 1                       # increase it with every change
# untested | fixtures (bytes from documents) | bench (a reader on a desk) | field (a school)
support   = "untested"
transport = "{kind}"

[device]
vendor  = "{vendor}"
model   = "{model}"
# {techs}
tech    = ["{tech}"]
sources = ["FILL IN: manual and page of every number below"]
notes   = []                        # what to set on the reader by hand
"""
_PCSC = """
[match]
# FILL IN: canteen-agent readers lists the name; a * stands for any text
pcsc_name = "{vendor} {model}*"
usb       = []                      # FILL IN: "072f:2200", as lsusb lists it

[poll]
mode = "event"

[uid]
send       = "FF CA 00 00 00"       # PC/SC part 3; the same for nearly all readers
status     = "9000"
encoding   = "raw"
byte_order = "wire"                 # compare one card with another reader; if it differs: reversed
lengths    = [4, 7, 10]

# What the reader can show, if its manual tells how. Without it the reader shows no signals.
# [feedback.ok]
# via    = "apdu"                   # escape, if it needs no card
# send   = "FF 00 40 2E 04 01 00 01 01"
# expect = "90.."

# Self-tests: an answer with a card, and one that must be refused. The file needs both to load.
# [[selftest]]
# name = "UID of 7 bytes"
# rx   = "04 A1 B2 C3 D4 E5 F6 90 00"
# uid  = "04a1b2c3d4e5f6"
# [[selftest]]
# name  = "operation failed"
# rx    = "63 00"
# error = "status"
"""
_SERIAL = """
[serial]
baud   = 9600                       # FILL IN

[framing]
# frame | line | pn53x: see docs/contribute/add-a-reader.md
kind       = "frame"
start      = "02"                   # FILL IN
end        = "03"
length     = 14                     # of the whole frame

[framing.checksum]
algo     = "xor8"
encoding = "ascii-hex"
over     = [1, 11]                  # first and end (exclusive), counted in the frame
at       = [11, 13]

[poll]
# repeat: it sends by itself, and repeats while the card is near; once: it sends each card once;
# request: it must be asked
mode          = "repeat"
repeat_ms     = 65
gone_after_ms = 400

[uid]
slice      = [1, 11]
encoding   = "ascii-hex"
byte_order = "wire"
lengths    = [5]
reject     = ["0000000000", "ffffffffff"]

# Self-tests: a frame with a card, and one that must be refused. The file needs both to load.
# [[selftest]]
# name = "a frame from the manual"
# rx   = "02 36 32 45 33 30 38 36 43 45 44 30 38 03"
# uid  = "62e3086ced"
# [[selftest]]
# name  = "bad checksum"
# rx    = "02 36 32 45 33 30 38 36 43 45 44 30 39 03"
# error = "checksum"
"""
_KEYBOARD = """
[match]
usb       = []                      # FILL IN: "ffff:0035", as lsusb lists it
interface = "hid"

[framing]
kind       = "line"                 # the number ends with Enter
length     = 32

[poll]
mode = "once"

[uid]
encoding   = "ascii-dec"            # ascii-hex, if it types hex digits; then without width
width      = 4
byte_order = "reversed"             # compare one card with another reader
pattern    = '^[0-9]{{10}}$'          # how the number of a canteen card looks
lossy      = '^[0-9]{{8}}$'           # how a number looks that drops a part
lengths    = [4]

# Self-tests: what the reader types for a card (the bytes of the characters, 0D for Enter), and what
# must be refused. The file needs both to load.
# [[selftest]]
# name = "3220338716"
# rx   = "33 32 32 30 33 33 38 37 31 36 0D"
# uid  = "1c78f2bf"
# [[selftest]]
# name  = "three bytes only"
# rx    = "30 36 35 34 37 38 38 36 0D"
# error = "lossy"
"""
_KINDS = {"pcsc": _PCSC, "serial": _SERIAL, "keyboard": _KEYBOARD}
_TECHS = "iso14443a | iso14443b | em4100 | felica | iso15693 | printed-code"
# 48 characters at most: the id is a file name and a word in every log line of a start.
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")


def template(profile_id: str, vendor: str, model: str, kind: str) -> str:
    """Return the text of a new profile. `kind` is a transport.

    Raise `ProfileError` for an id or a name that a profile cannot contain.
    """
    if _ID.fullmatch(profile_id) is None:
        raise ProfileError(
            f"{profile_id!r}: an id has up to 48 lower-case letters, digits and -, as acs-acr122u"
        )
    for name in (vendor, model):
        if not name.isprintable() or '"' in name or "\\" in name:
            raise ProfileError(
                f"{name!r}: a profile cannot contain it; leave out quotation marks, backslashes"
                " and control characters"
            )
    words = {
        "id": profile_id,
        "vendor": vendor,
        "model": model,
        "kind": kind,
        "tech": "em4100" if kind == "serial" else "iso14443a",
        "techs": _TECHS,
    }
    return _HEAD.format(**words) + _KINDS[kind].format(**words)
