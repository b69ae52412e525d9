"""The kinds of a table: each has its own keys, and a word in the file chooses it."""

from pathlib import Path

from agent.readers.profile_kinds import (
    BRIEF_MS_MAX,
    SAME_PRESENCE_MS,
    Event,
    Frames,
    Lines,
    Once,
    Pn53xFrames,
    Repeat,
    Request,
)
from agent.readers.profile_rules import all_profiles, read_profile
from tests.parts.profiles import assert_refused, edited


def test_every_kind_is_used_by_a_profile() -> None:
    profiles = all_profiles()
    assert {type(profile.poll) for profile in profiles} == {Event, Once, Repeat, Request}
    framings = {type(profile.framing) for profile in profiles if profile.transport != "pcsc"}
    assert framings == {Frames, Lines, Pn53xFrames}


def test_a_card_is_gone_before_the_next_one_is_a_new_tap(tmp_path: Path) -> None:
    old = "gone_after_ms = 400"
    once = "\nsome_send_once = true"
    read_profile(edited(tmp_path, "rdm6300", old, f"gone_after_ms = {SAME_PRESENCE_MS}{once}"))
    too_long = edited(tmp_path, "rdm6300", old, f"gone_after_ms = {SAME_PRESENCE_MS + 1}{once}")
    assert_refused(too_long, f"'poll.gone_after_ms': write {SAME_PRESENCE_MS} at most")


def test_a_card_repeats_before_its_light_is_due(tmp_path: Path) -> None:
    half_ms = BRIEF_MS_MAX // 2
    path = edited(tmp_path, "rdm6300", "gone_after_ms = 400", "gone_after_ms = 1500")
    path.write_text(path.read_text().replace("repeat_ms     = 65", f"repeat_ms = {half_ms}"))
    read_profile(path)
    path.write_text(path.read_text().replace(f"ms = {half_ms}", f"ms = {half_ms + 1}"))
    assert_refused(path, f"'poll.repeat_ms': above {half_ms}, write some_send_once = true")
