"""Which machines connect as a terminal. Two at a time have one identity: a copied card or file.

A boot id never comes back after another one on one machine. One return may be a message that the
broker delivered late; a second return is another machine that runs.
"""

from dataclasses import dataclass

from agent.sync.messages import Hello

RETURNS_MAX = 2


@dataclass(slots=True)
class _Boots:
    """The newest boot of a terminal, the one before, and how often they took turns."""

    boot: str
    mono_ms: int
    other: str | None = None
    other_ms: int = 0
    returns: int = 0


class Identities:
    """The boots that sent a hello to this process, by terminal."""

    def __init__(self) -> None:
        self._boots: dict[str, _Boots] = {}

    def is_shared(self, terminal: str, hello: Hello) -> bool:
        """Take a hello; return whether two machines say hello under this terminal's identity."""
        if hello.boot is None or hello.mono_ms is None:
            return False
        seen = self._boots.get(terminal)
        if seen is None:
            self._boots[terminal] = _Boots(hello.boot, hello.mono_ms)
            return False
        if hello.boot == seen.boot:
            seen.mono_ms = max(seen.mono_ms, hello.mono_ms)
            return False
        has_run_on = hello.boot == seen.other and hello.mono_ms > seen.other_ms
        returns = seen.returns + 1 if has_run_on else 0
        self._boots[terminal] = _Boots(hello.boot, hello.mono_ms, seen.boot, seen.mono_ms, returns)
        return returns >= RETURNS_MAX
