"""The wall to serial ports, and the only file that imports pyserial.

Opens a port and carries bytes to and from a `Dialogue`. It wakes at once when a signal comes, and
does not wait for the reader first. Every way in which a port fails becomes a `ReaderError`, after
which the thread opens it again. Bytes from before the opening are thrown away.
"""

import contextlib
import errno
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
from agent.readers.channel import Channel
from agent.readers.dialogue import Dialogue
from agent.readers.port_users import users_of
from agent.readers.profile import Profile, Serial, given

# The longest wait while a tap has no signal yet, so that *wait* is shown in time.
SIGNAL_WAIT_MS = 100
# One read takes all there is: a tty buffers 4,095 bytes.
READ_BYTES = 4_096
# How often it is looked whether another program has the port. It costs some milliseconds.
USERS_EVERY_MS = 30_000
# How long a stopping agent may still send the last signal.
GOODBYE_MS_MAX = 700

_PARITY = {
    "none": serial.PARITY_NONE,
    "even": serial.PARITY_EVEN,
    "odd": serial.PARITY_ODD,
}

log = logging.getLogger("agent.readers.serial_port")


class _Waker:
    """A descriptor that another thread makes readable. After `close`, waking has no effect."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._closed = False

    def fileno(self) -> int:
        return self._wake_read

    def wake(self) -> None:
        with self._lock:
            if not self._closed:
                with contextlib.suppress(BlockingIOError):  # full: it is readable already
                    os.write(self._wake_write, b"\0")

    def drain(self) -> None:
        os.read(self._wake_read, 512)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            os.close(self._wake_write)
            os.close(self._wake_read)


class SerialReader:
    """One serial reader at `port`, a path that survives re-plugging."""

    def __init__(self, profile: Profile, port: str) -> None:
        self._profile = profile
        self._port = port

    def run(self, channel: Channel) -> None:
        """Read frames until `channel.stopping`.

        Raise `ReaderError` when the port fails, or when the reader does not answer.
        """
        waker = _Waker()
        channel.wake_by(waker.wake)
        try:
            with self._opened(channel) as port:
                _Connection(self._profile, port, waker, channel).run()
        except ReaderError as error:
            raise self._error(str(error)) from error
        except (OSError, termios.error) as error:  # pyserial's own error is an OSError
            raise self._error(str(error)) from error
        finally:
            waker.close()

    @contextlib.contextmanager
    def _opened(self, channel: Channel) -> Iterator[serial.Serial]:
        settings = given(self._profile.serial)
        port = serial.Serial(
            baudrate=settings.baud,
            bytesize=settings.data_bits,
            parity=_PARITY[settings.parity],
            stopbits=settings.stop_bits,
            timeout=0,
            exclusive=True,
        )
        port.dtr = settings.dtr  # before the opening: some boards restart when DTR rises
        port.port = self._port
        try:
            channel.call(port.open)
        except termios.error as error:
            raise ReaderError(f"the port refuses {_line_words(settings)}: {error}") from error
        except ValueError as error:  # not a path, or a baud rate that the port does not know
            raise ReaderError(str(error)) from error
        except OSError as error:
            if error.errno in (errno.EBUSY, errno.EAGAIN):  # TIOCEXCL, or a lock
                raise ReaderError(_taken(self._port, users_of(self._port))) from error
            raise
        try:
            # A pty (tests, socat) keeps the flag of an agent that was killed, and then only root
            # could open it again.
            if not os.ttyname(port.fileno()).startswith("/dev/pts/"):
                set_exclusive(port.fileno(), True)
            # Without it, an FTDI converter buffers for 16 ms.
            with contextlib.suppress(ValueError, OSError, NotImplementedError):
                port.set_low_latency_mode(True)
            if settings.open_delay_ms is not UNSET:
                channel.pause(settings.open_delay_ms / 1000)
            port.reset_input_buffer()
            yield port
        finally:
            set_exclusive(port.fileno(), False)
            channel.call(port.close)

    def _error(self, what: str) -> ReaderError:
        return ReaderError(f"{self._profile.device.model}: {self._port}: {what}")


def set_exclusive(port: int, on: bool) -> None:
    """Let nobody but root open a port that is open here, or everybody again.

    The flag stays while another program has the port open, so it is taken away before the closing.
    """
    with contextlib.suppress(OSError):
        fcntl.ioctl(port, termios.TIOCEXCL if on else termios.TIOCNXCL)


def _line_words(settings: Serial) -> str:
    """Return the settings of a line as technicians write them: `9600 baud, 8N1`."""
    form = f"{settings.data_bits}{settings.parity[0].upper()}{settings.stop_bits}"
    return f"{settings.baud} baud, {form}"


def _taken(path: str, users: list[str]) -> str:
    names = ", ".join(users) or f"sudo fuser -v {path} names it"
    return f"another program has this port: {names}; stop that program"


class _Connection:
    """An open port, from its opening to its end."""

    def __init__(
        self, profile: Profile, port: serial.Serial, waker: _Waker, channel: Channel
    ) -> None:
        self._profile = profile
        self._port = port
        self._waker = waker
        self._channel = channel
        now_ms = channel.now_ms()
        self._dialogue = Dialogue(profile, now_ms)
        self._looked_ms: int | None = None
        channel.trace("open", at_ms=now_ms)

    def run(self) -> None:
        """Read until `channel.stopping`. At the end, report a card that waits for its light."""
        try:
            self._run()
        finally:
            for detection in self._dialogue.end():
                self._channel.report(detection)

    def _run(self) -> None:
        channel, dialogue = self._channel, self._dialogue
        is_up = is_garbled = False
        while not channel.stopping:
            self._send()
            if not is_up and dialogue.is_ready:
                is_up = True
                channel.up(str(self._port.port))
            if is_up:
                self._look_for_others()
            self._receive(self._wait())
            if channel.is_waiting and (signal := channel.next_signal()) is not None:
                dialogue.show(signal)
            if dialogue.is_garbled and not is_garbled:
                is_garbled = True
                log.warning(
                    "Reader '%s': %s: %s: bytes arrive but no frame;"
                    " check the profile's model and baud rate",
                    channel.name,
                    self._profile.device.model,
                    self._port.port,
                )
            for reason in dialogue.failures():
                channel.signal_failed(reason)
        self._show_last_signal()

    def _look_for_others(self) -> None:
        """Report another program that has the port open: it takes a part of the cards."""
        now_ms, port = self._channel.now_ms(), str(self._port.port)
        if self._looked_ms is None or now_ms - self._looked_ms >= USERS_EVERY_MS:
            self._looked_ms = now_ms
            users = users_of(port)
            warning = f"{_taken(port, users)}, which takes a part of the cards" if users else ""
            self._channel.warned(warning)

    def _send(self) -> None:
        now_ms = self._channel.now_ms()
        sent = self._dialogue.send(now_ms)
        if sent:
            self._channel.trace(">", sent, now_ms)
            if os.write(self._port.fileno(), sent) < len(sent):  # the port does not block
                raise ReaderError("accepts no more bytes")

    def _receive(self, is_readable: bool) -> None:
        received = os.read(self._port.fileno(), READ_BYTES) if is_readable else b""
        if is_readable and not received:
            raise ReaderError("unplugged")
        now_ms = self._channel.now_ms()
        if received:
            self._channel.trace("<", received, now_ms)
        for detection in self._dialogue.receive(received, now_ms):
            if self._channel.report(detection):
                self._dialogue.forget_signals()

    def _wait(self, wait_ms_max: int | None = None) -> bool:
        """Wait for bytes, for a signal, or until it is time to send. Return whether bytes came."""
        times_ms = [
            self._dialogue.wake_ms(self._channel.now_ms()),
            SIGNAL_WAIT_MS if self._channel.is_waiting else USERS_EVERY_MS,
            wait_ms_max,
        ]
        wait_ms = min((time_ms for time_ms in times_ms if time_ms is not None), default=None)
        wait_s = None if wait_ms is None else wait_ms / 1000
        descriptors = [self._port.fileno(), self._waker.fileno()]
        readable, _, _ = select.select(descriptors, [], [], wait_s)
        if self._waker.fileno() in readable:
            self._waker.drain()
        return self._port.fileno() in readable

    def _show_last_signal(self) -> None:
        """Show the last signal: *out of order* when the agent stops by a fault during a tap."""
        channel, dialogue = self._channel, self._dialogue
        signal = channel.next_signal()
        if signal is not None:
            dialogue.forget_signals()
            dialogue.show(signal)
        ends_ms = channel.now_ms() + GOODBYE_MS_MAX
        with contextlib.suppress(ReaderError):
            while dialogue.has_signals and (left_ms := ends_ms - channel.now_ms()) > 0:
                sent = dialogue.send(channel.now_ms())
                if sent:
                    os.write(self._port.fileno(), sent)
                if self._wait(left_ms):
                    dialogue.receive(os.read(self._port.fileno(), READ_BYTES), channel.now_ms())
