"""Loads profiles and holds every one against the rules: what is wrong is one sentence with file, key and what to write."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import UNSET, UnsetType

from agent.domain.card import UID_LENGTHS, CardId
from agent.domain.printed import printed_forms
from agent.errors import ProfileError
from agent.readers.apdu import begins, is_pattern, parse_hex
from agent.readers.framing import Frame, places
from agent.readers.identity import Seen, card_of_answer, card_of_frame
from agent.readers.profile import (
    SCHEMA,
    TECHNOLOGIES,
    Framing,
    Profile,
    Selftest,
    Step,
    digest_of,
    profiles_dir,
)
from agent.toml_file import load_toml

FEEDBACK_MS_MAX = 1_000  # a reader that blinks is deaf meanwhile (ACR122U API 2.04)

# kind -> what it needs, and what it may have beside max_gap_ms
_FRAMING_KEYS = {
    "delimited": ({"start", "end", "length", "checksum"}, set[str]()),
    "counted": ({"length", "checksum"}, set[str]()),
    "prefixed": ({"start", "length", "length_at", "length_adds", "checksum"}, {"end", "stuffing"}),
    "line": ({"length"}, {"text"}),
    "pn53x": (set[str](), set[str]()),
}
# Commands that write a reader's non-volatile memory wear it out, or lock a reader up: never at every start, never at every card.
_WRITES_MEMORY = {
    "ff70076b..a2..a1": "sets an OMNIKEY's configuration (HID sample codes)",
    "..c6040800": "sets a scanner's configuration (Nadamoo manual p. 27)",
    "e000002101": "sets an ACS reader's behaviour for good (ACR1552U, ACM1252U manuals)",
    "e000002301": "sets an ACS reader's behaviour for good (ACR1552U, ACM1252U manuals)",
}
_SEND_BYTES_MAX = 254  # a PN53x frame's payload; a short APDU has no more
# What a pattern may be made of: characters and classes with counts, one after the other, or several such in one bracket. No repetition
# of a repetition, so that no text takes long.
_ITEM = r"(?:\[[^\]\\^]+\]|\\[.]|[0-9A-Za-z,:/_-])(?:\{\d{1,2}(?:,\d{1,2})?\})?"
_PATTERN = re.compile(rf"\^(?:(?:{_ITEM})+|\((?:{_ITEM})+(?:\|(?:{_ITEM})+)*\))\$")
_OPEN_COUNTS_MAX = 2  # of {m,n} in a row: a text is tried in as many ways as they can share it


def load_profile(profile_id: str) -> Profile:
    """Return a profile by its id, checked. Raise `ProfileError` naming file, key and what to write."""
    known = sorted(path.stem for path in profiles_dir().glob("*.toml"))
    if profile_id not in known:
        raise ProfileError(
            f"no profile {profile_id!r} in {profiles_dir()}; there are {', '.join(known)}"
        )
    return read_profile(profiles_dir() / f"{profile_id}.toml")


def all_profiles() -> list[Profile]:
    """Return every profile there is, checked, in the order of their ids."""
    return [read_profile(path) for path in sorted(profiles_dir().glob("*.toml"))]


def read_profile(path: Path) -> Profile:
    """Return the profile in a file, checked. Raise `ProfileError`."""
    profile = load_toml(path, Profile, ProfileError)
    for complaint in _complaints(profile, path):
        raise ProfileError(f"{path}: {complaint}")
    return msgspec.structs.replace(profile, digest=digest_of(path.read_bytes()))


def run_selftest(profile: Profile, test: Selftest) -> tuple[Seen, str]:
    """Return what the running reader would find in a self-test's bytes, and its word: the UID in hex, the fault, or `none`."""
    received = parse_hex(test.rx)
    seen: Seen = None
    word = "none"
    if profile.transport == "pcsc":
        seen = card_of_answer(profile, received, b"" if test.atr is UNSET else parse_hex(test.atr))
        word = _word(seen)
    else:
        framer = profile.framer(0)
        pause_ms = 10 * (0 if profile.framing is UNSET else profile.framing.max_gap_ms)
        for found in framer.feed(received, pause_ms):
            if isinstance(found, Frame):
                if found.payload:
                    seen = card_of_frame(profile, found.payload)
                    word = _word(seen)
            elif not isinstance(seen, CardId):
                word = found.value
    return seen, word


def _word(seen: Seen) -> str:
    return "none" if seen is None else seen.uid.hex() if isinstance(seen, CardId) else seen.value


def _complaints(profile: Profile, path: Path) -> Iterator[str]:
    """Yield what is wrong with a well-formed profile, in the order of the file; a later rule may need the earlier ones."""
    if profile.schema != SCHEMA:
        yield f"key 'schema': is {profile.schema}, this program knows {SCHEMA}"
    if profile.id != path.stem:
        yield f"key 'id': is {profile.id!r}, the file is called {path.stem!r}; they must be equal"
    if profile.digest:
        yield "unknown key 'digest': it is computed"
    yield from _family_complaints(profile)
    yield from _text_complaints(profile)
    yield from _framing_complaints(profile)
    yield from _uid_complaints(profile)
    yield from _poll_complaints(profile)
    yield from _presence_complaints(profile)
    yield from _step_complaints(profile)
    yield from _selftest_complaints(profile)
    if any(source.startswith("FILL IN") for source in profile.device.sources):
        yield "key 'device.sources': write where the numbers are from: manual and page"


def _family_complaints(profile: Profile) -> Iterator[str]:
    transport, pcsc = profile.transport, profile.transport == "pcsc"
    for key, value, wanted in (
        ("serial", profile.serial, transport == "serial"),
        ("framing", profile.framing, not pcsc),
        ("uid.send", profile.uid.send, pcsc),
        ("match.pcsc_name", profile.match.pcsc_name, pcsc),
    ):
        if wanted and value is UNSET:
            yield f"key {key!r}: missing; a {transport} profile needs it"
        if not wanted and value is not UNSET:
            yield f"key {key!r}: has no meaning in a {transport} profile; remove it"
    if (profile.poll.mode == "event") != pcsc:
        yield f"key 'poll.mode': write {'event' if pcsc else 'push or request'}; this is a {transport} profile"
    if transport == "keyboard" and (
        profile.poll.mode != "push" or _steps(profile) or profile.keepalive is not UNSET
    ):
        yield "key 'poll.mode': a keyboard is told nothing; write push, and no init, feedback or keepalive"
    for quirk in profile.quirk:
        if quirk.id in ("firmware-refused", "driver-since") and not re.fullmatch(
            r"\d+(\.\d+)+", str(quirk.value)
        ):
            yield f"key 'quirk.value': {quirk.id} needs a version, as 2.06"
        if (quirk.value is UNSET) != (quirk.id == "modem-manager"):
            yield f"key 'quirk.value': {quirk.id} {'has none' if quirk.value is not UNSET else 'needs one'}"


def _text_complaints(profile: Profile) -> Iterator[str]:
    for key, text in _hex_texts(profile):
        if not _is_bytes(text):
            yield f"key {key!r}: {text!r} is not hex pairs; write FF CA 00 00 00"
    for key, text in (
        *(("uid.reject", text) for text in profile.uid.reject),
        *(("uid.types", text) for text in profile.uid.types),
    ):
        if not _is_bytes(text) or parse_hex(text).hex() != text:
            yield f"key {key!r}: {text!r} is compared as it stands; write lower-case hex without blanks"
    for key, text in _patterns(profile):
        if not is_pattern(text):
            yield f"key {key!r}: {text!r} is not hex pairs, with .. for any byte; write 90.."
        elif (
            profile.framing is not UNSET
            and profile.framing.length is not UNSET
            and len(text.replace(" ", "")) // 2 > profile.framing.length
        ):
            yield f"key {key!r}: longer than a frame, which has {profile.framing.length} bytes at most"
    for key, text in _sends(profile):
        if len(text.replace(" ", "")) // 2 > _SEND_BYTES_MAX:
            yield f"key {key!r}: more than {_SEND_BYTES_MAX} bytes; no reader takes so many at once"
    for key, pattern in (("uid.pattern", profile.uid.pattern), ("uid.lossy", profile.uid.lossy)):
        if pattern is not UNSET and (complaint := _pattern_complaint(pattern)):
            yield f"key {key!r}: {complaint}"


def _pattern_complaint(pattern: str) -> str | None:
    if not (pattern.startswith("^") and pattern.endswith("$")):
        return f"{pattern!r} is not anchored; begin with ^ and end with $"
    if _PATTERN.fullmatch(pattern) is None or any(
        part.count(",") > _OPEN_COUNTS_MAX for part in _counts(pattern)
    ):
        return f"{pattern!r} is no simple pattern; write characters and classes with counts, as ^[0-9]{{10}}$ or ^(AB[0-9]{{6}}|[0-9]{{10}})$"
    try:
        re.compile(pattern)
    except re.error as error:
        return f"{pattern!r} is no regular expression: {error}"
    return None


def _counts(pattern: str) -> list[str]:
    """Return the counts of each alternative."""
    return ["".join(re.findall(r"\{[\d,]+\}", part)) for part in pattern.split("|")]


def _framing_complaints(profile: Profile) -> Iterator[str]:
    framing = profile.framing
    if framing is UNSET:
        return
    needed, allowed = _FRAMING_KEYS[framing.kind]
    for key in Framing.__struct_fields__:
        is_set = getattr(framing, key) is not UNSET
        if key in needed and not is_set:
            yield f"key 'framing.{key}': missing; kind {framing.kind} needs it"
        elif is_set and key not in needed | allowed | {"kind", "max_gap_ms"}:
            yield f"key 'framing.{key}': has no meaning for kind {framing.kind}; remove it"
    if framing.kind in ("delimited", "prefixed") and framing.start is not UNSET:
        if framing.kind == "delimited" and len(parse_hex(framing.start)) != 1:
            yield f"key 'framing.start': {framing.start!r} must be one byte"
        if framing.stuffing is not UNSET and len(parse_hex(framing.stuffing)) != 1:
            yield f"key 'framing.stuffing': {framing.stuffing!r} must be one byte"
    if framing.checksum is not UNSET and framing.length is not UNSET:
        spans = {
            "framing.checksum.over": framing.checksum.over,
            "framing.checksum.at": framing.checksum.at,
        }
        if profile.uid.slice is not UNSET:
            spans["uid.slice"] = profile.uid.slice
        ends = {key: places(framing.length, span) for key, span in spans.items()}
        for key, (first, end) in ends.items():
            if first >= end or max(spans[key]) > framing.length:
                yield f"key {key!r}: {list(spans[key])} does not lie inside a frame of {framing.length} bytes"
        over, at = ends["framing.checksum.over"], ends["framing.checksum.at"]
        if max(over[0], at[0]) < min(over[1], at[1]):
            yield "key 'framing.checksum.at': lies inside what the checksum covers"


def _uid_complaints(profile: Profile) -> Iterator[str]:
    uid = profile.uid
    if (uid.length_at is UNSET) != (uid.start is UNSET) or (
        uid.length_at is not UNSET and uid.slice is not UNSET
    ):
        yield "key 'uid': write slice, or length_at and start, or nothing for all there is"
    if (uid.encoding == "ascii-dec") != (uid.width is not UNSET):
        yield "key 'uid.width': ascii-dec needs the number of bytes, and nothing else does"
    if uid.encoding in ("ascii-dec", "text") and uid.pattern is UNSET:
        yield "key 'uid.pattern': missing; say how the text looks, as '^[0-9]{10}$'"
    if uid.bcc and (uid.slice is UNSET or uid.slice[1] < 1):
        yield "key 'uid.bcc': needs a slice that ends before the frame does"
    if (uid.type_at is UNSET) != (not uid.types):
        yield "key 'uid.types': type_at and types go together"
    for name, tech in uid.types.items():
        if tech not in profile.device.tech:
            yield f"key 'uid.types.{name}': {tech} is not among device.tech"
    known = {length for tech in profile.device.tech for length in UID_LENGTHS[TECHNOLOGIES[tech]]}
    if wrong := sorted(set(uid.lengths) - known):
        yield f"key 'uid.lengths': {', '.join(map(str, wrong))}: no technology of device.tech has such UIDs; they have {sorted(known)}"


def _poll_complaints(profile: Profile) -> Iterator[str]:
    poll = profile.poll
    if (poll.mode == "request") != bool(poll.send) or (poll.mode == "request") != (
        poll.interval_ms is not UNSET
    ):
        yield "key 'poll': request needs send and interval_ms, and nothing else has them"
    if poll.mode == "request":
        if len(poll.expect) != len(poll.send):
            yield f"key 'poll.expect': {len(poll.send)} commands are sent, write as many beginnings of answers"
        if profile.keepalive is UNSET:
            yield "key 'keepalive': missing; a reader that is asked must be known to be there"
        if not any(step.expect is not UNSET and not step.raw for step in profile.init):
            yield "key 'init': missing; a reader that is asked must have answered once before it counts as there"
    elif len(poll.expect) > 1:
        yield f"key 'poll.expect': {poll.mode} has one answer at most"


def _presence_complaints(profile: Profile) -> Iterator[str]:
    rule = profile.presence
    wanted = {"event": ("level",), "request": ("level",), "push": ("repeat", "once")}[
        profile.poll.mode
    ]
    if rule.mode not in wanted:
        yield f"key 'presence.mode': write {' or '.join(wanted)}; poll.mode is {profile.poll.mode}"
    unit: tuple[str, int | UnsetType] = ("", UNSET)
    if rule.mode == "repeat":
        unit = (
            "three repeats may get lost",
            UNSET if rule.repeat_ms is UNSET else 3 * rule.repeat_ms,
        )
    elif profile.poll.mode == "request" and profile.poll.interval_ms is not UNSET:
        unit = (
            "an answer may get lost, and a poll",
            profile.poll.timeout_ms + 2 * profile.poll.interval_ms,
        )
    why, least = unit
    if rule.mode == "repeat" and (rule.repeat_ms is UNSET or rule.gone_after_ms is UNSET):
        yield "key 'presence': a reader that repeats needs repeat_ms and gone_after_ms"
    elif why and rule.gone_after_ms is UNSET:
        yield "key 'presence.gone_after_ms': missing; a reader that is asked needs it"
    elif not why and (rule.repeat_ms is not UNSET or rule.gone_after_ms is not UNSET):
        yield f"key 'presence.mode': {rule.mode} needs no repeat_ms or gone_after_ms; remove them"
    if rule.gone_after_ms is not UNSET and least is not UNSET:
        if rule.gone_after_ms < least:
            yield f"key 'presence.gone_after_ms': write at least {least}, {why}"
        if rule.debounce_ms < rule.gone_after_ms:
            yield f"key 'presence.debounce_ms': write at least gone_after_ms, {rule.gone_after_ms}"


def _step_complaints(profile: Profile) -> Iterator[str]:
    for key, step in _steps(profile):
        if (step.via is not UNSET) != (profile.transport == "pcsc"):
            yield (
                f"key '{key}.via': write apdu or escape"
                if profile.transport == "pcsc"
                else f"key '{key}.via': only PC/SC has it"
            )
        if key.startswith("init") and step.via == "apdu":
            yield f"key '{key}.via': write escape; before a card comes there is no other way"
        if step.raw and (profile.transport != "serial" or step.expect is not UNSET):
            yield f"key '{key}.raw': is for serial readers, and awaits no answer"
        busy_ms = sum(_busy_ms(parse_hex(text)) for text in step.sends)
        if key.startswith("feedback") and busy_ms > FEEDBACK_MS_MAX:
            yield f"key '{key}.send': keeps the reader busy for {busy_ms} ms, more than {FEEDBACK_MS_MAX}"
    for key, text in _sends(profile):
        for pattern, what in _WRITES_MEMORY.items():
            if begins(pattern, parse_hex(text)):
                yield f"key {key!r}: {what}; do that once, by hand, and say so in device.notes"


def _busy_ms(command: bytes) -> int:
    """Return how long a reader is deaf while it shows a signal: by family, since each counts in its own unit."""
    if (
        len(command) == 9 and command[:3] == b"\xff\x00\x40"
    ):  # ACS: (T1+T2) x N x 100 ms (ACR122U API 2.04)
        return (command[5] + command[6]) * command[7] * 100
    if command[:4] == b"\xe0\x00\x00\x28" and len(command) == 6:  # ACS buzzer: 10 ms
        return command[5] * 10
    if command[:4] == b"\xe0\x00\x00\x28" and len(command) == 8:  # T1 T2 N (ACR1552U)
        return (command[5] + command[6]) * command[7] * 10
    return 0


def _selftest_complaints(profile: Profile) -> Iterator[str]:
    good = [test for test in profile.selftest if test.uid is not UNSET]
    bad = [test for test in profile.selftest if test.error is not UNSET]
    if not good or not bad or len(good) + len(bad) != len(profile.selftest):
        yield "key 'selftest': write at least one with uid and one with error, and never both in one"
        return
    for test in profile.selftest:
        seen, word = run_selftest(profile, test)
        expected = test.uid if test.uid is not UNSET else test.error
        if word != expected:
            yield f"selftest {test.name!r}: gives {word}, not {expected}"
        if isinstance(seen, CardId):
            if test.tech is not UNSET and seen.technology != TECHNOLOGIES[test.tech]:
                yield f"selftest {test.name!r}: is of technology {seen.technology}, not {test.tech}"
            forms = printed_forms(seen)
            for form, number in test.printed.items():
                if forms.get(form) != number:
                    yield f"selftest {test.name!r}: as {form} gives {forms.get(form, 'nothing')}, not {number}"


def _steps(profile: Profile) -> list[tuple[str, Step]]:
    named = [(f"init[{n}]", step) for n, step in enumerate(profile.init)]
    return named + [(f"feedback.{name}", step) for name, step in profile.feedback.named()]


def _sends(profile: Profile) -> Iterator[tuple[str, str]]:
    """Yield everything that is ever sent to the reader."""
    for key, step in _steps(profile):
        yield from ((f"{key}.send", text) for text in step.sends)
    yield from ((f"poll.send[{n}]", text) for n, text in enumerate(profile.poll.send))
    if profile.uid.send is not UNSET:
        yield "uid.send", profile.uid.send
    if profile.keepalive is not UNSET:
        yield "keepalive.send", profile.keepalive.send


def _hex_texts(profile: Profile) -> Iterator[tuple[str, str]]:
    yield from _sends(profile)
    yield from ((f"selftest[{n}].rx", test.rx) for n, test in enumerate(profile.selftest))
    yield from (
        (f"selftest[{n}].atr", test.atr)
        for n, test in enumerate(profile.selftest)
        if test.atr is not UNSET
    )
    if profile.framing is not UNSET:
        for key in ("start", "end", "stuffing"):
            text = getattr(profile.framing, key)
            if text is not UNSET:
                yield f"framing.{key}", text


def _patterns(profile: Profile) -> Iterator[tuple[str, str]]:
    yield from (
        (f"{key}.expect", step.expect) for key, step in _steps(profile) if step.expect is not UNSET
    )
    yield from ((f"poll.expect[{n}]", text) for n, text in enumerate(profile.poll.expect))
    yield from ((f"poll.none[{n}]", text) for n, text in enumerate(profile.poll.none))
    if profile.keepalive is not UNSET:
        yield "keepalive.expect", profile.keepalive.expect
    if profile.transport == "pcsc":
        yield "uid.status", profile.uid.status


def _is_bytes(text: str) -> bool:
    try:
        return bool(parse_hex(text))
    except ValueError:
        return False
