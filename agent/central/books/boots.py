"""Boots of terminals: the newest confirmed time of each."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select

from agent.central.books import tables
from agent.central.books.database import Books
from agent.central.books.query import Query, put, value
from agent.domain.clock import Instant, format_instant, parse_instant

_B = tables.boot.c
_FIND = Query(
    select(_B.at, _B.mono_ms).where(_B.terminal == value("terminal"), _B.boot == value("boot"))
)
_KEEP = put(tables.boot)


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
    row = books.first(_FIND, terminal=boot.terminal, boot=boot.boot)
    return BootTime(*row) if row else None


def keep(books: Books, boot: Boot, time: BootTime) -> None:
    """Keep the newest confirmed time of a boot."""
    books.run(_KEEP, terminal=boot.terminal, boot=boot.boot, at=time.at, mono_ms=time.mono_ms)
