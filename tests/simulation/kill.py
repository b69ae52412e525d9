"""Kill a simulated process between two SQL statements or between two effects."""

import sqlite3
from typing import Any


class Killed(BaseException):
    """A power cut. No code under test may catch it and go on."""


class KillSwitch:
    """Kills a process after `left` SQL statements and effects."""

    def __init__(self, left: int) -> None:
        self._left = left

    def count(self) -> None:
        """Count one statement or effect. Raise `Killed` when none is left."""
        if self._left == 0:
            raise Killed
        self._left -= 1


class KillableSql:
    """A connection whose statements count at a kill switch.

    After the kill it still executes statements, so the code that is unwound can roll back.
    """

    def __init__(self, sql: sqlite3.Connection, switch: KillSwitch) -> None:
        self.sql = sql
        self._switch = switch
        self._is_killed = False

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        self._count()
        return self.sql.execute(*arguments)

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        self._count()
        return self.sql.executemany(*arguments)

    def _count(self) -> None:
        if not self._is_killed:
            try:
                self._switch.count()
            except Killed:
                self._is_killed = True
                raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sql, name)
