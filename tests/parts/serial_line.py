"""A pty behind a path that can be unplugged, and the far end of every serial profile.

A far end speaks the reader's side of the protocol.
"""

import contextlib
import errno
import os
import select
import threading
import time
from functools import reduce
from operator import xor
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

REPEAT_S = 0.065


def rdm6300_frame(uid: bytes) -> bytes:
    """Return the 14 bytes that an RDM6300 sends for a card of five bytes."""
    return b"\x02" + _hex_and_xor(uid) + b"\x03"


def _raise_unless_closed(error: OSError) -> None:
    """Ignore that nobody has the line open: what is sent is lost."""
    if error.errno != errno.EIO:
        raise error


class SerialLine:
    """`path` is a link to the pty, like a by-path link of udev."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._master: int | None = None
        self._lock = threading.Lock()  # a far end's thread reads while a test unplugs

    def plug(self) -> None:
        with self._lock:
            self._master, slave = os.openpty()
            os.set_blocking(self._master, False)
            self.path.unlink(missing_ok=True)
            self.path.symlink_to(os.ttyname(slave))
            os.close(slave)  # another program that has the port open would be reported

    def unplug(self) -> None:
        with self._lock:
            if self._master is not None:
                os.close(self._master)
            self._master = None
            self.path.unlink(missing_ok=True)

    def write(self, sent: bytes) -> None:
        with self._lock:
            assert self._master is not None
            try:
                os.write(self._master, sent)
            except OSError as error:
                _raise_unless_closed(error)

    def read(self, wait_s: float) -> bytes:
        """Return what the agent sent; b"" if nothing came in time, or nothing is plugged in."""
        with self._lock:
            if self._master is None:
                return b""
            ready, _, _ = select.select([self._master], [], [], wait_s)
            try:
                return os.read(self._master, 4096) if ready else b""
            except OSError as error:
                _raise_unless_closed(error)
                return b""

    def hold(self, uid: bytes, repeats: int = 3) -> None:
        """Hold a card to an RDM6300, which repeats its frame."""
        for n in range(repeats):
            if n:
                time.sleep(REPEAT_S)  # the reader's own interval, not a wait for something
            self.write(rdm6300_frame(uid))


class FarEnd:
    """A reader that sends by itself. `hold` holds a card to it."""

    profile = ""
    cards = (bytes.fromhex("010063e9ae"), bytes.fromhex("62e3086ced"))
    prefix = "em"
    repeats = 1

    def __init__(self, line: SerialLine) -> None:
        self.line = line
        self.shown: list[bytes] = []

    def frame(self, uid: bytes) -> bytes:
        """Return what the reader sends for a card."""
        raise NotImplementedError

    def hold(self, uid: bytes) -> None:
        for n in range(self.repeats):
            if n:
                time.sleep(REPEAT_S)
            self.line.write(self.frame(uid))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass


class Rdm6300(FarEnd):
    profile = "rdm6300"
    repeats = 4

    def frame(self, uid: bytes) -> bytes:
        return rdm6300_frame(uid)


class Em18(FarEnd):
    profile = "em-18"

    def frame(self, uid: bytes) -> bytes:
        return _hex_and_xor(uid)


class Id12la(FarEnd):
    profile = "id-12la"

    def frame(self, uid: bytes) -> bytes:
        return b"\x02" + _hex_and_xor(uid) + b"\r\n\x03"


class Dual7941e(FarEnd):
    profile = "7941e"

    def frame(self, uid: bytes) -> bytes:
        body = bytes([len(uid) + 5, 2 if len(uid) == 5 else 1]) + uid
        return b"\x02" + body + _xor(body) + b"\x03"


class Yhy52x(FarEnd):
    profile = "yhy52x"
    cards = (bytes.fromhex("5ec0e07a"), bytes.fromhex("1c78f2bf"))
    prefix = "a"
    repeats = 3

    def frame(self, uid: bytes) -> bytes:
        body = b"\x12\x51" + uid + _xor(uid) + bytes.fromhex("8804004751355661102808")
        return b"\xaa\xbb" + body + _xor(body)


class Scanner(FarEnd):
    profile = "serial-scanner"
    cards = (b"BF-000417", b"BF-000418")
    prefix = "q"

    def frame(self, uid: bytes) -> bytes:
        return uid + b"\r\n"


class UfrNano(FarEnd):
    profile = "ufr-nano"
    cards = (bytes.fromhex("04a1b2c3d4e5f6"), bytes.fromhex("1c78f2bf"))
    prefix = "a"

    def frame(self, uid: bytes) -> bytes:
        return b"\x02" + uid.hex().upper().encode("ascii") + b"\x03"


class Reply(NamedTuple):
    """The answer to the first whole command, and the received bytes behind it."""

    answer: bytes
    rest: bytes


class PolledFarEnd(FarEnd):
    """A reader that answers commands, in a thread of its own.

    `field` are the cards at the reader. A `silent` one answers nothing; the next `lost` answers do
    not arrive. `polls` counts the commands.
    """

    cards = (bytes.fromhex("04a1b2c3d4e5f6"), bytes.fromhex("1c78f2bf"))
    prefix = "a"

    def __init__(self, line: SerialLine) -> None:
        super().__init__(line)
        self.field: list[bytes] = []
        self.silent = False
        self.lost = 0
        self.polls = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="far-end", daemon=True)

    def hold(self, uid: bytes) -> None:
        self.field = [uid]

    def take_away(self) -> None:
        self.field = []

    def reply(self, received: bytes) -> Reply:
        """Return the reply to the received bytes; all of them are `rest` without a command."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        received = b""
        while not self._ended.wait(0.002):
            with contextlib.suppress(OSError, AssertionError):  # unplugged meanwhile
                received += self.line.read(0.02)
                while received and not self._ended.is_set():
                    answer, rest = self.reply(received)
                    if rest == received:
                        break
                    received = rest
                    if self.lost and answer:
                        self.lost -= 1
                    elif not self.silent:
                        self.line.write(answer)


class Pn532(PolledFarEnd):
    profile = "pn532-hsu"

    def reply(self, received: bytes) -> Reply:
        start = received.find(b"\x00\x00\xff")
        if start < 0 or len(received) < start + 5:
            is_wake_up = received.strip(b"\x55\x00") == b"" and start < 0
            return Reply(b"", b"" if is_wake_up else received)
        length = received[start + 3]
        end = start + 5 + length + 2
        if len(received) < end:
            return Reply(b"", received)
        self.polls += 1
        command = received[start + 6 : start + 5 + length]
        acknowledgement = b"\x00\x00\xff\x00\xff\x00"
        return Reply(acknowledgement + self._frame(self._body(command)), received[end:])

    def _body(self, command: bytes) -> bytes:
        match command[0]:
            case 0x02:
                return b"\xd5\x03\x32\x01\x06\x07"
            case 0x4A:
                targets = [
                    bytes([n, 0x00, 0x04, 0x08, len(uid)]) + uid
                    for n, uid in enumerate(self.field[:2], start=1)
                ]
                return b"\xd5\x4b" + bytes([len(targets)]) + b"".join(targets)
            case code:
                return bytes([0xD5, code + 1])

    @staticmethod
    def _frame(body: bytes) -> bytes:
        head = b"\x00\x00\xff" + bytes([len(body), -len(body) & 0xFF])
        return head + body + bytes([-sum(body) & 0xFF, 0])


class Twn4(PolledFarEnd):
    profile = "elatec-twn4-simple"
    _VERSION = b"001D54574E342F42312E30332F434346312E35372F505253312E30332F5049\r"

    def reply(self, received: bytes) -> Reply:
        line, end, rest = received.partition(b"\r")
        if not end:
            return Reply(b"", received)
        self.polls += 1
        if line == b"050010":
            return Reply(self._search_tag(), rest)
        if line == b"0004FF":
            return Reply(self._VERSION, rest)
        if line == b"0005":
            return Reply(b"0001\r", rest)
        if line.startswith(b"0407"):
            self.shown.append(line)
            return Reply(b"00\r", rest)
        return Reply(b"01\r", rest)

    def _search_tag(self) -> bytes:
        if not self.field:
            return b"0000\r"
        uid = self.field[0]
        return f"000180{8 * len(uid):02X}{len(uid):02X}{uid.hex().upper()}\r".encode("ascii")


class Yhy632(PolledFarEnd):
    profile = "yhy632"
    cards = (bytes.fromhex("4caa0180"), bytes.fromhex("1c78f2bf"))  # AA is stuffed

    def reply(self, received: bytes) -> Reply:
        start = received.find(b"\xaa\xbb")
        if start < 0 or len(received) < start + 4:
            return Reply(b"", received)
        end = start + 4 + int.from_bytes(received[start + 2 : start + 4], "little")
        if len(received) < end:
            return Reply(b"", received)
        self.polls += 1
        command = received[start + 6 : start + 8]
        status, data = b"\x00", b""
        match command:
            case b"\x01\x02":
                status, data = (b"\x00", b"\x04\x00") if self.field else (b"\x14", b"")
            case b"\x02\x02":
                status, data = (b"\x00", self.field[0]) if self.field else (b"\x14", b"")
            case b"\x04\x01":
                data = b"1.05"
            case _:
                self.shown.append(received[start:end])
        return Reply(self._frame(command, status + data), received[end:])

    @staticmethod
    def _frame(command: bytes, data: bytes) -> bytes:
        body = b"\xff\xff" + command + data
        length = (len(body) + 1).to_bytes(2, "little")
        stuffed = body.replace(b"\xaa", b"\xaa\x00")
        return b"\xaa\xbb" + length + stuffed + _xor(body)


class Rdm880(PolledFarEnd):
    profile = "rdm880"

    def reply(self, received: bytes) -> Reply:
        start = received.find(b"\xaa")
        if start < 0 or len(received) < start + 3:
            return Reply(b"", received)
        end = start + received[start + 2] + 5
        if len(received) < end:
            return Reply(b"", received)
        self.polls += 1
        match received[start + 3]:
            case 0x86:
                data = b"\x00" + b"RDM880"
            case 0x25 if self.field:
                data = bytes([0, len(self.field) > 1]) + self.field[0]
            case 0x25:
                data = b"\x01\x83"
            case _:
                data = b"\x01\x81"
        body = bytes([0, len(data)]) + data
        return Reply(b"\xaa" + body + _xor(body) + b"\xbb", received[end:])


PUSHING: tuple[type[FarEnd], ...] = (Rdm6300, Em18, Id12la, Dual7941e, Yhy52x, Scanner, UfrNano)
POLLED: tuple[type[PolledFarEnd], ...] = (Pn532, Twn4, Yhy632, Rdm880)


def _hex_and_xor(uid: bytes) -> bytes:
    return f"{uid.hex().upper()}{_xor(uid).hex().upper()}".encode("ascii")


def _xor(body: bytes) -> bytes:
    return bytes([reduce(xor, body, 0)])
