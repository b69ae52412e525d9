"""A private pcscd with vpcd's virtual reader, and the virtual card's side of it.

pcscd runs in a mount namespace of its own with an empty /run/pcscd, so that it can be stopped and started without touching
the machine's; a process that is to use it enters the namespace. vpcd listens for the card on a port of its own and cannot be
bound to loopback; the card calls it there. (Its other form, in which it calls the card, aborts pcscd when no card is there.)
"""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.parts.broker import free_port
from tests.parts.process import Process, require, wait_for

VPCD = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
ATR_CLASSIC_1K = bytes.fromhex("3B8F8001804F0CA000000306030001000000006A")
GET_UID = bytes.fromhex("FFCA000000")
LED = bytes.fromhex("FF0040")
WAIT = bytes.fromhex("FF00400C0400000000")  # the ACR122U profile's
ESCAPE_CODE = 0x42000ABC  # no driver's own: only who asks for it can know it
READER_NAME = "ACS ACR122U PICC Interface"

_SET_UP = """
set -e
mkdir -p /run/pcscd 2>/dev/null || mount -t tmpfs none /run
mkdir -p /run/pcscd
mount -t tmpfs none /run/pcscd
echo ready > "$1"
exec sleep 1000000
"""


class Namespace:
    """A mount namespace with its own /run/pcscd, held open by a sleeping process. Needs root, or user namespaces."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if not VPCD.exists():
            raise RuntimeError("vpcd is missing: apt-get install vsmartcard-vpcd (or: make setup)")
        ready = folder / "namespace"
        ready.unlink(missing_ok=True)
        as_root = os.geteuid() == 0
        command = [
            require("unshare"),
            "--mount",
            *([] if as_root else ["--user", "--map-root-user"]),
            "sh",
            "-c",
            _SET_UP,
            "sh",
            str(ready),
        ]
        self._holder = Process(command, folder / "namespace.log")
        self._enter = ["nsenter", "--target", str(self._holder.pid), "--mount", "--root"]
        if not as_root:
            self._enter += ["--user", "--preserve-credentials"]
        self._check(ready)

    def _check(self, ready: Path) -> None:
        def is_ready() -> bool:
            if not self._holder.is_running:
                raise RuntimeError(f"no mount namespace: {self._holder.output()}")
            return ready.exists()

        wait_for(is_ready, "the mount namespace")

    def command(self, *words: str | Path) -> list[str]:
        """Return a command that runs inside."""
        return [*self._enter, *map(str, words)]

    def close(self) -> None:
        self._holder.kill()


class Pcscd:
    """A pcscd of our own with a virtual reader for each of `card_ports`, on which it listens for cards.

    `driver` is another driver that stands before vpcd. Several readers are called `READER_NAME A`, `B`, …; each has a copy of
    the driver, since vpcd lets no two of its readers work at once, as a CCID driver does.
    """

    def __init__(self, folder: Path, *card_ports: int, driver: Path = VPCD) -> None:
        self._folder = folder
        self._card_ports = card_ports
        self.namespace = Namespace(folder)
        drivers = folder / "reader.conf.d"
        drivers.mkdir(exist_ok=True)
        names = (
            [f"{READER_NAME} {letter}" for letter in "ABCDEFGH"]
            if len(card_ports) > 1
            else [READER_NAME]
        )
        for name, port in zip(names, card_ports, strict=False):
            own = driver
            if len(card_ports) > 1:
                own = folder / f"driver-{port}.so"
                shutil.copyfile(driver, own)
            (drivers / f"vpcd-{port}").write_text(
                f'FRIENDLYNAME "{name}"\nDEVICENAME /dev/null:{port:#x}\nLIBPATH {own}\nCHANNELID {port:#x}\n',
                encoding="ascii",
            )
        self._drivers = drivers
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        assert self._process is not None
        return self._process

    def start(self) -> Self:
        command = self.namespace.command(
            require("pcscd"), "--foreground", "--config", self._drivers
        )
        self._process = Process(command, self._folder / "pcscd.log")
        wait_for(self._is_ready, "pcscd listening for clients and cards")
        return self

    def _is_ready(self) -> bool:
        """Look without connecting: vpcd takes every connection for a card."""
        if not self.process.is_running:
            raise RuntimeError(f"pcscd ended: {self.process.output()}")
        sockets = [
            line.split()
            for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
        ]
        open_ports = {
            int(fields[1].rpartition(":")[2], 16) for fields in sockets if fields[3] == "0A"
        }
        listening = open_ports.issuperset(self._card_ports)
        return listening and Path(f"/proc/{self.process.pid}/root/run/pcscd/pcscd.comm").exists()

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self.namespace.close()


def escape_driver(folder: Path, *, allowed: bool = True) -> tuple[Path, Path]:
    """Return a driver, compiled here, that is vpcd's and takes escape commands if it is `allowed` to; and the file it writes them to."""
    folder.mkdir(parents=True, exist_ok=True)
    driver, said = folder / "libifdescape.so", folder / "escape.log"
    said.touch()
    subprocess.run(
        [
            *(
                require("gcc"),
                "-shared",
                "-fPIC",
                "-O1",
                "-Wall",
                "-Werror",
                "-I/usr/include/PCSC",
                "-I/usr/include",
            ),
            *(f'-DVPCD="{VPCD}"', f'-DLOG="{said}"', f"-DESCAPE={ESCAPE_CODE if allowed else 0}"),
            *("-o", str(driver), str(Path(__file__).with_name("ifd_escape.c")), "-ldl"),
        ],
        check=True,
        timeout=60,
    )
    return driver, said


class VirtualCard:
    """The air above the reader: present a card, take it away, and see what the reader was told to show.

    `shown` are the LED commands received, each with the UID that lay on the reader: the light as the child sees it.
    A card may misbehave: `answer_to_uid` instead of the UID and 9000; `delay_s` before each answer; `silent` never answers
    the UID command; `pulled` is taken away in the middle of it; `mute` does not
    answer to reset (with `escape_driver`).
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.shown: list[tuple[str, bytes]] = []
        self._peer: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self.answer_to_uid: bytes | None = None
        self.delay_s = 0.0
        self.silent = self.pulled = self.mute = False
        self.atr = ATR_CLASSIC_1K
        self.asked_ns: list[int] = []  # when the answers to the UID command left
        self.shown_ns: list[int] = []  # when the LED commands came

    def present(self, uid: bytes) -> None:
        """Lay a card on the reader; pcscd looks for it every 0.4 s."""
        self.take_away()
        peer = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        peer.settimeout(None)
        self._peer = peer
        self._thread = threading.Thread(
            target=self._lie, args=(peer, uid), name="virtual-card", daemon=True
        )
        self._thread.start()

    @property
    def lies(self) -> bool:
        """Return whether the card still answers."""
        return self._thread is not None and self._thread.is_alive()

    def take_away(self) -> None:
        if self._peer is not None:
            with contextlib.suppress(OSError):
                self._peer.shutdown(socket.SHUT_RDWR)
            self._peer.close()
        if self._thread is not None:
            self._thread.join(timeout=5)
        self._peer = self._thread = None

    def tap(self, uid: bytes, *, seconds: float = 10) -> bytes:
        """Present a card, wait for the reader's light, take the card away, and return the command of the light: the last, not *wait*."""
        seen = len(self.shown)

        def lights() -> list[bytes]:
            return [light for _, light in self.shown[seen:] if light != WAIT]

        self.present(uid)
        try:
            wait_for(lights, "a light on the PC/SC reader", seconds)
        finally:
            self.take_away()
        return lights()[0]

    def _lie(self, peer: socket.socket, uid: bytes) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                message = self._receive(peer)
                if len(message) == 1:
                    if message[0] == 4:
                        self._send(peer, b"\0" if self.mute else self.atr)
                    continue
                if message == GET_UID and self.pulled:
                    peer.shutdown(socket.SHUT_RDWR)
                    return
                if message == GET_UID and self.silent:
                    continue
                time.sleep(self.delay_s)
                answer = self._answer(message, uid)
                if message == GET_UID:
                    self.asked_ns.append(time.monotonic_ns())
                self._send(peer, answer)

    def _answer(self, apdu: bytes, uid: bytes) -> bytes:
        if apdu == GET_UID:
            return uid + b"\x90\x00" if self.answer_to_uid is None else self.answer_to_uid
        if apdu.startswith(LED):
            self.shown_ns.append(time.monotonic_ns())
            self.shown.append((uid.hex(), apdu))
            return b"\x90\x02"
        return b"\x6a\x81"

    def _receive(self, peer: socket.socket) -> bytes:
        # vpcd writes length and body apart: without this the second waits 40 ms for an acknowledgement of the first
        head = self._exactly(peer, 2)
        return self._exactly(peer, int.from_bytes(head))

    @staticmethod
    def _exactly(peer: socket.socket, count: int) -> bytes:
        received = b""
        while len(received) < count:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            part = peer.recv(count - len(received))
            if not part:
                raise EOFError
            received += part
        return received

    @staticmethod
    def _send(peer: socket.socket, body: bytes) -> None:
        peer.sendall(len(body).to_bytes(2) + body)
