"""Boots of terminals: the newest confirmed time of each."""

from datetime import datetime, timedelta
from typing import NamedTuple

from agent.central.books.file import Books
from agent.domain.clock import Instant, format_instant, parse_instant


class Boot(NamedTuple):
    """A boot of a terminal."""

    terminal: str
    boot: str


class BootTime(NamedTuple):
    """A confirmed time of a boot: what it was at so many milliseconds since the boot."""

    at: Instant
    mono_ms: int

    @property
    def zero(self) -> datetime:
        """Return the time at the beginning of the boot."""
        return parse_instant(self.at) - timedelta(milliseconds=self.mono_ms)

    def at_ms(self, mono_ms: int) -> Instant:
        """Return the time at another moment of the boot."""
        return format_instant(self.zero + timedelta(milliseconds=mono_ms))


def find(books: Books, boot: Boot) -> BootTime | None:
    """Return the newest confirmed time of a boot, None if there is none."""
    row = books.row("SELECT at, mono_ms FROM boot WHERE terminal = ? AND boot = ?", boot)
    return BootTime(*row) if row else None


def keep(books: Books, boot: Boot, time: BootTime) -> None:
    """Keep the newest confirmed time of a boot."""
    books.sql.execute("INSERT OR REPLACE INTO boot VALUES (?, ?, ?, ?)", (*boot, *time))
