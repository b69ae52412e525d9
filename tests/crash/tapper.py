"""Append entries without end; print each after its commit: python -m tests.crash.tapper FILE."""

import sys
from datetime import date, timedelta
from pathlib import Path

from agent.store import writes
from agent.store.database import Database
from agent.store.standing import standing
from tests.crash.workload import meal

DAYS_MAX = 100_000
SECONDS = 3_600
CHECKPOINT_EVERY = 12


def main(path: Path) -> None:
    db = Database(path, headroom_bytes=256 * 1024)
    writes.initialise(db, town="borgo", terminal="t-1", epoch="1-0123456789abcdef")
    db.make_headroom()
    for n in range(standing(db).end.seq, DAYS_MAX):  # each meal has its own day
        entry = writes.append(db, meal(n % SECONDS, f"{date(2000, 1, 1) + timedelta(days=n)}"))
        print(entry.seq, entry.hash, flush=True)
        if n % CHECKPOINT_EVERY == 0:
            db.checkpoint()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
