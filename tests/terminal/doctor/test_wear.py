"""Cards that tell their wear, in a folder that looks like /sys."""

from pathlib import Path

import pytest

from agent.terminal.doctor.finding import Level
from agent.terminal.doctor.wear import look_at_wear


def card(root: Path, used: str, spare: str) -> None:
    device = root / "sys" / "block" / "mmcblk0" / "device"
    device.mkdir(parents=True, exist_ok=True)
    (device / "life_time").write_text(f"{used}\n")
    (device / "pre_eol_info").write_text(f"{spare}\n")


@pytest.mark.parametrize(
    ("used", "spare", "level", "seen"),
    [
        ("0x01 0x01", "0x01", Level.OK, "less than 10 %"),
        ("0x00 0x08", "0x01", Level.OK, "less than 80 %"),
        ("0x02 0x09", "0x01", Level.WARNING, "80 % of its life or more"),
        ("0x01 0x01", "0x02", Level.WARNING, "of its life or more"),
        ("0x0b 0x01", "0x01", Level.FAULT, "worn out"),
        ("0x01 0x01", "0x03", Level.FAULT, "worn out"),
    ],
)
def test_a_worn_card_is_named_until_it_is_replaced(
    tmp_path: Path, used: str, spare: str, level: Level, seen: str
) -> None:
    card(tmp_path, used, spare)
    (finding,) = look_at_wear(tmp_path)
    assert finding.level is level and seen in finding.seen and "mmcblk0" in finding.seen
    assert (level is Level.OK) or "replace.md" in finding.mend
    card(tmp_path, "0x01 0x01", "0x01")
    (finding,) = look_at_wear(tmp_path)
    assert finding.level is Level.OK


@pytest.mark.parametrize("used", ["", "worn"])
def test_a_card_that_does_not_tell_is_no_fault(tmp_path: Path, used: str) -> None:
    card(tmp_path, used, "0x01")
    (finding,) = look_at_wear(tmp_path)
    assert finding.level is Level.HIDDEN
