"""How many numbers of notices a client may try. Pure: the time is an argument.

Every look counts, at numbers that exist and at others. In a town with 1,000 open notices one of 10
billion numbers is a notice, so a client that tries 30 a minute meets none in a lifetime.
"""

import ipaddress

WINDOW_MS = 60_000
REQUESTS_MAX = 30
"""Requests of a client in a window: a family with five notices needs ten."""
CLIENTS_MAX = 10_000
"""Clients of one window: beyond, all wait for the next one. Else an attacker's fill the memory."""


class RateLimit:
    """Counts the requests of each client in the present window."""

    def __init__(self) -> None:
        self._window = -1
        self._counts: dict[str, int] = {}

    def allows(self, address: str, now_ms: int) -> bool:
        """Count a request and return whether it may be answered."""
        window = now_ms // WINDOW_MS
        if window != self._window:
            self._window, self._counts = window, {}
        client = client_of(address)
        if client not in self._counts and len(self._counts) >= CLIENTS_MAX:
            return False
        self._counts[client] = self._counts.get(client, 0) + 1
        return self._counts[client] <= REQUESTS_MAX


def client_of(address: str) -> str:
    """Return who an address is: itself, or the network of an IPv6 address, which has one owner."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))
