"""When a connection is tried again, and with which MQTT version. Pure: time is an argument.

Only a connection that stood for `STOOD_S` ends the back-off: one that comes up and falls at once
is tried as rarely as one that never came up.
"""

from collections.abc import Callable
from typing import NamedTuple

from agent.sync.limits import Limits

BACK_OFF_FIRST_S = 0.5
BACK_OFF_MAX_S = 30.0
STOOD_S = 30.0
VERSION_5_AGAIN_FIRST_S = 600.0
VERSION_5_AGAIN_MAX_S = 86_400.0  # a broker without MQTT 5 is disconnected once a day


class BackOff:
    """The pause before the next connection. `spread` returns a number in [0, 1) for jitter."""

    def __init__(self, spread: Callable[[], float]) -> None:
        self._spread = spread
        self._pause_s = BACK_OFF_FIRST_S

    def pause_s(self, stood_s: float) -> float:
        """Return the pause after a connection that stood so long; 0 for one that never came up."""
        if stood_s >= STOOD_S:
            self._pause_s = BACK_OFF_FIRST_S
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, BACK_OFF_MAX_S)
        return pause_s * (0.5 + 0.5 * self._spread())


class Dialect(NamedTuple):
    """How a connection is opened."""

    is_version_5: bool
    retains_will: bool
    will_qos: int


class Dialects:
    """Which dialect is tried.

    A broker that hangs up on a CONNECT may know only the other version, or refuse a retained last
    will without a word. So the dialects take turns: MQTT 5; 3.1.1; 3.1.1 without a retained will.
    MQTT 5 is tried again after a fallback, at growing intervals.
    """

    def __init__(self) -> None:
        self._turn = 0
        self._retains = True
        self._qos = 1
        self._again_s = VERSION_5_AGAIN_FIRST_S
        self._try_5_at_s: float | None = None  # None: not known to need a fallback

    def present(self, now_s: float) -> Dialect:
        """Return the dialect of the next attempt."""
        if self.is_version_5_due(now_s):
            self._turn, self._try_5_at_s = 0, None
            self._again_s = min(2 * self._again_s, VERSION_5_AGAIN_MAX_S)
        return Dialect(self._turn == 0, self._retains and self._turn != 2, self._qos)

    def is_version_5_due(self, now_s: float) -> bool:
        """Return whether a fallback has lasted long enough to try MQTT 5 again."""
        return self._try_5_at_s is not None and now_s >= self._try_5_at_s

    def no_answer(self) -> None:
        """Note that the broker accepted the connection and did not answer CONNECT."""
        self._turn = (self._turn + 1) % 3

    def came_up(self, now_s: float, limits: Limits) -> None:
        """Note a connection, and what the broker announced."""
        self._retains, self._qos = limits.retains, limits.qos
        if self._turn == 0:
            self._again_s, self._try_5_at_s = VERSION_5_AGAIN_FIRST_S, None
        elif self._try_5_at_s is None:
            self._try_5_at_s = now_s + self._again_s

    def without_retained_will(self) -> None:
        """Note that the broker refuses a retained last will."""
        self._retains = False

    def without_qos_1(self) -> None:
        """Note that the broker refuses a last will with QoS 1."""
        self._qos = 0
