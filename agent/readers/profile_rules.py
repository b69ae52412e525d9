"""Loads profiles and checks them. An error is one sentence with file, key and what to write."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import UNSET

from agent.domain.card import UID_LENGTHS, CardId
from agent.domain.printed import printed_forms
from agent.errors import ProfileError
from agent.readers.apdu import begins, parse_hex
from agent.readers.framing import Frame
from agent.readers.identity import Detection, card_of_answer, card_of_frame
from agent.readers.profile import (
    SCHEMA,
    TECHNOLOGIES,
    Profile,
    Selftest,
    digest_of,
    profiles_dir,
)
from agent.readers.profile_bytes import framing_errors, step_errors, steps_of, text_errors
from agent.readers.profile_kinds import (
    BRIEF_MS_MAX,
    SAME_PRESENCE_MS,
    Event,
    Frames,
    Repeat,
    Request,
)
from agent.toml_file import load_toml

# Before a self-test's bytes: longer than any pause that a profile may ask for.
_LONG_PAUSE_MS = 100_000
_VERSION = re.compile(r"\d+(\.\d+)+")


def load_profile(profile_id: str) -> Profile:
    """Return a profile by its id, checked. Raise `ProfileError`."""
    known = sorted(path.stem for path in profiles_dir().glob("*.toml"))
    if profile_id not in known:
        raise ProfileError(
            f"no profile {profile_id!r} in {profiles_dir()}; there are {', '.join(known)}"
        )
    return read_profile(profiles_dir() / f"{profile_id}.toml")


def all_profiles() -> list[Profile]:
    """Return every installed profile, checked, in the order of the ids. Raise `ProfileError`."""
    return [read_profile(path) for path in sorted(profiles_dir().glob("*.toml"))]


def read_profile(path: Path) -> Profile:
    """Return the profile in a file, checked. Raise `ProfileError`."""
    profile = load_toml(path, Profile, ProfileError)
    for error in _errors(profile, path):
        raise ProfileError(f"{path}: {error}")
    return msgspec.structs.replace(profile, digest=digest_of(path.read_bytes()))


def run_selftest(profile: Profile, test: Selftest) -> tuple[Detection, str]:
    """Return what a running reader would detect in a self-test's bytes, and the word for it.

    The word is the UID in hex, the fault, or `none`. One frame is enough here.
    """
    received = parse_hex(test.rx)
    detection: Detection = None
    word = "none"
    if profile.transport == "pcsc":
        atr = b"" if test.atr is UNSET else parse_hex(test.atr)
        detection = card_of_answer(profile, received, atr)
        word = _word(detection)
    else:
        framer = profile.framer(0)
        for result in framer.feed(received, _LONG_PAUSE_MS):
            if isinstance(result, Frame):
                if result.payload:
                    detection = card_of_frame(profile, result.payload)
                    word = _word(detection)
            elif not isinstance(detection, CardId):
                word = result.value
    return detection, word


def _word(detection: Detection) -> str:
    if detection is None:
        return "none"
    return detection.uid.hex() if isinstance(detection, CardId) else detection.value


def _errors(profile: Profile, path: Path) -> Iterator[str]:
    """Yield the errors of a well-formed profile. A later rule may need the earlier ones to hold."""
    if profile.schema != SCHEMA:
        yield f"key 'schema': is {profile.schema}; this program knows schema {SCHEMA}"
    if profile.id != path.stem:
        yield f"key 'id': is {profile.id!r}, but the file is called {path.stem!r}; make them equal"
    if profile.digest:
        yield "unknown key 'digest': the program computes it"
    yield from _transport_errors(profile)
    yield from text_errors(profile)
    yield from framing_errors(profile)
    yield from _uid_errors(profile)
    yield from _poll_errors(profile)
    yield from step_errors(profile)
    yield from _selftest_errors(profile)
    if any(source.startswith("FILL IN") for source in profile.device.sources):
        yield "key 'device.sources': write where the numbers come from: manual and page"


def _transport_errors(profile: Profile) -> Iterator[str]:
    transport, is_pcsc = profile.transport, profile.transport == "pcsc"
    for key, value, is_needed in (
        ("serial", profile.serial, transport == "serial"),
        ("framing", profile.framing, not is_pcsc),
        ("uid.send", profile.uid.send, is_pcsc),
        ("match.pcsc_name", profile.match.pcsc_name, is_pcsc),
    ):
        if is_needed and value is UNSET:
            yield f"key {key!r}: missing; a {transport} profile needs it"
        if not is_needed and value is not UNSET:
            yield f"key {key!r}: has no meaning in a {transport} profile; remove it"
    if isinstance(profile.poll, Event) != is_pcsc:
        modes = "event" if is_pcsc else "once, repeat or request"
        yield f"key 'poll.mode': write {modes}; this is a {transport} profile"
    if transport == "keyboard" and (
        not profile.sends_by_itself or steps_of(profile) or profile.keepalive is not UNSET
    ):
        yield (
            "key 'poll.mode': nothing can be sent to a keyboard; write once,"
            " and no init, feedback or keepalive"
        )
    yield from _quirk_errors(profile)


def _quirk_errors(profile: Profile) -> Iterator[str]:
    for quirk in profile.quirk:
        has_version = _VERSION.fullmatch(str(quirk.value)) is not None
        if quirk.id in ("firmware-refused", "driver-since") and not has_version:
            yield f"key 'quirk.value': {quirk.id} needs a version such as 2.06"
        if quirk.id == "modem-manager" and quirk.value is not UNSET:
            yield f"key 'quirk.value': has no meaning for {quirk.id}; remove it"
        if quirk.id != "modem-manager" and quirk.value is UNSET:
            yield f"key 'quirk.value': missing; {quirk.id} needs it"


def _uid_errors(profile: Profile) -> Iterator[str]:
    uid = profile.uid
    has_length = uid.length_at is not UNSET
    if has_length != (uid.start is not UNSET) or (has_length and uid.slice is not UNSET):
        yield "key 'uid': write slice, or length_at and start, or none of them for all bytes"
    if (uid.encoding == "ascii-dec") != (uid.width is not UNSET):
        yield "key 'uid.width': ascii-dec needs the number of bytes; no other encoding has it"
    if uid.encoding in ("ascii-dec", "text") and uid.pattern is UNSET:
        yield "key 'uid.pattern': missing; write how the text looks, such as '^[0-9]{10}$'"
    if uid.bcc and (uid.slice is UNSET or uid.slice[1] < 1):
        yield "key 'uid.bcc': needs a slice that ends before the frame does"
    if (uid.type_at is UNSET) != (not uid.types):
        yield "key 'uid.types': type_at and types need each other"
    if profile.transport != "pcsc" and len(profile.device.tech) > 1 and uid.type_at is UNSET:
        yield (
            "key 'uid.type_at': missing; the technology of a card is not guessed, and this reader"
            " has several"
        )
    for name, tech in uid.types.items():
        if tech not in profile.device.tech:
            yield f"key 'uid.types.{name}': {tech} is not in device.tech"
    known = {length for tech in profile.device.tech for length in UID_LENGTHS[TECHNOLOGIES[tech]]}
    if wrong := sorted(set(uid.lengths) - known):
        lengths = ", ".join(map(str, wrong))
        yield (
            f"key 'uid.lengths': {lengths}: no technology of device.tech has such UIDs;"
            f" their lengths are {sorted(known)}"
        )


def _poll_errors(profile: Profile) -> Iterator[str]:
    match profile.poll:
        case Request() as poll:
            if len(poll.expect) != len(poll.send):
                count = len(poll.send)
                yield f"key 'poll.expect': write one pattern for each of the {count} commands"
            if profile.keepalive is UNSET:
                yield "key 'keepalive': missing; in request mode it detects that the reader is gone"
            if not any(step.expect is not UNSET and not step.raw for step in profile.init):
                yield (
                    "key 'init': missing; in request mode the reader must answer a command"
                    " before it counts as up"
                )
            yield from _gone_after_errors(
                poll.gone_after_ms,
                poll.timeout_ms + 2 * poll.interval_ms,
                "an answer may get lost, and a poll after it",
            )
        case Repeat() as poll:
            yield from _gone_after_errors(
                poll.gone_after_ms, 3 * poll.repeat_ms, "three repeats may get lost"
            )
            if not poll.some_send_once and 2 * poll.repeat_ms > BRIEF_MS_MAX:
                yield (
                    f"key 'poll.repeat_ms': above {BRIEF_MS_MAX // 2}, write some_send_once = true:"
                    f" a card must repeat within {BRIEF_MS_MAX} ms, and a repeat may get lost"
                )
            match profile.framing:
                case Frames(start="", max_gap_ms=gap_ms) if poll.repeat_ms <= gap_ms:
                    yield (
                        f"key 'poll.repeat_ms': write more than {gap_ms}, which is"
                        " framing.max_gap_ms: else no pause shows where a frame begins"
                    )
                case _:
                    pass
        case _:
            pass


def _gone_after_errors(gone_after_ms: int, least_ms: int, why: str) -> Iterator[str]:
    if gone_after_ms < least_ms:
        yield f"key 'poll.gone_after_ms': write at least {least_ms}: {why}"
    if gone_after_ms > SAME_PRESENCE_MS:
        yield (
            f"key 'poll.gone_after_ms': write {SAME_PRESENCE_MS} at most: a card that comes after"
            " that time is a new tap"
        )


def _selftest_errors(profile: Profile) -> Iterator[str]:
    good = [test for test in profile.selftest if test.uid is not UNSET]
    bad = [test for test in profile.selftest if test.error is not UNSET]
    if not good or not bad or len(good) + len(bad) != len(profile.selftest):
        yield "key 'selftest': write at least one with uid and one with error; none with both"
        return
    for test in profile.selftest:
        detection, word = run_selftest(profile, test)
        expected = test.uid if test.uid is not UNSET else test.error
        if word != expected:
            yield f"selftest {test.name!r}: gives {word}, not {expected}"
        if isinstance(detection, CardId):
            yield from _card_errors(test, detection)
            yield from _expect_errors(profile, test)


def _expect_errors(profile: Profile, test: Selftest) -> Iterator[str]:
    """Yield the answers that a card's frame looks like: such a card would be taken for one."""
    if not profile.sends_by_itself:
        return
    expected = [(key, step.expect) for key, step in steps_of(profile)]
    if profile.keepalive is not UNSET:
        expected.append(("keepalive", profile.keepalive.expect))
    results = profile.framer(0).feed(parse_hex(test.rx), _LONG_PAUSE_MS)
    payloads = [result.payload for result in results if isinstance(result, Frame)]
    for key, expect in expected:
        if expect is not UNSET and any(begins(expect, payload) for payload in payloads):
            yield (
                f"key '{key}.expect': the card of selftest {test.name!r} begins like this, and"
                " would be taken for the answer; write more bytes"
            )


def _card_errors(test: Selftest, card: CardId) -> Iterator[str]:
    if test.tech is not UNSET and card.technology != TECHNOLOGIES[test.tech]:
        yield f"selftest {test.name!r}: has technology {card.technology}, not {test.tech}"
    forms = printed_forms(card)
    for form, number in test.printed.items():
        if forms.get(form) != number:
            printed = forms.get(form, "nothing")
            yield f"selftest {test.name!r}: as {form} gives {printed}, not {number}"
