"""sd_notify(3), the part we use: READY, STATUS, WATCHDOG, STOPPING. Silent where systemd gives no socket."""

import os
import socket

WATCHDOG_SHARE = 3  # feed it three times an interval: one late turn of the loop is not death


class Notifier:
    """Speaks to systemd. The watchdog means "can serve a child": only the main loop feeds it."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        usec = int(os.environ.get("WATCHDOG_USEC", "0") or 0)
        mine = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_every_ms = usec // 1000 // WATCHDOG_SHARE if usec and mine else None
        self._status = ""

    def ready(self) -> None:
        self._send("READY=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def watchdog(self) -> None:
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Show one line in `systemctl status`; only a change is sent."""
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
                pass  # systemd restarting: it asks again by its watchdog
