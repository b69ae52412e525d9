"""The blank file a new profile begins with: commented, complete, and without the proof that would let it load."""

import re

from agent.errors import ProfileError

_HEAD = """# {vendor} {model}: what the reader is, and what must be known about it. Every key: agent/readers/profile.py
schema    = 1
id        = "{id}"
revision  = 1                       # one more with every change
support   = "untested"              # untested | fixtures (bytes from documents) | bench (a reader on a desk) | field (a school)
transport = "{kind}"

[device]
vendor  = "{vendor}"
model   = "{model}"
tech    = ["{tech}"]{pad}# {techs}
sources = ["FILL IN: manual and page of every number below"]
notes   = []                        # what must be set on the reader by hand
"""
_PCSC = """
[match]
pcsc_name = "{vendor} {model}*"     # FILL IN: canteen-agent readers shows the name; a * stands for anything
usb       = []                      # FILL IN: "072f:2200", as lsusb shows it

[poll]
mode = "event"

[uid]
send       = "FF CA 00 00 00"       # PC/SC part 3; the same for nearly all
status     = "9000"
encoding   = "raw"
byte_order = "wire"                 # try one card on another reader: reversed, if its bytes come the other way round
lengths    = [4, 7, 10]

[presence]
mode        = "level"
debounce_ms = 700

# What it can show, where its manual tells; without these it shows nothing of ours.
# [feedback.ok]
# via    = "apdu"                   # escape, if it needs no card
# send   = "FF 00 40 2E 04 01 00 01 01"
# expect = "90.."

# The proof: an answer with a card, and one that must be refused. Without both the file does not load.
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
kind       = "delimited"            # delimited | counted | prefixed | line | pn53x: docs/READERS.md has one of each
start      = "02"                   # FILL IN
end        = "03"
length     = 14                     # the whole frame
max_gap_ms = 50                     # a longer pause inside drops it

[framing.checksum]
algo     = "xor8"
encoding = "ascii-hex"
over     = [1, 11]                  # from, up to: places in the frame
at       = [11, 13]

[poll]
mode = "push"                       # it speaks by itself; request, if it must be asked

[uid]
slice      = [1, 11]
encoding   = "ascii-hex"
byte_order = "wire"
lengths    = [5]
reject     = ["0000000000", "ffffffffff"]

[presence]
mode          = "repeat"            # it repeats while the card is near; once, if it does not
repeat_ms     = 65
gone_after_ms = 400
debounce_ms   = 1500

# The proof: a frame with a card, and one that must be refused. Without both the file does not load.
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
usb       = []                      # FILL IN: "ffff:0035", as lsusb shows it
interface = "hid"

[framing]
kind       = "line"                 # it ends with Enter
length     = 32
max_gap_ms = 100

[poll]
mode = "push"

[uid]
encoding   = "ascii-dec"            # ascii-hex, if it types hex digits; then without width
width      = 4
byte_order = "reversed"             # try one card on another reader
pattern    = '^[0-9]{{10}}$'          # what a card of ours looks like
lossy      = '^[0-9]{{8}}$'           # what drops a part of the number
lengths    = [4]

[presence]
mode        = "once"
debounce_ms = 1500

# The proof: what it types for a card (the characters' bytes, 0D for Enter), and something that must be refused.
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


def template(profile_id: str, vendor: str, model: str, kind: str) -> str:
    """Return the text of a new profile. `kind` is a transport. Raise `ProfileError` for an id or a name that cannot stand in it."""
    if re.fullmatch(r"[a-z0-9][a-z0-9-]{0,47}", profile_id) is None:
        raise ProfileError(
            f"{profile_id!r}: an id has lower-case letters, digits and -, as in acs-acr122u"
        )
    for name in (vendor, model):
        if not name.isprintable() or '"' in name or "\\" in name:
            raise ProfileError(
                f"{name!r}: cannot stand in a profile; leave out quotation marks and backslashes"
            )
    tech = "em4100" if kind == "serial" else "iso14443a"
    words = {
        "id": profile_id,
        "vendor": vendor,
        "model": model,
        "kind": kind,
        "tech": tech,
        "techs": _TECHS,
        "pad": " " * (22 - len(tech)),
    }
    return _HEAD.format(**words) + _KINDS[kind].format(**words)
