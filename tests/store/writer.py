"""Another process that has a ledger open, and writes into it."""

import itertools
import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

from agent.store import writes
from agent.store.database import Database
from tests.store.disk import EPOCH, TERMINAL, TOWN, meal

WAIT_S = 30


@contextmanager
def writing(path: Path, meals: int | None = None) -> Iterator[None]:
    """Let another process make a ledger, write meals into it, and keep it open.

    With None, it writes without end, and checkpoints so that its log begins again and again.
    """
    context = multiprocessing.get_context("fork")
    is_ready = context.Event()
    child = context.Process(target=_write, args=(path, meals, is_ready))
    child.start()
    try:
        assert is_ready.wait(WAIT_S)
        yield
    finally:
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()


def _write(path: Path, meals: int | None, is_ready: Event) -> None:
    db = Database(path, headroom_bytes=0)
    writes.initialise(db, town=TOWN, terminal=TERMINAL, epoch=EPOCH)
    for n in itertools.count() if meals is None else range(meals):
        writes.append(db, meal(f"a-{n}"))
        if n == 20:
            is_ready.set()
        if meals is None and n % 50 == 0:
            db.checkpoint()
    is_ready.set()
    signal.pause()
