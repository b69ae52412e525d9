"""The wall to serial ports: the only file that imports pyserial.

Opens a port, carries bytes to and from a `Dialogue`, and sees a signal come without waiting for the reader. Every way in which a
port dies becomes a `ReaderError`; the thread opens it again. Bytes that waited from before the opening are thrown away.
"""

import contextlib
import fcntl
import os
import select
import termios
from collections.abc import Callable, Iterator

import serial
from msgspec import UNSET

from agent.errors import ReaderError
from agent.readers.dialogue import Dialogue
from agent.readers.profile import Profile, given
from agent.readers.thread import Line

WAIT_MS_MAX = 1_000
WRITE_S_MAX = 2.0


class SerialDevice:
    """One serial reader at `port`, a path that does not change when it is plugged in again."""

    def __init__(self, name: str, profile: Profile, port: str) -> None:
        self._name = name
        self._profile = profile
        self._port = port

    def serve(self, line: Line) -> None:
        """Read frames until `line.stopping`. Raise `ReaderError` when the port goes, or the reader does not answer."""
        try:
            with self._opened(line) as port, _bell() as (bell, ring):
                line.wake_by(ring)
                try:
                    self._talk(port, bell, line)
                finally:
                    line.wake_by(lambda: None)
        except (serial.SerialException, OSError, termios.error, ValueError) as error:  # in_waiting raises a bare OSError
            raise self._error(str(error)) from error

    @contextlib.contextmanager
    def _opened(self, line: Line) -> Iterator[serial.Serial]:
        settings = given(self._profile.serial)
        port = serial.Serial(baudrate=settings.baud, timeout=0, write_timeout=WRITE_S_MAX, exclusive=True)
        port.dtr = settings.dtr  # before it is opened: some boards start anew when it rises
        port.port = self._port
        with line.calling():
            port.open()
        try:
            with contextlib.suppress(OSError):  # keeps other programs off; a pty has none
                fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
            with contextlib.suppress(ValueError, OSError, NotImplementedError):  # USB converters gather bytes for 16 ms otherwise
                port.set_low_latency_mode(True)
            if settings.open_delay_ms is not UNSET:
                line.pause(settings.open_delay_ms / 1000)
            port.reset_input_buffer()
            yield port
        finally:
            with line.calling():
                port.close()

    def _talk(self, port: serial.Serial, bell: int, line: Line) -> None:
        now_ms = line.now_ms()
        dialogue = Dialogue(self._profile, now_ms)
        line.note("open", at_ms=now_ms)
        begun = False
        while not line.stopping:
            now_ms = line.now_ms()
            try:
                sent = dialogue.send(now_ms)
            except ReaderError as error:
                raise self._error(str(error)) from None
            if sent:
                line.note(">", sent, now_ms)
                with line.calling():
                    port.write(sent)
            if not begun and dialogue.is_ready:
                begun = True
                line.up(self._port)
            wait_ms = dialogue.wake_ms(line.now_ms())
            if wait_ms != 0:
                self._wait(port, bell, WAIT_MS_MAX if wait_ms is None else min(wait_ms, WAIT_MS_MAX), line)
            self._receive(port, dialogue, line)
            if line.is_waiting and (signal := line.signal()) is not None:
                dialogue.show(signal)
            while dialogue.failed_signals:
                line.signal_failed(dialogue.failed_signals.pop())

    def _wait(self, port: serial.Serial, bell: int, wait_ms: int, line: Line) -> None:
        """Wait until bytes have come, a signal has come, or the time is over."""
        if line.is_waiting:
            wait_ms = min(wait_ms, 100)  # *wait* is to be shown in time
        ready, _, _ = select.select([port.fileno(), bell], [], [], wait_ms / 1000)
        if bell in ready:
            os.read(bell, 512)

    def _receive(self, port: serial.Serial, dialogue: Dialogue, line: Line) -> None:
        ready, _, _ = select.select([port.fileno()], [], [], 0)
        received = port.read(max(1, port.in_waiting)) if ready else b""
        now_ms = line.now_ms()
        if received:
            line.note("<", received, now_ms)
        try:
            for seen in dialogue.receive(received, now_ms):
                line.saw(seen)
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
