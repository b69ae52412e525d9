"""Brings what can be proved of another file, as of an old SD card, into a terminal's own ledger."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from agent.domain.ledger import ChainEnd
from agent.errors import StoreError
from agent.store import restoring
from agent.store.database import Database
from agent.store.making import LedgerMaker
from agent.store.rows import EpochCopy, EpochSpan, Run
from agent.store.salvage import Damaged, Owner, read_damaged
from agent.store.standing import epochs, find_place, standing

NAMES_MAX = 1_000


class Salvaged(NamedTuple):
    """What was brought into the ledger, and what is in files for the office, in words."""

    taken: list[EpochCopy]
    exported: list[str]


def salvage(
    path: Path,
    database: Path,
    epoch_bits: Callable[[], str],
    export: Callable[[Database, Path], int],
) -> Salvaged:
    """Bring what can be proved of a file into a terminal's own ledger.

    No agent may run. Of an epoch that the ledger has, the missing ends are taken. Runs that do not
    join its chain are written into files for the office, beside the ledger. Raise `StoreError`.
    """
    try:
        is_there = path.exists() or path.with_name(f"{path.name}-wal").exists()
        has_own = database.exists()
    except OSError as error:
        raise StoreError(f"{error.filename}: cannot be read: {error.strerror}") from error
    if not is_there:
        raise StoreError(f"{path}: does not exist")
    if not has_own:
        raise StoreError(f"{database}: does not exist; no terminal has run here yet")
    with closing(Database(database)) as db:
        own = standing(db)
        owner = Owner(own.town, own.terminal)
        damaged = read_damaged(path, owner)
        if not damaged.is_of(owner):
            raise StoreError(
                f"{path}: belongs to {'/'.join(damaged.owner or ())},"
                f" this terminal is {'/'.join(owner)}"
            )
        taken, apart = _divide(db, damaged)
        restoring.take_over(db, taken, epoch_bits())
    maker = LedgerMaker(
        path=database, town=own.town, terminal=own.terminal, epoch_bits=epoch_bits, export=export
    )
    try:
        return Salvaged(taken, maker.export_runs(apart, _free_name(database)) if apart else [])
    except OSError as error:
        raise StoreError(f"{database.parent}: no file for the office made: {error}") from error


def _divide(db: Database, damaged: Damaged) -> tuple[list[EpochCopy], list[Run]]:
    """Return what joins the own chains, and what the ledger lacks and cannot take."""
    known = {span.base.epoch: span for span in epochs(db)}
    taken: list[EpochCopy] = []
    apart: list[Run] = []
    for epoch in damaged.epochs:
        span = known.get(epoch.epoch)
        for copy in (epoch.newest, *epoch.earlier):
            is_newest = copy is epoch.newest
            if not copy.entries:
                continue
            parts = [copy] if span is None and is_newest else _joining(copy, span)
            if parts is None:
                if not _is_kept(db, copy):
                    apart.append(epoch.run(copy))
            else:
                taken += [part for part in parts if part.entries]
    return taken, apart


def _joining(run: EpochCopy, own: EpochSpan | None) -> list[EpochCopy] | None:
    """Return the parts of a run directly before and behind the own entries of its epoch.

    None when it does not join them.
    """
    if own is None:
        return None
    hashes = [run.base.hash, *(sealed.hash.hex() for sealed in run.entries)]
    parts: list[EpochCopy] = []
    joins = False
    for end in (own.base, own.end):
        place = end.seq - run.base.seq
        if 0 <= place < len(hashes) and hashes[place] == end.hash:
            joins = True
            is_before = end is own.base
            parts.append(
                EpochCopy(base=run.base, entries=run.entries[:place])
                if is_before
                else EpochCopy(base=end, entries=run.entries[place:])
            )
    return parts if joins else None


def _is_kept(db: Database, run: EpochCopy) -> bool:
    """Return whether the ledger has the last entry of a run, and so all before it."""
    last = run.entries[-1].hash.hex()
    end = ChainEnd(epoch=run.base.epoch, seq=run.base.seq + len(run.entries), hash=last)
    known = find_place(db, end)
    return known is not None and known.hash == last


def _free_name(database: Path) -> str:
    """Return a name that no file for the office has yet. Raise `OSError`."""
    for number in range(1, NAMES_MAX + 1):
        name = f"{database.name}.salvaged-{number}"
        if not any(database.parent.glob(f"{name}.part-*")):
            return name
    raise OSError(f"{NAMES_MAX} such files exist already; move them to another disk")
