"""Writes a ledger with an outbox that the central has not acknowledged.

python3 -m tests.debian13.outbox /var/lib/canteen-agent/terminal.db 5000
"""

import sys
from pathlib import Path

from agent.domain.clock import ClockTrust
from agent.domain.ledger import Entry, How, Kind
from agent.store import writes
from agent.store.database import Database

CHILDREN = 250


def main(path: Path, entries: int) -> None:
    """Append meals, without a flush for each."""
    db = Database(path)
    db.sql.execute("PRAGMA synchronous = OFF")
    writes.initialise(db, town="borgofiorito", terminal="t-1", epoch="1-00000000000000aa")
    for n in range(entries):
        day = f"2026-{n // CHILDREN // 28 + 1:02d}-{n // CHILDREN % 28 + 1:02d}"
        meal = Entry(
            kind=Kind.MEAL,
            cents=-366,
            at=f"{day}T11:{n // 60 % 60:02d}:{n % 60:02d}.000Z",
            clock=ClockTrust.HELD,
            boot="before",
            mono_ms=n,
            how=How.CARD,
            account=f"a-{n % CHILDREN}",
            service="lunch",
            day=day,
        )
        writes.append(db, meal)
    db.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
