"""The rules of a profile's bytes: hex texts, patterns, framing, and what is sent to a reader."""

import re
from collections.abc import Iterator

from msgspec import UNSET

from agent.readers.apdu import begins, is_pattern, parse_hex
from agent.readers.framing import QUIET_MS, STALL_MS_MAX, Frame, Span, resolve_span
from agent.readers.profile import Profile, Step
from agent.readers.profile_kinds import Frames, Lines, Request

# A reader that blinks detects no card meanwhile (ACR122U API 2.04).
FEEDBACK_MS_MAX = 1_000
# The payload of a PN53x frame; a short APDU has no more.
SEND_BYTES_MAX = 254
# Counts of the form {m,n} in a row. A text is tried in as many ways as they can share it.
OPEN_COUNTS_MAX = 2

# Commands that write a reader's non-volatile memory: they wear it out, or lock the reader up. They
# must not be sent at every start or for every card.
_MEMORY_WRITES = {
    "ff70076b..a2..a1": "changes an OMNIKEY's configuration (HID sample codes)",
    "..c6040800": "changes a scanner's configuration (Nadamoo manual p. 27)",
    "e000002101": "changes an ACS reader's behaviour for good (ACR1552U, ACM1252U manuals)",
    "e000002301": "changes an ACS reader's behaviour for good (ACR1552U, ACM1252U manuals)",
}
# A pattern is a row of characters and classes with counts, or alternatives of such rows in one
# bracket. There is no repetition of a repetition, so that no text takes long to match.
_ITEM = r"(?:\[[^\]\\^]+\]|\\[.]|[0-9A-Za-z,:/_-])(?:\{\d{1,2}(?:,\d{1,2})?\})?"
_PATTERN = re.compile(rf"\^(?:(?:{_ITEM})+|\((?:{_ITEM})+(?:\|(?:{_ITEM})+)*\))\$")


def steps_of(profile: Profile) -> list[tuple[str, Step]]:
    """Return the steps of start-up and feedback, each with its key."""
    init = [(f"init[{n}]", step) for n, step in enumerate(profile.init)]
    return init + [(f"feedback.{name}", step) for name, step in profile.feedback.named()]


def text_errors(profile: Profile) -> Iterator[str]:
    """Yield the errors of the texts that stand for bytes."""
    framing = profile.framing
    for key, text in _hex_texts(profile):
        if not _is_bytes(text):
            yield f"key {key!r}: {text!r} is not hex pairs; write FF CA 00 00 00"
    for key, texts in (("uid.reject", profile.uid.reject), ("uid.types", profile.uid.types)):
        for text in texts:
            if not _is_bytes(text) or parse_hex(text).hex() != text:
                yield f"key {key!r}: {text!r}: write lower-case hex without spaces"
    for key, text in _patterns(profile):
        if not is_pattern(text):
            yield f"key {key!r}: {text!r} is not hex pairs with .. for any byte; write 90.."
        elif isinstance(framing, Frames | Lines) and _byte_count(text) > framing.length:
            yield f"key {key!r}: longer than a frame, which has {framing.length} bytes at most"
    for key, text in _sends(profile):
        if _byte_count(text) > SEND_BYTES_MAX:
            yield f"key {key!r}: more than {SEND_BYTES_MAX} bytes; no reader accepts so many"
    for key, pattern in (("uid.pattern", profile.uid.pattern), ("uid.lossy", profile.uid.lossy)):
        if pattern is not UNSET and (error := _expression_error(pattern)):
            yield f"key {key!r}: {error}"


def _expression_error(pattern: str) -> str | None:
    if not (pattern.startswith("^") and pattern.endswith("$")):
        return f"{pattern!r} is not anchored; begin with ^ and end with $"
    has_open_counts = any(part.count(",") > OPEN_COUNTS_MAX for part in _counts(pattern))
    if _PATTERN.fullmatch(pattern) is None or has_open_counts:
        return (
            f"{pattern!r} is not a simple pattern; write characters and classes with counts,"
            " as ^[0-9]{10}$ or ^(AB[0-9]{6}|[0-9]{10})$"
        )
    try:
        re.compile(pattern)
    except re.error as error:
        return f"{pattern!r} is not a regular expression: {error}"
    return None


def _counts(pattern: str) -> list[str]:
    """Return the counts of each alternative."""
    return ["".join(re.findall(r"\{[\d,]+\}", part)) for part in pattern.split("|")]


def framing_errors(profile: Profile) -> Iterator[str]:
    """Yield the errors of `[framing]`."""
    framing = profile.framing
    if not isinstance(framing, Frames):
        return
    if framing.stuffing and len(parse_hex(framing.stuffing)) != 1:
        yield f"key 'framing.stuffing': {framing.stuffing!r} must be one byte"
    if framing.length_min is not UNSET and (
        not framing.end or framing.length_at is not UNSET or framing.stuffing
    ):
        yield "key 'framing.length_min': needs end, and neither length_at nor stuffing"
    if framing.length_min is not UNSET and framing.length_min > framing.length:
        yield f"key 'framing.length_min': write {framing.length} at most, which is the length"
    if framing.length_adds and framing.length_at is UNSET:
        yield "key 'framing.length_adds': is added to the length at length_at, which is missing"
    if not framing.start and framing.max_gap_ms > QUIET_MS:
        yield (
            f"key 'framing.max_gap_ms': write {QUIET_MS} at most: without start, only a pause shows"
            " where a frame begins"
        )
    if framing.start and framing.max_gap_ms < STALL_MS_MAX:
        yield "key 'framing.max_gap_ms': is for frames without start; remove it"
    yield from _span_errors(profile, framing)


def _span_errors(profile: Profile, framing: Frames) -> Iterator[str]:
    spans: dict[str, Span] = {}
    if framing.checksum is not UNSET:
        spans["framing.checksum.over"] = framing.checksum.over
        spans["framing.checksum.at"] = framing.checksum.at
    if profile.uid.slice is not UNSET:
        spans["uid.slice"] = profile.uid.slice
    resolved = {key: resolve_span(framing.length, span) for key, span in spans.items()}
    for key, (first, end) in resolved.items():
        if first >= end or max(spans[key]) > framing.length:
            yield f"key {key!r}: {list(spans[key])} is outside a frame of {framing.length} bytes"
    if framing.checksum is not UNSET:
        over, at = resolved["framing.checksum.over"], resolved["framing.checksum.at"]
        if max(over[0], at[0]) < min(over[1], at[1]):
            yield "key 'framing.checksum.at': overlaps the bytes that the checksum covers"


def step_errors(profile: Profile) -> Iterator[str]:
    """Yield the errors of `[[init]]` and `[feedback]`, and of every command that is sent."""
    is_pcsc = profile.transport == "pcsc"
    for key, step in steps_of(profile):
        if is_pcsc and step.via is UNSET:
            yield f"key '{key}.via': write apdu or escape"
        if not is_pcsc and step.via is not UNSET:
            yield f"key '{key}.via': only PC/SC has it; remove it"
        if key.startswith("init") and step.via == "apdu":
            yield f"key '{key}.via': write escape; an apdu needs a card"
        if step.raw and (profile.transport != "serial" or step.expect is not UNSET):
            yield f"key '{key}.raw': is for serial readers, and without expect"
        busy_ms = sum(_busy_ms(parse_hex(text)) for text in step.sends)
        if key.startswith("feedback") and busy_ms > FEEDBACK_MS_MAX:
            yield (
                f"key '{key}.send': keeps the reader busy for {busy_ms} ms,"
                f" more than {FEEDBACK_MS_MAX}"
            )
    yield from _unframed_errors(profile)
    for key, text in _sends(profile):
        for pattern, what in _MEMORY_WRITES.items():
            if begins(pattern, parse_hex(text)):
                yield f"key {key!r}: {what}; do that once by hand, and write it in device.notes"


def _unframed_errors(profile: Profile) -> Iterator[str]:
    """Yield the commands that are no frame of `[framing]`: the reader would not understand them."""
    framing = profile.framing
    if not isinstance(framing, Frames | Lines) or framing.commands_differ:
        return  # of pn53x the program makes the frame
    if isinstance(framing, Lines) and framing.text != "plain":
        return  # here, too
    raw = {f"{key}.send" for key, step in steps_of(profile) if step.raw}
    for key, text in _sends(profile):
        if key not in raw and not _is_frame(profile, parse_hex(text)):
            yield (
                f"key {key!r}: is no frame of [framing]; check start, length, checksum and end, or"
                " write commands_differ = true in [framing]"
            )


def _is_frame(profile: Profile, sent: bytes) -> bool:
    parsed = profile.frame_format().parse(sent)
    if parsed is None or not isinstance(parsed.result, Frame) or not parsed.result.payload:
        return False
    rest = sent[parsed.taken :]
    return not rest or (isinstance(profile.framing, Lines) and rest == b"\n")


def _busy_ms(command: bytes) -> int:
    """Return how long a reader detects no card while it shows a signal. Units differ by family."""
    if len(command) == 9 and command[:3] == b"\xff\x00\x40":
        # ACS: (T1+T2) x N x 100 ms (ACR122U API 2.04)
        return (command[5] + command[6]) * command[7] * 100
    if command[:4] == b"\xe0\x00\x00\x28" and len(command) == 6:  # ACS buzzer: unit 10 ms
        return command[5] * 10
    if command[:4] == b"\xe0\x00\x00\x28" and len(command) == 8:  # T1 T2 N (ACR1552U)
        return (command[5] + command[6]) * command[7] * 10
    return 0


def _sends(profile: Profile) -> Iterator[tuple[str, str]]:
    """Yield every text that is ever sent to the reader, with its key."""
    for key, step in steps_of(profile):
        yield from ((f"{key}.send", text) for text in step.sends)
    if isinstance(profile.poll, Request):
        yield from ((f"poll.send[{n}]", text) for n, text in enumerate(profile.poll.send))
    if profile.uid.send is not UNSET:
        yield "uid.send", profile.uid.send
    if profile.keepalive is not UNSET:
        yield "keepalive.send", profile.keepalive.send


def _hex_texts(profile: Profile) -> Iterator[tuple[str, str]]:
    yield from _sends(profile)
    for n, test in enumerate(profile.selftest):
        yield f"selftest[{n}].rx", test.rx
        if test.atr is not UNSET:
            yield f"selftest[{n}].atr", test.atr
    if isinstance(profile.framing, Frames):
        framing = profile.framing
        texts = {"start": framing.start, "end": framing.end, "stuffing": framing.stuffing}
        yield from ((f"framing.{key}", text) for key, text in texts.items() if text)


def _patterns(profile: Profile) -> Iterator[tuple[str, str]]:
    for key, step in steps_of(profile):
        if step.expect is not UNSET:
            yield f"{key}.expect", step.expect
    if isinstance(profile.poll, Request):
        yield from ((f"poll.expect[{n}]", text) for n, text in enumerate(profile.poll.expect))
        yield from ((f"poll.none[{n}]", text) for n, text in enumerate(profile.poll.none))
    elif profile.card_pattern is not None:
        yield "poll.expect", profile.card_pattern
    yield from ((f"poll.many[{n}]", text) for n, text in enumerate(profile.several_patterns))
    if profile.keepalive is not UNSET:
        yield "keepalive.expect", profile.keepalive.expect
    if profile.transport == "pcsc":
        yield "uid.status", profile.uid.status


def _byte_count(text: str) -> int:
    return len(text.replace(" ", "")) // 2


def _is_bytes(text: str) -> bool:
    try:
        return bool(parse_hex(text))
    except ValueError:
        return False
