"""python -m tests.fuzz -max_total_time=300 [CORPUS]: any bytes at any times, to every serial and keyboard profile.

Whatever comes, only the room's own error is raised, no more than a frame is kept, and after a pause the next good frame is read.
Needs atheris, which has a virtual environment of its own (`make fuzz`).
"""

import sys

import atheris

with atheris.instrument_imports(include=["agent.readers"]):
    from agent.domain.card import CardId
    from agent.errors import ReaderError
    from agent.readers.apdu import parse_hex
    from agent.readers.dialogue import Dialogue
    from agent.readers.framing import Frame
    from agent.readers.identity import card_of_answer, card_of_frame
    from agent.readers.profile import Profile
    from agent.readers.profile_rules import all_profiles

PROFILES = all_profiles()
HELD_MAX = 512


def good_frame(profile: Profile) -> tuple[bytes, str]:
    """Return a frame and the UID in it, of a self-test that is one frame and nothing else."""
    for test in profile.selftest:
        frames = [
            one
            for one in profile.framer(0).feed(parse_hex(test.rx), 1_000)
            if isinstance(one, Frame) and one.payload
        ]
        if (
            isinstance(test.uid, str)
            and len(frames) == 1
            and frames[0].end >= len(parse_hex(test.rx)) - 1
        ):
            return parse_hex(test.rx), test.uid
    raise AssertionError(profile.id)


GOOD = {profile.id: good_frame(profile) for profile in PROFILES if profile.transport != "pcsc"}


def one_input(data: bytes) -> None:
    source = atheris.FuzzedDataProvider(data)
    profile = PROFILES[source.ConsumeIntInRange(0, len(PROFILES) - 1)]
    if profile.transport == "pcsc":
        card_of_answer(profile, source.ConsumeBytes(80), source.ConsumeBytes(40))
        return
    dialogue, framer, now_ms = Dialogue(profile, 0), profile.framer(0), 0
    while source.remaining_bytes() > 0:
        now_ms += source.ConsumeIntInRange(0, 300)
        piece = source.ConsumeBytes(source.ConsumeIntInRange(1, 40))
        try:
            dialogue.send(now_ms)
            dialogue.receive(piece, now_ms)
        except ReaderError:
            dialogue = Dialogue(profile, now_ms)
        framer.feed(piece, now_ms)
        assert len(framer._held) <= HELD_MAX
    raw, uid = GOOD[profile.id]
    found = [
        card_of_frame(profile, one.payload)
        for one in framer.feed(raw, now_ms + 10_000)
        if isinstance(one, Frame) and one.payload
    ]
    assert [card.uid.hex() for card in found if isinstance(card, CardId)] == [uid], (
        profile.id,
        found,
    )


atheris.Setup(sys.argv, one_input)
atheris.Fuzz()
