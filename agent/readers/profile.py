"""A firmware profile: what a reader model does, stated as facts and bytes in one TOML file.

Knows the keys of the PC/SC and the serial family and checks all of them when a profile is loaded, self-tests included:
a file without proof does not load. States no algorithm: framings and checksums are code under closed names.
"""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from agent.domain.card import UID_LENGTHS, CardId, UidFault, identify
from agent.errors import ProfileError, ReaderError
from agent.readers.apdu import is_pattern, parse_hex, strip_status
from agent.readers.events import Signal
from agent.readers.framing import Checksum, DelimitedFramer, Fault
from agent.toml_file import load_toml

SCHEMA = 1
TECHNOLOGIES = {"iso14443a": "a", "iso14443b": "b", "em4100": "em", "felica": "f", "iso15693": "v"}
FEEDBACK_MS_MAX = 1_000  # a reader that blinks is deaf meanwhile (ACR122U API 2.04)

Milliseconds = Annotated[int, Meta(ge=1, le=600_000)]


class Device(Struct, frozen=True, forbid_unknown_fields=True):
    vendor: str
    model: str
    tech: Annotated[list[Literal["iso14443a", "iso14443b", "em4100", "felica", "iso15693"]], Meta(min_length=1)]
    sources: Annotated[list[str], Meta(min_length=1)]


class Match(Struct, frozen=True, forbid_unknown_fields=True):
    pcsc_name: str | UnsetType = UNSET
    usb: Annotated[str, Meta(pattern=r"^[0-9a-f]{4}:[0-9a-f]{4}$")] | UnsetType = UNSET
    port: Literal["configured"] | UnsetType = UNSET


class Escape(Struct, frozen=True, forbid_unknown_fields=True):
    """`control_code` is the n of SCARD_CTL_CODE(n); libccid lets it pass only with bit 0 of ifdDriverOptions (its SCARDCONTROL.md)."""

    control_code: Annotated[int, Meta(ge=1, le=4095)]


class Pcsc(Struct, frozen=True, forbid_unknown_fields=True):
    escape: Escape | UnsetType = UNSET


class Serial(Struct, frozen=True, forbid_unknown_fields=True):
    baud: Annotated[int, Meta(ge=300, le=1_000_000)]
    format: Literal["8N1"] = "8N1"
    read_timeout_ms: Milliseconds = 200


class FramingChecksum(Struct, frozen=True, forbid_unknown_fields=True):
    algo: Literal["xor8"]
    encoding: Literal["ascii-hex"]
    over: tuple[int, int]
    at: tuple[int, int]


class Framing(Struct, frozen=True, forbid_unknown_fields=True):
    kind: Literal["delimited"]
    start: str
    end: str
    length: Annotated[int, Meta(ge=3, le=256)]
    checksum: FramingChecksum
    max_gap_ms: Milliseconds = 50


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes to send and the answer to expect. `via` escape works without a card, apdu needs one."""

    send: str
    expect: str
    via: Literal["apdu", "escape"] = "apdu"
    on_error: Literal["continue", "fail"] = "continue"


class Poll(Struct, frozen=True, forbid_unknown_fields=True):
    mode: Literal["event", "push"]


class Uid(Struct, frozen=True, forbid_unknown_fields=True):
    encoding: Literal["raw", "ascii-hex"]
    lengths: Annotated[list[int], Meta(min_length=1)]
    byte_order: Literal["wire", "reversed"] = "wire"
    send: str | UnsetType = UNSET
    status: str = "9000"
    slice: tuple[int, int] | UnsetType = UNSET
    reject: list[str] = []
    clonable: bool = False


class PresenceRule(Struct, frozen=True, forbid_unknown_fields=True):
    mode: Literal["level", "repeat"]
    debounce_ms: Milliseconds
    repeat_ms: Milliseconds | UnsetType = UNSET
    gone_after_ms: Milliseconds | UnsetType = UNSET


class Feedback(Struct, frozen=True, forbid_unknown_fields=True):
    """What the reader can show. A signal without a step of its own shows as the next more general one."""

    ok: Step | UnsetType = UNSET
    again: Step | UnsetType = UNSET
    deny: Step | UnsetType = UNSET
    busy: Step | UnsetType = UNSET


class Selftest(Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes as they come from the reader, and the UID or the fault they must give."""

    name: str
    rx: str
    uid: str | UnsetType = UNSET
    error: Literal["status", "checksum", "rejected-uid", "random", "truncated", "blank", "length"] | UnsetType = UNSET


class Profile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    schema: int
    id: str
    revision: Annotated[int, Meta(ge=1)]
    support: Literal["untested", "fixtures", "bench", "field"]
    transport: Literal["pcsc", "serial"]
    device: Device
    match: Match
    poll: Poll
    uid: Uid
    presence: PresenceRule
    selftest: list[Selftest]
    pcsc: Pcsc | UnsetType = UNSET
    serial: Serial | UnsetType = UNSET
    framing: Framing | UnsetType = UNSET
    init: list[Step] = []
    feedback: Feedback = Feedback()

    def technology(self, uid: bytes) -> str:
        """Return the prefix of the card ids this reader gives: the first of its technologies that has UIDs of that length."""
        prefixes = [TECHNOLOGIES[tech] for tech in self.device.tech]
        return next((prefix for prefix in prefixes if len(uid) in UID_LENGTHS[prefix]), prefixes[0])

    def step_for(self, signal: Signal) -> Step | None:
        """Return what to send for a signal, None where the reader cannot show it."""
        match signal:
            case Signal.SERVED:
                chain = [self.feedback.ok]
            case Signal.ALREADY_SERVED:
                chain = [self.feedback.again, self.feedback.deny]
            case Signal.WAIT:
                chain = [self.feedback.busy]
            case Signal.REFUSED | Signal.OUT_OF_ORDER:
                chain = [self.feedback.deny]
        return next((step for step in chain if step is not UNSET), None)


def profiles_dir() -> Path:
    """Return where the profiles are: beside the package in a checkout, inside it in an installed wheel."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "firmware-profiles"
    return inside if inside.is_dir() else package.parent / "firmware-profiles"


def load_profile(profile_id: str) -> Profile:
    """Return a profile by its id, checked. Raise `ProfileError` naming file, key and what to write."""
    known = sorted(path.stem for path in profiles_dir().glob("*.toml"))
    if profile_id not in known:
        raise ProfileError(f"no profile {profile_id!r} in {profiles_dir()}; there are {', '.join(known)}")
    return read_profile(profiles_dir() / f"{profile_id}.toml")


def read_profile(path: Path) -> Profile:
    """Return the profile in a file, checked. Raise `ProfileError`."""
    profile = load_toml(path, Profile, ProfileError)
    for complaint in _complaints(profile, path):
        raise ProfileError(f"{path}: {complaint}")
    return profile


def framer(profile: Profile) -> DelimitedFramer:
    """Return a framer for a serial profile."""
    framing = profile.framing
    assert framing is not UNSET
    return DelimitedFramer(
        start=parse_hex(framing.start)[0],
        end=parse_hex(framing.end)[0],
        length=framing.length,
        checksum=Checksum(over=framing.checksum.over, at=framing.checksum.at),
        gap_ms_max=framing.max_gap_ms,
    )


def card_of(profile: Profile, payload: bytes) -> CardId | UidFault | Fault:
    """Return the card in a reader's answer (status already stripped) or frame (checksum already right)."""
    part = payload if profile.uid.slice is UNSET else payload[slice(*profile.uid.slice)]
    try:
        uid = bytes.fromhex(part.decode("ascii")) if profile.uid.encoding == "ascii-hex" else part
    except ValueError:
        return Fault.CHECKSUM
    if profile.uid.byte_order == "reversed":
        uid = uid[::-1]
    if uid.hex() in profile.uid.reject:
        return Fault.REJECTED
    if len(uid) not in profile.uid.lengths:
        return UidFault.LENGTH
    return identify(profile.technology(uid), uid)


def _complaints(profile: Profile, path: Path) -> list[str]:
    """Return what is wrong with a well-formed profile, in the order of the file."""
    found: list[str] = []
    if profile.schema != SCHEMA:
        found.append(f"key 'schema': is {profile.schema}, this program knows {SCHEMA}")
    if profile.id != path.stem:
        found.append(f"key 'id': is {profile.id!r}, the file is called {path.stem!r}; they must be equal")
    found += _family_complaints(profile)
    for key, text in _hex_texts(profile):
        if not _is_bytes(text):
            found.append(f"key {key!r}: {text!r} is not hex pairs; write FF CA 00 00 00")
    for key, step in _steps(profile):
        if not is_pattern(step.expect):
            found.append(f"key '{key}.expect': {step.expect!r} is not hex pairs, with .. for any byte; write 90..")
    if found:
        return found
    found += _framing_complaints(profile) + _presence_complaints(profile) + _feedback_complaints(profile)
    return found or _selftest_complaints(profile)


def _family_complaints(profile: Profile) -> list[str]:
    pcsc, found = profile.transport == "pcsc", []
    for key, value, wanted in (
        ("pcsc", profile.pcsc, pcsc),
        ("serial", profile.serial, not pcsc),
        ("framing", profile.framing, not pcsc),
        ("uid.send", profile.uid.send, pcsc),
        ("uid.slice", profile.uid.slice, not pcsc),
        ("match.pcsc_name", profile.match.pcsc_name, pcsc),
        ("match.port", profile.match.port, not pcsc),
    ):
        if wanted and value is UNSET:
            found.append(f"key {key!r}: is missing; a {profile.transport} profile needs it")
        if not wanted and value is not UNSET:
            found.append(f"key {key!r}: has no meaning in a {profile.transport} profile; remove it")
    if profile.poll.mode != ("event" if pcsc else "push"):
        found.append(f"key 'poll.mode': a {profile.transport} profile has {'event' if pcsc else 'push'!r}")
    if not pcsc and profile.feedback != Feedback():
        found.append("key 'feedback': no serial reader of this family can show anything; remove it")
    for key, step in _steps(profile):
        if key.startswith("init") and step.via != "escape":
            found.append(f"key '{key}.via': write escape; before a card comes there is no other way")
        if step.via == "escape" and (profile.pcsc is UNSET or profile.pcsc.escape is UNSET):
            found.append(f"key '{key}.via': escape needs a table [pcsc.escape] with the control_code")
        if step.via == "escape" and step.on_error != "continue":
            found.append(f"key '{key}.on_error': write continue; the driver may not let escape commands pass")
    return found


def _framing_complaints(profile: Profile) -> list[str]:
    framing, part = profile.framing, profile.uid.slice
    if framing is UNSET or part is UNSET:
        return []
    found = []
    for key, span in (
        ("framing.checksum.over", framing.checksum.over),
        ("framing.checksum.at", framing.checksum.at),
        ("uid.slice", part),
    ):
        if not 0 <= span[0] < span[1] <= framing.length:
            found.append(f"key {key!r}: {list(span)} does not lie inside a frame of {framing.length} bytes")
    over, at = framing.checksum.over, framing.checksum.at
    if max(over[0], at[0]) < min(over[1], at[1]):
        found.append("key 'framing.checksum.at': lies inside what the checksum covers")
    for key, text in (("framing.start", framing.start), ("framing.end", framing.end)):
        if len(parse_hex(text)) != 1:
            found.append(f"key {key!r}: {text!r} must be one byte")
    return found


def _presence_complaints(profile: Profile) -> list[str]:
    rule, found = profile.presence, []
    if rule.mode == "repeat":
        if rule.repeat_ms is UNSET or rule.gone_after_ms is UNSET:
            return ["key 'presence': a reader that repeats needs repeat_ms and gone_after_ms"]
        if rule.gone_after_ms < 3 * rule.repeat_ms:
            found.append(f"key 'presence.gone_after_ms': write at least {3 * rule.repeat_ms}, three repeats may get lost")
        if rule.debounce_ms < rule.gone_after_ms:
            found.append(f"key 'presence.debounce_ms': write at least gone_after_ms, {rule.gone_after_ms}")
    elif rule.repeat_ms is not UNSET or rule.gone_after_ms is not UNSET:
        found.append("key 'presence.mode': level knows when the card has gone; remove repeat_ms and gone_after_ms")
    if (profile.transport == "pcsc") != (rule.mode == "level"):
        found.append(f"key 'presence.mode': a {profile.transport} profile has {'level' if profile.transport == 'pcsc' else 'repeat'!r}")
    return found


def _feedback_complaints(profile: Profile) -> list[str]:
    found = []
    for key, step in _steps(profile):
        command = parse_hex(step.send)
        # ACS LED and buzzer: FF 00 40 P2 04 T1 T2 N L keeps the reader busy (T1+T2) x N x 100 ms (ACR122U API 2.04)
        if key.startswith("feedback") and len(command) == 9 and command[:3] == b"\xff\x00\x40":
            busy_ms = (command[5] + command[6]) * command[7] * 100
            if busy_ms > FEEDBACK_MS_MAX:
                found.append(f"key '{key}.send': keeps the reader busy for {busy_ms} ms, more than {FEEDBACK_MS_MAX}")
    return found


def _selftest_complaints(profile: Profile) -> list[str]:
    good = [test for test in profile.selftest if test.uid is not UNSET]
    bad = [test for test in profile.selftest if test.error is not UNSET]
    if not good or not bad or len(good) + len(bad) != len(profile.selftest):
        return ["key 'selftest': write at least one with uid and one with error, and never both in one"]
    found = []
    for test in profile.selftest:
        expected = test.uid if test.uid is not UNSET else test.error
        if (got := run_selftest(profile, parse_hex(test.rx))) != expected:
            found.append(f"selftest {test.name!r}: gives {got}, not {expected}")
    return found


def run_selftest(profile: Profile, received: bytes) -> str:
    """Return the UID in hex, the fault, or `nothing`, as the running reader would find it in bytes from the device."""
    found: CardId | UidFault | Fault | None = None
    if profile.transport == "pcsc":
        try:
            found = card_of(profile, strip_status(received, profile.uid.status, asked="the UID"))
        except ReaderError:
            found = Fault.STATUS
    else:
        for frame in framer(profile).feed(received, 0):
            found = frame if isinstance(frame, Fault) else card_of(profile, frame)
    if found is None:
        return "nothing"
    return found.uid.hex() if isinstance(found, CardId) else found.value


def find_reader(profile: Profile, names: list[str], device: str | None) -> str | None:
    """Return the PC/SC reader that a profile (or the configured glob `device`) means, None if it is not there."""
    pattern = device or profile.match.pcsc_name
    assert pattern is not UNSET
    return next((name for name in names if fnmatchcase(name, pattern)), None)


def _steps(profile: Profile) -> list[tuple[str, Step]]:
    named = [(f"init[{n}]", step) for n, step in enumerate(profile.init)]
    for name in Feedback.__struct_fields__:
        step = getattr(profile.feedback, name)
        if step is not UNSET:
            named.append((f"feedback.{name}", step))
    return named


def _hex_texts(profile: Profile) -> list[tuple[str, str]]:
    texts = [(f"{key}.send", step.send) for key, step in _steps(profile)]
    texts += [(f"selftest[{n}].rx", test.rx) for n, test in enumerate(profile.selftest)]
    if profile.framing is not UNSET:
        texts += [("framing.start", profile.framing.start), ("framing.end", profile.framing.end)]
    if profile.uid.send is not UNSET:
        texts.append(("uid.send", profile.uid.send))
    return texts


def _is_bytes(text: str) -> bool:
    try:
        return bool(parse_hex(text))
    except ValueError:
        return False
