"""The wall to keyboards, and the only file that imports evdev.

For readers that type a card's number and press Enter. The device is grabbed, so that no other
program receives the number. Key codes are translated instead of characters, so that no keyboard
layout of this machine changes a number.
"""

import contextlib
import select

import evdev

from agent.errors import ReaderError
from agent.readers.channel import Channel
from agent.readers.profile import Profile
from agent.readers.typing_reader import KeyEvent, TypingReader

# How often the loop checks whether it must stop, and whether a text has no end.
WAIT_S = 0.5


class KeyboardReader:
    """One reader at `port`, a path under /dev/input/by-id or by-path that survives re-plugging."""

    def __init__(self, profile: Profile, port: str) -> None:
        self._profile = profile
        self._port = port

    def run(self, channel: Channel) -> None:
        """Read typed numbers until `channel.stopping`.

        Raise `ReaderError` when the device is lost, or when another program has grabbed it.
        """
        try:
            with contextlib.closing(evdev.InputDevice(self._port)) as device:
                device.grab()
                now_ms = channel.now_ms()
                reader = TypingReader(self._profile, now_ms)
                channel.trace("open", at_ms=now_ms)
                channel.up(f"{device.name} at {self._port}")
                while not channel.stopping:
                    ready, _, _ = select.select([device.fd], [], [], WAIT_S)
                    now_ms = channel.now_ms()
                    read = device.read() if ready else ()
                    events = [KeyEvent(event.type, event.code, event.value) for event in read]
                    detections = reader.receive(events, now_ms)
                    if reader.typed:
                        channel.trace("<", reader.typed, now_ms)
                    for detection in detections:
                        channel.report(detection)
                    channel.next_signal()  # taken and dropped: a keyboard cannot show it
        except (OSError, ValueError) as error:  # ValueError: not a path
            raise ReaderError(f"{self._profile.device.model}: {self._port}: {error}") from error
