"""The wall to serial ports: the only file that imports pyserial.

Opens a port, carries bytes to and from a `Dialogue`, and sees a signal come without waiting for the reader. Every way in which a
port dies becomes a `ReaderError`; the thread opens it again. Bytes that waited from before the opening are thrown away.
"""

import contextlib
import fcntl
import logging
import os
import select
import termios
from collections.abc import Callable, Iterator

import serial
from msgspec import UNSET

from agent.errors import ReaderError
from agent.readers.dialogue import STRANGE_BYTES, Dialogue
from agent.readers.profile import Profile, given
from agent.readers.thread import Channel

WAIT_MS_MAX = 1_000
SIGNAL_WAIT_MS = 100  # *wait* is to be shown in time
READ_BYTES_MAX = 4_096

log = logging.getLogger("agent.readers.serial_port")


class SerialReader:
    """One serial reader at `port`, a path that does not change when it is plugged in again."""

    def __init__(self, name: str, profile: Profile, port: str) -> None:
        self._name = name
        self._profile = profile
        self._port = port

    def serve(self, channel: Channel) -> None:
        """Read frames until `channel.stopping`. Raise `ReaderError` when the port goes, or the reader does not answer."""
        try:
            with self._opened(channel) as port, _bell() as (bell, ring):
                channel.wake_by(ring)
                try:
                    self._talk(port, bell, channel)
                finally:
                    channel.wake_by(lambda: None)
        except (serial.SerialException, OSError, termios.error, ValueError) as error:  # in_waiting raises a bare OSError
            raise self._error(str(error)) from error

    @contextlib.contextmanager
    def _opened(self, channel: Channel) -> Iterator[serial.Serial]:
        settings = given(self._profile.serial)
        port = serial.Serial(baudrate=settings.baud, timeout=0, exclusive=True)
        port.dtr = settings.dtr  # before it is opened: some boards start anew when it rises
        port.port = self._port
        with channel.calling():
            port.open()
        try:
            with contextlib.suppress(OSError):  # keeps other programs off; a pty has none
                fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
            with contextlib.suppress(ValueError, OSError, NotImplementedError):  # USB converters gather bytes for 16 ms otherwise
                port.set_low_latency_mode(True)
            if settings.open_delay_ms is not UNSET:
                channel.pause(settings.open_delay_ms / 1000)
            port.reset_input_buffer()
            yield port
        finally:
            with channel.calling():
                port.close()

    def _talk(self, port: serial.Serial, bell: int, channel: Channel) -> None:
        now_ms = channel.now_ms()
        dialogue = Dialogue(self._profile, now_ms)
        channel.note("open", at_ms=now_ms)
        begun = strange = False
        while not channel.stopping:
            now_ms = channel.now_ms()
            try:
                sent = dialogue.send(now_ms)
            except ReaderError as error:
                raise self._error(str(error)) from None
            if sent:
                channel.note(">", sent, now_ms)
                os.write(port.fileno(), sent)  # opened without blocking: a port that takes nothing is an error
            if not begun and dialogue.is_ready:
                begun = True
                channel.up(self._port)
            self._receive(port, dialogue, channel, self._wait(port, bell, dialogue, channel))
            if channel.is_waiting and (signal := channel.signal()) is not None:
                dialogue.show(signal)
            if dialogue.strange >= STRANGE_BYTES and not strange:
                strange = True
                log.warning("%s", self._error("speaks, but no frame of this model comes: another model, or another speed?"))
            while dialogue.failed_signals:
                channel.signal_failed(dialogue.failed_signals.pop())

    def _wait(self, port: serial.Serial, bell: int, dialogue: Dialogue, channel: Channel) -> bool:
        """Wait until bytes have come, a signal has come, or something is to be sent. Return whether bytes have come."""
        wait_ms = dialogue.wake_ms(channel.now_ms())
        wait_ms = WAIT_MS_MAX if wait_ms is None else min(wait_ms, WAIT_MS_MAX)
        if channel.is_waiting:
            wait_ms = min(wait_ms, SIGNAL_WAIT_MS)
        ready, _, _ = select.select([port.fileno(), bell], [], [], wait_ms / 1000)
        if bell in ready:
            os.read(bell, 512)
        return port.fileno() in ready

    def _receive(self, port: serial.Serial, dialogue: Dialogue, channel: Channel, has_come: bool) -> None:
        received = os.read(port.fileno(), READ_BYTES_MAX) if has_come else b""
        if has_come and not received:
            raise self._error("is gone")
        now_ms = channel.now_ms()
        if received:
            channel.note("<", received, now_ms)
        try:
            for seen in dialogue.receive(received, now_ms):
                channel.saw(seen)
        except ReaderError as error:
            raise self._error(str(error)) from None

    def _error(self, what: str) -> ReaderError:
        return ReaderError(f"reader '{self._name}' ({self._profile.device.model}): {self._port}: {what}")


@contextlib.contextmanager
def _bell() -> Iterator[tuple[int, Callable[[], None]]]:
    """Yield a descriptor that becomes readable when the function beside it is called, from any thread and even afterwards."""
    bell, rope = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def ring() -> None:
        with contextlib.suppress(OSError):  # full: it rings already; closed: nobody listens any more
            os.write(rope, b"\0")

    try:
        yield bell, ring
    finally:
        os.close(rope)
        os.close(bell)
