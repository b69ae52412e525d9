"""All that happens to the central's SQLite file: python -m tests.crash.central FOLDER [PLANTED].

As in workload.py, each transaction puts its state into the file `states`. `fault_of_books` opens a
disk that a cut left.
"""

import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from agent.central.books import file
from agent.central.books.file import FILE_KIND, FileBooks
from agent.central.office.cards import block_card
from agent.central.office.check import check
from agent.central.server import Exchange
from agent.domain.card import card_token, parse_card_id
from agent.errors import AgentError
from agent.sqlite_file import FAULTS
from tests.crash.replay import Image
from tests.crash.workload import States, fingerprint
from tests.parts.foreign_terminal import ForeignTerminal, meal
from tests.parts.wire import KEY, Central, Clock

WORKLOAD = "tests.crash.central"
CARD = "em:0000000001"
ACCOUNTS = 6
DAYS = 4
# Planted faults: name -> the value of `synchronous`; the program's is EXTRA.
PLANTED = {"synchronous = OFF": "OFF", "synchronous = FULL, the folder is not synced": "FULL"}


class WatchedBooks(FileBooks):
    """The books, which put down their state after each transaction."""

    states: States | None = None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        with super().transaction() as sql:
            yield sql
        if self.states is not None:
            self.states.put("transaction", self.sql)


def fault_of_books(
    image: Image, folder: Path, allowed: set[str | None], *, is_migrating: bool
) -> str | None:
    """Open a disk as the central does. Return what is wrong with it, or None."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in image.items():
        if name.startswith("central.db"):
            (folder / name).write_bytes(content)
    try:
        books = FileBooks(folder / "central.db")
    except (AgentError, *FAULTS) as error:
        return f"the file does not open: {str(error).partition(': ')[2]}"
    try:
        if fingerprint(books.sql) not in allowed:
            return "the rows are neither those committed nor those being committed"
        return next(check(books), None)
    except (AgentError, *FAULTS) as error:
        return f"the file cannot be read: {error}"
    finally:
        books.close()


def main(folder: Path, synchronous: str) -> None:
    """Let a terminal, parents and the office do some days' work."""
    if synchronous:
        pragmas = ("journal_mode = DELETE", f"synchronous = {synchronous}")
        file.FILE_KIND = replace(FILE_KIND, pragmas=pragmas)
    clock = Clock()
    central = Central(folder, clock)
    for n in range(ACCOUNTS):
        central.add_account(f"a-{n}", cards=(CARD,) if n == 0 else ())
    central.books.close()
    books = WatchedBooks(central.path)
    central.books, central.exchange = books, Exchange(books, new_generation=lambda: "f" * 32)
    books.states = States(folder)
    books.states.put("begun", books.sql)
    terminal = ForeignTerminal(central)
    for day in range(1, DAYS + 1):
        clock.pass_ms(86_400_000)
        on_day = {"day": f"2026-11-{23 + day}", "at": clock.instant}
        terminal.send(*(meal(account=f"a-{n}", mono_ms=day, **on_day) for n in range(ACCOUNTS)))
        terminal.send(terminal.storno(terminal.seq, account=f"a-{ACCOUNTS - 1}", **on_day))
        central.credit(f"a-{day}", 2_000, f"p-{day}")
    block_card(books, card_token(KEY, parse_card_id(CARD)))
    books.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
