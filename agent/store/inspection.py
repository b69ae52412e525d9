"""Looks for damage in a file that is open, a slice at a time, so that no tap waits for it.

The start reads the whole file (`damage.py`). A terminal then runs for months, and its medium decays
meanwhile. A pass compares every record with its checksum, every entry with its hash, and every
index with its table.
"""

from itertools import pairwise

from agent.domain.clock import Instant
from agent.domain.ledger import Place
from agent.errors import DamagedError, RecordError
from agent.store import writes
from agent.store.database import Database
from agent.store.proof import hash_of
from agent.store.rows import Incident
from agent.store.schema import is_whole

SLICE_ROWS = 500  # some milliseconds on a Pi
# Name -> the condition of its rows, and the columns in which index and table must agree.
_INDEXES = {
    "meal_once": ("meal_number > 0", ("eater", "day", "service", "meal_number", "n")),
    "storno_once": ("reverses IS NOT NULL", ("reverses", "n")),
    "entry_with_cents": ("cents <> 0", ("eater", "n")),
}


class Inspection:
    """A pass over one file; after the last slice it begins again."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._record = ("", "")  # the last one compared
        self._n: int | None = None  # the last entry compared; None: records are compared

    def step(self, at: Instant) -> bool:
        """Compare one slice; return whether that was the last of a pass.

        A damaged index is rebuilt, with an incident. Raise `RecordError` for a damaged record, and
        `DamagedError` for a damaged entry.
        """
        if self._n is None:
            self._compare_records()
            return False
        return self._compare_entries(self._n, at)

    def _compare_records(self) -> None:
        rows = self._db.rows(
            f"SELECT kind, id, {is_whole('record')} FROM record WHERE (kind, id) > (?, ?)"
            f" ORDER BY kind, id LIMIT {SLICE_ROWS}",
            self._record,
        )
        for kind, record_id, is_right in rows:
            if not is_right:
                raise RecordError(kind, record_id, ValueError("its checksum is wrong"))
            self._record = (kind, record_id)
        if len(rows) < SLICE_ROWS:
            self._record, self._n = ("", ""), 0

    def _compare_entries(self, after: int, at: Instant) -> bool:
        rows = self._db.rows(
            f"SELECT n, hash, body FROM entry WHERE n >= ? ORDER BY n LIMIT {SLICE_ROWS}", (after,)
        )
        for (n, digest, _), (next_n, next_digest, body) in pairwise(rows):
            if next_n == n + 1 and hash_of(digest, body) != next_digest:
                seq = Place.of(next_n).seq
                raise DamagedError(f"{self._db.path}: entry {seq} does not match its hash")
        if rows:
            self._compare_indexes(rows[0][0], rows[-1][0], at)
        is_last = len(rows) < SLICE_ROWS
        self._n = None if is_last else rows[-1][0]
        return is_last

    def _compare_indexes(self, first: int, last: int, at: Instant) -> None:
        for name, (condition, columns) in _INDEXES.items():
            same = " AND ".join(f"i.{column} = e.{column}" for column in columns)
            (missing,) = self._db.only_row(
                f"SELECT count(*) FROM entry e NOT INDEXED WHERE e.n BETWEEN ? AND ?"
                f" AND e.{condition} AND NOT EXISTS (SELECT 1 FROM entry i INDEXED BY {name}"
                f" WHERE i.{condition} AND {same})",
                (first, last),
            )
            if missing:
                writes.rebuild_index(
                    self._db,
                    name,
                    Incident(
                        at=at,
                        kind="damaged_index",
                        detail=f"rebuilt: {name}; {missing} rows missed",
                    ),
                )
