"""Planted bugs of the books on PostgreSQL; only a run with `--postgres` can find them."""

from tests.simulation.planted_bug import Bug, Change

POSTGRES = "agent/central/books/postgres.py"
POSTGRES_BUGS = (
    Bug(
        "a connection that was cut is not opened again",
        Change(
            POSTGRES,
            "        self.server.close()\n        self.server.connect()\n        with",
            "        with",
        ),
        runs=3,
    ),
    Bug(
        "a transaction whose connection is cut counts as written",
        Change(
            POSTGRES,
            'raise self.fault("not written", error) from error',
            "return",
        ),
        runs=20,
    ),
    Bug(
        "a restored town numbers its new rows from one again",
        Change(
            "agent/central/books/towns.py",
            "    if isinstance(target, TownBooks):\n        _count_on(target)\n",
            "",
        ),
        runs=20,
    ),
)
