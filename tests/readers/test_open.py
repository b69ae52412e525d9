"""From a configuration to a running reader, and to a recording of it."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent.errors import ReaderError
from agent.readers.keyboard import KeyboardReader
from agent.readers.open import ReaderConfig, reader_of, record_trace
from agent.readers.pcsc import PcscReader
from agent.readers.profile_rules import load_profile
from agent.readers.serial_port import SerialReader
from tests.parts.serial_line import SerialLine


def config(profile_id: str, port: str | None) -> ReaderConfig:
    return ReaderConfig(name="counter", profile=load_profile(profile_id), port=port, device=None)


@pytest.mark.parametrize(
    ("profile_id", "kind"),
    [
        ("acs-acr122u", PcscReader),
        ("rdm6300", SerialReader),
        ("keyboard-wedge", KeyboardReader),
    ],
)
def test_the_transport_of_a_profile_chooses_the_reader(profile_id: str, kind: type) -> None:
    assert isinstance(reader_of(config(profile_id, "/dev/null")), kind)


def test_evdev_is_loaded_for_a_keyboard_reader_only() -> None:
    script = (
        "import sys\n"
        "from agent.readers.open import ReaderConfig, reader_of\n"
        "from agent.readers.profile_rules import load_profile\n"
        "for name in ('rdm6300', 'keyboard-wedge'):\n"
        "    profile = load_profile(name)\n"
        "    reader_of(ReaderConfig(name='x', profile=profile, port='/dev/null', device=None))\n"
        "    print('evdev' in sys.modules)\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    assert output.split() == ["False", "True"]


def test_a_recording_answers_each_tap_with_out_of_order(tmp_path: Path) -> None:
    line = SerialLine(tmp_path / "line")
    line.plug()
    uids = (bytes.fromhex("010063e9ae"), bytes(5))  # the second one is rejected
    ended = threading.Event()

    def hold_cards() -> None:
        for uid in uids:
            ended.wait(0.5)  # the port must be open, and the cards apart
            line.hold(uid)

    holder = threading.Thread(target=hold_cards)
    holder.start()
    trace, words = record_trace(config("rdm6300", str(line.path)), 2)
    holder.join()
    line.unplug()
    assert words == ["em", "rejected-uid"]
    shown = [line.data for line in trace.lines if line.mark == "show"]
    assert shown == [b"out_of_order"] * 2
    assert trace.remarks[0].startswith("revision ")


def test_a_recording_of_a_reader_that_was_never_up_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReaderError, match=r"reader 'counter': RDM6300: .*No such file"):
        record_trace(config("rdm6300", str(tmp_path / "nothing")), 1)
