"""Fuzzes every profile: `python -m tests.fuzz -max_total_time=300 [CORPUS]`.

Sends any bytes at any times. Only `ReaderError` may be raised, memory stays within one frame, and
after a pause the next good frame is read. Needs atheris, which has a virtual environment of its own
(`make fuzz`).
"""

import sys

import atheris

with atheris.instrument_imports(include=["agent.readers"]):
    from agent.domain.card import CardId
    from agent.errors import ReaderError
    from agent.readers.apdu import parse_hex
    from agent.readers.dialogue import Dialogue
    from agent.readers.faults import Fault
    from agent.readers.framing import Frame
    from agent.readers.identity import card_of_answer, card_of_frame
    from agent.readers.profile import Profile
    from agent.readers.profile_rules import all_profiles

PROFILES = all_profiles()
BUFFER_BYTES_MAX = 512


def frames_of(results: list[Frame | Fault]) -> list[Frame]:
    """Return the frames that are not empty."""
    return [result for result in results if isinstance(result, Frame) and result.payload]


def good_frame(profile: Profile) -> tuple[bytes, str]:
    """Return a frame and its UID, from a self-test that is one frame and nothing else."""
    for test in profile.selftest:
        raw = parse_hex(test.rx)
        frames = frames_of(profile.framer(0).feed(raw, 1_000))
        if isinstance(test.uid, str) and len(frames) == 1 and frames[0].end >= len(raw) - 1:
            return raw, test.uid
    raise AssertionError(profile.id)


GOOD = {profile.id: good_frame(profile) for profile in PROFILES if profile.transport != "pcsc"}


def test_input(data: bytes) -> None:
    source = atheris.FuzzedDataProvider(data)
    profile = PROFILES[source.ConsumeIntInRange(0, len(PROFILES) - 1)]
    if profile.transport == "pcsc":
        card_of_answer(profile, source.ConsumeBytes(80), source.ConsumeBytes(40))
        return
    dialogue, framer, now_ms = Dialogue(profile, 0), profile.framer(0), 0
    while source.remaining_bytes() > 0:
        now_ms += source.ConsumeIntInRange(0, 300)
        chunk = source.ConsumeBytes(source.ConsumeIntInRange(1, 40))
        try:
            dialogue.send(now_ms)
            dialogue.receive(chunk, now_ms)
        except ReaderError:
            dialogue = Dialogue(profile, now_ms)
        framer.feed(chunk, now_ms)
        assert len(framer._buffer) <= BUFFER_BYTES_MAX
    raw, uid = GOOD[profile.id]
    frames = frames_of(framer.feed(raw, now_ms + 10_000))
    cards = [card_of_frame(profile, frame.payload) for frame in frames]
    uids = [card.uid.hex() for card in cards if isinstance(card, CardId)]
    assert uids == [uid], (profile.id, cards)


atheris.Setup(sys.argv, test_input)
atheris.Fuzz()
