"""A private pcscd with vpcd's virtual reader, and the virtual card that is laid on it.

pcscd runs in a mount namespace of its own with an empty /run/pcscd. So tests start and stop it
without touching the machine's pcscd. A process that uses it enters the namespace.
vpcd listens on a TCP port, and the virtual card connects to it. vpcd cannot be bound to loopback.
(vpcd can also connect to the card, but then it aborts pcscd when there is no card.)
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
# The ACR122U profile's light for "wait".
WAIT = bytes.fromhex("FF00400C0400000000")
# No real driver uses this code, so a client can know it only from the driver's answer.
ESCAPE_CODE = 0x42000ABC
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
    """A mount namespace with its own /run/pcscd, held open by a sleeping process.

    Needs root, or a kernel that lets ordinary users make user namespaces.
    """

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
                reason = self._holder.output().strip()
                raise RuntimeError(
                    f"no mount namespace; run as root, or allow user namespaces: {reason}"
                )
            return ready.exists()

        wait_for(is_ready, "the mount namespace")

    def command(self, *words: str | Path) -> list[str]:
        """Return a command that runs inside."""
        return [*self._enter, *map(str, words)]

    def close(self) -> None:
        self._holder.kill()


class Pcscd:
    """A private pcscd with one virtual reader per port in `card_ports`; vpcd listens on that port.

    `driver` replaces vpcd's own driver. Several readers are called `name` A, B, and so on.
    Each has its own copy of the driver: two readers of one vpcd library cannot work at once, but
    two readers of a CCID driver can.
    """

    def __init__(
        self, folder: Path, *card_ports: int, driver: Path = VPCD, name: str = READER_NAME
    ) -> None:
        self._folder = folder
        self._card_ports = card_ports
        self.namespace = Namespace(folder)
        drivers = folder / "reader.conf.d"
        drivers.mkdir(exist_ok=True)
        names = [f"{name} {letter}" for letter in "ABCDEFGH"] if len(card_ports) > 1 else [name]
        for name, port in zip(names, card_ports, strict=False):
            library = driver
            if len(card_ports) > 1:
                library = folder / f"driver-{port}.so"
                shutil.copyfile(driver, library)
            (drivers / f"vpcd-{port}").write_text(
                f'FRIENDLYNAME "{name}"\nDEVICENAME /dev/null:{port:#x}\n'
                f"LIBPATH {library}\nCHANNELID {port:#x}\n",
                encoding="ascii",
            )
        self._drivers = drivers
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        assert self._process is not None
        return self._process

    def start(self) -> Self:
        pcscd = require("pcscd")
        command = self.namespace.command(
            pcscd, "--foreground", *_without_polkit(pcscd), "--config", self._drivers
        )
        self._process = Process(command, self._folder / "pcscd.log")
        wait_for(self._is_ready, "pcscd listening for clients and cards")
        return self

    def _is_ready(self) -> bool:
        """Return whether pcscd listens. Does not connect: to vpcd, a connection is a card."""
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


def _without_polkit(pcscd: str) -> list[str]:
    """Return the option that makes pcscd serve every caller without asking polkit.

    pcscd 2 (Debian 13) asks polkit. polkit refuses callers from a user namespace. Without a system
    bus pcscd refuses every caller, root too. pcscd 1.9 (Debian 12) does not have this option.
    """
    options = subprocess.run([pcscd, "--help"], capture_output=True, text=True, timeout=10).stdout
    return ["--disable-polkit"] if "--disable-polkit" in options else []


def escape_driver(folder: Path, *, allowed: bool = True) -> tuple[Path, Path]:
    """Compile a driver around vpcd's; return its path and the path of its log of escape commands.

    The driver accepts escape commands only if they are `allowed`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    driver, log = folder / "libifdescape.so", folder / "escape.log"
    log.touch()
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
            *(f'-DVPCD="{VPCD}"', f'-DLOG="{log}"', f"-DESCAPE={ESCAPE_CODE if allowed else 0}"),
            *("-o", str(driver), str(Path(__file__).with_name("ifd_escape.c")), "-ldl"),
        ],
        check=True,
        timeout=60,
    )
    return driver, log


class VirtualCard:
    """A card that a test lays on the virtual reader; it records the lights of the reader.

    `shown` holds the LED commands received, each with the UID of the card on the reader.
    These attributes make the card misbehave:
    `answer_to_uid` is sent instead of the UID and 9000, `answer_to_light` to a light;
    `delay_s` passes before each answer;
    a `silent` card never answers the UID command; a `pulled` card is taken away during it;
    a `mute` card does not answer a reset (this needs `escape_driver`);
    the card with the UID `next_uid` takes its place during the light's command.
    `answered_ns` and `shown_ns` are monotonic times: UID command answered, LED command received.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.shown: list[tuple[str, bytes]] = []
        self._peer: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self.answer_to_uid: bytes | None = None
        self.delay_s = 0.0
        self.silent = self.pulled = self.mute = False
        self.answer_to_light = b"\x90\x02"
        self.next_uid: bytes | None = None
        self.atr = ATR_CLASSIC_1K
        self.answered_ns: list[int] = []
        self.shown_ns: list[int] = []

    def present(self, uid: bytes) -> None:
        """Lay a card on the reader. pcscd polls for a card every 0.4 s."""
        self.take_away()
        self._lay(uid)

    def _lay(self, uid: bytes) -> None:
        peer = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        peer.settimeout(None)
        self._peer = peer
        self._thread = threading.Thread(
            target=self._answer_reader, args=(peer, uid), name="virtual-card", daemon=True
        )
        self._thread.start()

    @property
    def is_present(self) -> bool:
        """Return whether the card is on the reader and still answers."""
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
        """Present a card until the reader shows a light, and return that light's command.

        The light for "wait" does not count.
        """
        before = len(self.shown)

        def lights() -> list[bytes]:
            return [light for _, light in self.shown[before:] if light != WAIT]

        self.present(uid)
        try:
            wait_for(lights, "a light on the PC/SC reader", seconds)
        finally:
            self.take_away()
        return lights()[0]

    def _answer_reader(self, peer: socket.socket, uid: bytes) -> None:
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
                if message.startswith(LED) and self.next_uid is not None:
                    next_uid, self.next_uid = self.next_uid, None
                    self._lay(next_uid)
                    peer.shutdown(socket.SHUT_RDWR)
                    peer.close()
                    return
                if message == GET_UID:
                    self.answered_ns.append(time.monotonic_ns())
                self._send(peer, answer)

    def _answer(self, apdu: bytes, uid: bytes) -> bytes:
        if apdu == GET_UID:
            return uid + b"\x90\x00" if self.answer_to_uid is None else self.answer_to_uid
        if apdu.startswith(LED):
            self.shown_ns.append(time.monotonic_ns())
            self.shown.append((uid.hex(), apdu))
            return self.answer_to_light
        return b"\x6a\x81"

    def _receive(self, peer: socket.socket) -> bytes:
        head = self._exactly(peer, 2)
        return self._exactly(peer, int.from_bytes(head))

    @staticmethod
    def _exactly(peer: socket.socket, count: int) -> bytes:
        received = b""
        while len(received) < count:
            # vpcd writes length and body separately. Without this the body waits 40 ms until the
            # kernel acknowledges the length.
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            part = peer.recv(count - len(received))
            if not part:
                raise EOFError
            received += part
        return received

    @staticmethod
    def _send(peer: socket.socket, body: bytes) -> None:
        peer.sendall(len(body).to_bytes(2) + body)
