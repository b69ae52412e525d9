"""The wall to keyboards: the only file that imports evdev. For readers that type a card's number and press Enter.

The reader is grabbed: nothing it types reaches another program. Key *codes* are translated, not characters, so that no
keyboard layout changes a number. What each code is stands in `keys.py`.
"""

import contextlib
import select

import evdev

from agent.errors import ReaderError
from agent.readers.dialogue import Dialogue
from agent.readers.keys import character
from agent.readers.profile import Profile
from agent.readers.thread import Channel

WAIT_S = 0.5


class KeyboardReader:
    """One reader at `port`, a path under /dev/input/by-id or by-path that does not change when it is plugged in again."""

    def __init__(self, profile: Profile, port: str) -> None:
        self._profile = profile
        self._port = port

    def serve(self, channel: Channel) -> None:
        """Read typed numbers until `channel.stopping`. Raise `ReaderError` when the reader goes or another program has grabbed it."""
        try:
            with contextlib.closing(evdev.InputDevice(self._port)) as device:
                device.grab()
                now_ms = channel.now_ms()
                dialogue = Dialogue(self._profile, now_ms)
                channel.note("open", at_ms=now_ms)
                channel.up(f"{device.name} at {self._port}")
                while not channel.stopping:
                    ready, _, _ = select.select([device.fd], [], [], WAIT_S)
                    now_ms = channel.now_ms()
                    events = device.read() if ready else ()
                    typed = b"".join(
                        character(event.type, event.code, event.value) for event in events
                    )
                    if typed:
                        channel.note("<", typed, now_ms)
                        for seen in dialogue.receive(typed, now_ms):
                            channel.saw(seen)
                    channel.signal()  # a keyboard shows nothing
        except (OSError, ValueError) as error:  # ValueError: a path that is none
            raise ReaderError(f"{self._profile.device.model}: {self._port}: {error}") from error
