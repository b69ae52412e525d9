"""Makes ledgers beside a terminal's own: the one that replaces it, and files for the office.

A ledger is one chain. A run of entries that does not join it reaches the central as an export.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.store import restoring, writes
from agent.store.database import ACKED_PART, PART, Database
from agent.store.rows import Run

ENDS = ("", "-wal", "-shm", "-journal")
BEING_MADE = ".made"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerMaker:
    """A terminal, and where its ledger is.

    `epoch_bits` returns 16 hex digits of randomness. `export` writes a ledger into a file for the
    office and returns the number of entries. `on_progress` is called at least once in some seconds,
    since work on a whole file may take longer than systemd waits.
    """

    path: Path
    town: str
    terminal: str
    epoch_bits: Callable[[], str]
    export: Callable[[Database, Path], int]
    on_progress: Callable[[], None] = lambda: None

    def export_runs(self, runs: Iterable[Run], name: str) -> list[str]:
        """Write each run into a file for the office; return how many entries are where.

        The file's name tells whether a wipe may delete it.
        """
        exported = []
        for number, run in enumerate(runs, start=1):
            end = ACKED_PART if run.is_acked else PART
            file = self.path.with_name(f"{name}.part-{number}{end}")
            with self.made() as db:
                restoring.take_over(db, [run.copy], self.epoch_bits())
                exported.append(f"{self.export(db, file)} in {file.name}")
        return exported

    @contextmanager
    def made(self) -> Iterator[Database]:
        """Make an empty ledger of this terminal under another name, for the block."""
        made = self.path.with_name(self.path.name + BEING_MADE)
        for end in ENDS:
            made.with_name(made.name + end).unlink(missing_ok=True)
        with closing(Database(made)) as db, db.reporting(self.on_progress):
            self.initialise(db)
            yield db

    def initialise(self, db: Database) -> None:
        """Make a blank database this terminal's. No effect on any other."""
        epoch = f"1-{self.epoch_bits()}"
        writes.initialise(db, town=self.town, terminal=self.terminal, epoch=epoch)
