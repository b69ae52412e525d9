"""The command `canteen-central watch-folder`: files of payments are taken in as they come."""

import signal
import threading
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from agent.central.books import town
from agent.central.books.address import Database
from agent.central.books.database import Books
from agent.central.command import now, open_books
from agent.central.payments.folder import (
    SETTLED_S,
    Taken,
    complete_files,
    left_files,
    sole_watcher,
    take,
)
from agent.central.payments.receipt import Whose
from agent.central.payments.settings import load_settings
from agent.errors import CentralError

LOOK_S = 2
"""Seconds between two looks into the folder."""


@click.command("watch-folder")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--once", is_flag=True, help="Look once and end, with 1 if a file was refused.")
@click.option(
    "--settled-s",
    default=SETTLED_S,
    show_default=True,
    type=click.IntRange(0),
    help="Take a file that nothing has changed for so many seconds.",
)
@click.pass_obj
def watch_folder(database: Database, folder: Path, once: bool, settled_s: int) -> int:
    """Take in receipts, settlement flows and the treasury's sums from the files in FOLDER.

    A file moves to FOLDER/done, or to FOLDER/refused with the reason beside it.
    """
    creditor = load_settings(database.files).creditor
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    refused, shown = 0, set[str]()
    with open_books(database) as books, sole_watcher(folder):
        whose = Whose(creditor, ZoneInfo(town.find(books).zone))
        while not stopped.is_set():
            for path in complete_files(folder, int(time.time()), settled_s):
                refused += _take(books, path, whose, shown)
                if stopped.is_set():
                    break
            if once:
                _show_left(folder, settled_s)
            if once or stopped.wait(LOOK_S):
                break
    return 1 if once and refused else 0


def _take(books: Books, path: Path, whose: Whose, shown: set[str]) -> bool:
    """Take a file, and return whether it was refused or stays. It stops no file after it.

    `shown` has the errors of earlier looks: each is shown once.
    """
    try:
        taken = take(books, path, whose, now())
    except CentralError as error:
        if str(error) not in shown:
            shown.add(str(error))
            click.echo(f"{path.name}: stays: {error}", err=True)
        return True
    return taken is not None and _show(taken)


def _show_left(folder: Path, settled_s: int) -> None:
    if left := left_files(folder):
        click.echo(
            f"{len(left)} files stay: they changed in the last {settled_s} s,"
            " or have the name of an unfinished file"
        )


def _show(taken: Taken) -> bool:
    """Print what became of a file, and return whether it was refused."""
    for line in taken.lines:
        click.echo(line)
    click.echo(f"{taken.name}: moved to {'refused' if taken.is_refused else 'done'}")
    return taken.is_refused
