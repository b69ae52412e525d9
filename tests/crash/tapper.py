"""Records entries without end and says each one after its commit: python -m tests.crash.tapper FILE."""

import sys
from datetime import date, timedelta
from pathlib import Path

from agent.store import reads, writes
from agent.store.database import Database
from tests.crash.workload import ACCOUNTS, meal

DAYS_MAX = 20_000


def main(path: Path) -> None:
    db = Database(path, headroom_bytes=256 * 1024)
    writes.found(db, town="borgo", terminal="t-1", epoch="1-0123456789abcdef")
    db.reserve()
    begun = reads.standing(db).last // ACCOUNTS + 1
    for day in range(begun, DAYS_MAX):
        for n in range(ACCOUNTS):
            entry = writes.record(db, meal(n, f"{date(2000, 1, 1) + timedelta(days=day)}"))
            print(entry.seq, entry.hash, flush=True)
        db.checkpoint()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
