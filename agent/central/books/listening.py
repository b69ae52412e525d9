"""What other processes commit: a thread that waits for PostgreSQL's NOTIFY."""

import logging
import threading
from collections import Counter
from collections.abc import Callable

from psycopg import Error

from agent.central.books.postgres import CHANNEL, Server
from agent.errors import CentralError

AGAIN_S = 1
"""The pause before another attempt, while the server is away."""
PATIENCE_S = 5
"""How long one wait takes at most: so soon a stop is noticed."""

log = logging.getLogger("agent.central")


class Listener:
    """Counts the commits of others by town, and calls `wake` with the town, in its own thread.

    While it is not connected a commit may go unnoticed: once it is again, `wake` is called with
    None, and every town's number has changed.
    """

    def __init__(
        self, url: str, versions: Counter[str], wake: Callable[[str | None], object]
    ) -> None:
        self._url, self._versions, self._wake = url, versions, wake
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; takes at most `PATIENCE_S`."""
        self._stopping.set()
        self._thread.join(timeout=PATIENCE_S + AGAIN_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen(Server(self._url))
            except (CentralError, Error):  # the lease is lost then, too, and reports it
                self._stopping.wait(AGAIN_S)

    def _listen(self, server: Server) -> None:
        try:
            server.sql.execute(f"LISTEN {CHANNEL}")
            for town in list(self._versions):
                self._versions[town] += 1
            self._wake(None)
            while not self._stopping.is_set():
                server.sql.execute("SELECT 1")  # of a server whose machine is gone nothing comes
                for notice in server.sql.notifies(timeout=PATIENCE_S):
                    self._versions[notice.payload] += 1
                    self._wake(notice.payload)
                    if self._stopping.is_set():
                        return
        finally:
            server.close()
