"""sd_notify(3): READY, STATUS, WATCHDOG, STOPPING, and more time for work that goes on.

Does nothing without a socket from systemd.
"""

import os
import socket
import time

WATCHDOG_SHARE = 3
"""Notify three times in systemd's interval: one late turn of the loop must not end the process."""
PROGRESS_S = 120
"""The longest step of reading a damaged file takes 1.4 s here, for 100,000 accounts. A Pi Zero with
a worn SD card may take thirty times as long."""
PROGRESS_EVERY_S = 1


class Notifier:
    """Sends notifications to systemd.

    The watchdog means "can serve a child": only the main loop may notify it.
    """

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        usec = int(os.environ.get("WATCHDOG_USEC", "0") or 0)
        mine = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_every_ms = usec // 1000 // WATCHDOG_SHARE if usec and mine else None
        self._status = ""
        self._progress_s = -float(PROGRESS_EVERY_S)

    def ready(self) -> None:
        self._send("READY=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def watchdog(self) -> None:
        self._send("WATCHDOG=1")

    def progress(self) -> None:
        """Ask for `PROGRESS_S` more, of the time for the start or of the watchdog's.

        Before READY, WATCHDOG=1 would only begin the watchdog: 30 s, instead of 90 s for the start.
        May be called as often as one likes.
        """
        now_s = time.monotonic()
        if now_s - self._progress_s >= PROGRESS_EVERY_S:
            self._progress_s = now_s
            self._send(f"EXTEND_TIMEOUT_USEC={PROGRESS_S * 1_000_000}")

    def status(self, text: str) -> None:
        """Show one line in `systemctl status`. Sends only a changed line."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            try:
                sock.sendto(text.encode(), self._address)
            except OSError:
                pass  # systemd restarts itself: the next notification arrives
