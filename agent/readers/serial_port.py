"""The wall to serial ports: the only file that imports pyserial.

A module that pushes frames: bytes in, frames out by `framing`, one tap a presence by `presence`. Every way in which a
port dies becomes a `ReaderError`; the thread opens it again. Bytes that waited from before the opening are thrown away.
"""

import logging
import termios

import serial
from msgspec import UNSET

from agent.domain.card import CardId
from agent.errors import ReaderError
from agent.readers.events import CardPresented, CardUnreadable
from agent.readers.framing import Fault
from agent.readers.presence import Presence
from agent.readers.profile import Profile, card_of, framer
from agent.readers.thread import Line

TRAFFIC = 5  # raw bytes identify a child: only on demand, and said when it is switched on

log = logging.getLogger("agent.readers.serial_port")


class SerialDevice:
    """One serial reader at `port`, a path that does not change when it is plugged in again."""

    def __init__(self, name: str, profile: Profile, port: str) -> None:
        self._name = name
        self._profile = profile
        self._port = port

    def serve(self, line: Line) -> None:
        """Read frames until `line.stopping`. Raise `ReaderError` when the port goes."""
        settings = self._profile.serial
        assert settings is not UNSET
        try:
            with serial.Serial(self._port, settings.baud, timeout=settings.read_timeout_ms / 1000, exclusive=True) as port:
                port.reset_input_buffer()
                line.up(self._port)
                self._read(port, line)
        except (serial.SerialException, OSError, termios.error) as error:  # in_waiting raises a bare OSError
            raise ReaderError(f"reader '{self._name}' ({self._profile.device.model}): {self._port}: {error}") from error

    def _read(self, port: serial.Serial, line: Line) -> None:
        frames = framer(self._profile)
        rule = self._profile.presence
        assert rule.gone_after_ms is not UNSET
        presence = Presence(gone_after_ms=rule.gone_after_ms, debounce_ms=rule.debounce_ms)
        while not line.stopping:
            received = port.read(max(1, port.in_waiting))
            now_ms = line.now_ms()
            if received:
                log.log(TRAFFIC, "reader '%s' < %s", self._name, received.hex(" "))
            for frame in frames.feed(received, now_ms) if received else ():
                found = frame if isinstance(frame, Fault) else card_of(self._profile, frame)
                if found in (Fault.CHECKSUM, Fault.REJECTED):
                    log.debug("reader '%s': a frame with a wrong %s", self._name, found)  # noise: the module repeats
                elif presence.is_tap(found, now_ms):
                    tap = line.next_tap()
                    if isinstance(found, CardId):
                        line.report(CardPresented(reader=self._name, card=found, tap=tap))
                    else:
                        line.report(CardUnreadable(reader=self._name, fault=found.value, tap=tap))
