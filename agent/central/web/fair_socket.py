"""A listening socket that keeps room for the next client.

A client that opens many connections and sends a byte now and then would hold every place of a
server. Here it loses its own: when too many are open, the oldest connection of the client that has
the most is shut down. A box needs one, for seconds. TLS need not have begun.
"""

import socket
from collections import Counter
from contextlib import suppress

from agent.central.web.rate import client_of
from agent.errors import CentralError

CONNECTIONS_MAX = 200
"""Boxes that enrol or renew at once are a few. systemd gives a process 1,024 descriptors."""
ACCEPTED_AT_ONCE = 100
"""Connections that the event loop accepts before it closes those that were shut down."""


class FairSocket(socket.socket):
    """A listening socket, to be given to one server. Raise `CentralError` if it cannot listen."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._open: list[tuple[socket.socket, str]] = []
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.family is socket.AF_INET6:
            self.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            self.bind((host, port))
            self.listen(ACCEPTED_AT_ONCE)
        except OSError as error:
            self.close()
            raise CentralError(
                f"{host}, port {port}: cannot listen there: {error.strerror}; look which program"
                " does, or write another --host"
            ) from error

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept a connection, and shut another down if too many are open."""
        connection, address = super().accept()
        self._open = [held for held in self._open if held[0].fileno() >= 0]
        self._open.append((connection, client_of(address[0])))
        if len(self._open) > CONNECTIONS_MAX:
            self._shut_down_one()
        return connection, address

    def _shut_down_one(self) -> None:
        counts = Counter(client for _, client in self._open)
        most = max(counts.values())
        oldest = next(held for held in self._open if counts[held[1]] == most)
        self._open.remove(oldest)
        with suppress(OSError):  # the client was quicker
            oldest[0].shutdown(socket.SHUT_RDWR)
