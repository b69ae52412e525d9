"""The wall to keyboards: paths that cannot be opened.

Not every kernel that this runs on has uinput, so no keyboard can be made here. `test_keys.py` and
`test_typing_reader.py` test the decoding, with recorded events.
"""

import queue
import threading
from pathlib import Path

import pytest

from agent.readers.events import ReaderDown, ReaderEvent
from agent.readers.open import ReaderConfig, reader_thread
from agent.readers.presence import RecentTaps
from agent.readers.profile_rules import load_profile


@pytest.mark.parametrize("path", ["nothing", "no-keyboard", "a\0b"])
def test_a_path_that_is_no_keyboard_is_reported_with_model_and_path(
    tmp_path: Path, path: str
) -> None:
    (tmp_path / "no-keyboard").symlink_to("/dev/null")
    port = f"{tmp_path}/{path}"
    events: queue.Queue[ReaderEvent] = queue.Queue()
    config = ReaderConfig(
        name="counter", profile=load_profile("keyboard-wedge"), port=port, device=None
    )
    thread = reader_thread(config, events.put, RecentTaps(threading.Lock()))
    thread.start()
    down = events.get(timeout=10)
    thread.stop()
    assert isinstance(down, ReaderDown)
    assert down.reason.startswith(f"keyboard reader, 10D: {port}: ")
