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
import threading
from collections.abc import Iterator

import serial
from msgspec import UNSET

from agent.errors import ReaderError
from agent.readers.dialogue import Dialogue
from agent.readers.profile import Profile, given
from agent.readers.thread import Channel

WAIT_MS_MAX = 1_000
SIGNAL_WAIT_MS = 100  # *wait* is to be shown in time
READ_BYTES_MAX = 4_096
GOODBYE_MS_MAX = 700

log = logging.getLogger("agent.readers.serial_port")


class _Bell:
    """A descriptor that becomes readable when it is rung, from any thread, and that nobody rings any more once it is closed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bell, self._rope = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._closed = False

    def fileno(self) -> int:
        return self._bell

    def ring(self) -> None:
        with self._lock:
            if not self._closed:
                with contextlib.suppress(BlockingIOError):  # full: it rings already
                    os.write(self._rope, b"\0")

    def hear(self) -> None:
        os.read(self._bell, 512)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            os.close(self._rope)
            os.close(self._bell)


class SerialReader:
    """One serial reader at `port`, a path that does not change when it is plugged in again."""

    def __init__(self, profile: Profile, port: str) -> None:
        self._profile = profile
        self._port = port

    def serve(self, channel: Channel) -> None:
        """Read frames until `channel.stopping`. Raise `ReaderError` when the port goes, or the reader does not answer."""
        bell = _Bell()
        channel.wake_by(bell.ring)
        try:
            with self._opened(channel) as port:
                self._talk(port, bell, channel)
        except (OSError, termios.error) as error:  # pyserial's own error is an OSError
            raise self._error(str(error)) from error
        finally:
            bell.close()

    @contextlib.contextmanager
    def _opened(self, channel: Channel) -> Iterator[serial.Serial]:
        settings = given(self._profile.serial)
        port = serial.Serial(baudrate=settings.baud, timeout=0, exclusive=True)
        port.dtr = settings.dtr  # before it is opened: some boards start anew when it rises
        port.port = self._port
        try:
            channel.call(port.open)
        except ValueError as error:  # a path that is none, a speed the port does not know
            raise self._error(str(error)) from error
        try:
            # Keeps other programs off. A pty (tests, socat) keeps this flag after the port is closed,
            # and then only root could open the port again.
            if not os.ttyname(port.fileno()).startswith("/dev/pts/"):
                with contextlib.suppress(OSError):
                    fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
            with contextlib.suppress(
                ValueError, OSError, NotImplementedError
            ):  # USB converters gather bytes for 16 ms otherwise
                port.set_low_latency_mode(True)
            if settings.open_delay_ms is not UNSET:
                channel.pause(settings.open_delay_ms / 1000)
            port.reset_input_buffer()
            yield port
        finally:
            channel.call(port.close)

    def _talk(self, port: serial.Serial, bell: _Bell, channel: Channel) -> None:
        now_ms = channel.now_ms()
        dialogue = Dialogue(self._profile, now_ms)
        channel.note("open", at_ms=now_ms)
        begun = garbled = False
        while not channel.stopping:
            now_ms = channel.now_ms()
            try:
                sent = dialogue.send(now_ms)
            except ReaderError as error:
                raise self._error(str(error)) from None
            if sent:
                channel.note(">", sent, now_ms)
                if os.write(port.fileno(), sent) < len(sent):  # opened without blocking
                    raise self._error("takes no more bytes")
            if not begun and dialogue.is_ready:
                begun = True
                channel.up(self._port)
            self._receive(port, dialogue, channel, self._wait(port, bell, dialogue, channel))
            if channel.is_waiting and (signal := channel.signal()) is not None:
                dialogue.show(signal)
            if dialogue.is_garbled and not garbled:
                garbled = True
                log.warning(
                    "reader '%s': %s",
                    channel.name,
                    self._error("no frame of this model comes: another model, or another speed?"),
                )
            for reason in dialogue.failures():
                channel.signal_failed(reason)
        self._say_goodbye(port, bell, dialogue, channel)

    def _say_goodbye(
        self, port: serial.Serial, bell: _Bell, dialogue: Dialogue, channel: Channel
    ) -> None:
        """Show the last signal, *out of order* when the agent stops by a fault: a card may lie there."""
        signal = channel.signal()
        if signal is not None:
            dialogue.forget_signals()
            dialogue.show(signal)
        ends_ms = channel.now_ms() + GOODBYE_MS_MAX
        with contextlib.suppress(ReaderError):
            while dialogue.has_signals and channel.now_ms() < ends_ms:
                sent = dialogue.send(channel.now_ms())
                if sent:
                    os.write(port.fileno(), sent)
                if self._wait(port, bell, dialogue, channel):
                    dialogue.receive(os.read(port.fileno(), READ_BYTES_MAX), channel.now_ms())

    def _wait(self, port: serial.Serial, bell: _Bell, dialogue: Dialogue, channel: Channel) -> bool:
        """Wait until bytes have come, a signal has come, or something is to be sent. Return whether bytes have come."""
        wait_ms = dialogue.wake_ms(channel.now_ms())
        wait_ms = WAIT_MS_MAX if wait_ms is None else min(wait_ms, WAIT_MS_MAX)
        if channel.is_waiting:
            wait_ms = min(wait_ms, SIGNAL_WAIT_MS)
        ready, _, _ = select.select([port.fileno(), bell.fileno()], [], [], wait_ms / 1000)
        if bell.fileno() in ready:
            bell.hear()
        return port.fileno() in ready

    def _receive(
        self, port: serial.Serial, dialogue: Dialogue, channel: Channel, has_come: bool
    ) -> None:
        received = os.read(port.fileno(), READ_BYTES_MAX) if has_come else b""
        if has_come and not received:
            raise self._error("is gone")
        now_ms = channel.now_ms()
        if received:
            channel.note("<", received, now_ms)
        try:
            for seen in dialogue.receive(received, now_ms):
                if channel.saw(seen):
                    dialogue.forget_signals()
        except ReaderError as error:
            raise self._error(str(error)) from None

    def _error(self, what: str) -> ReaderError:
        return ReaderError(f"{self._profile.device.model}: {self._port}: {what}")
