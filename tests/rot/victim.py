"""A ledger whose process was killed, as bytes, and what must be true of it after each damage."""

import multiprocessing
import os
import signal
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from agent.domain.ledger import Place
from agent.errors import RecordError
from agent.store import reads, writes
from agent.store.database import Database
from agent.store.rows import MealsWanted, NoteRow, SealedBody
from agent.store.standing import standing
from tests.store.disk import DAY, EPOCH, TERMINAL, TOWN, account, changeset, meal

ACCOUNTS = 60
BOOKED = 20  # entries of an earlier day, acknowledged
MEALS = 60  # entries since, each a light
EARLIER = "2026-11-20"
ENDS = ("", "-wal", "-shm")

Files = dict[str, bytes]  # ending of the name -> content


@dataclass(frozen=True, slots=True)
class Victim:
    """The files of a process that was killed behind its last light, and what they promise."""

    files: Files
    whole: bytes  # the file with all of its log in it
    earlier_log: bytes  # the log some lights before
    entries: list[SealedBody]
    balances: dict[str, int]
    notes: list[tuple[object, ...]]
    acked: int


def make(folder: Path) -> Victim:
    """Return a victim made in an empty folder, by a process that is killed."""
    context = multiprocessing.get_context("fork")
    child = context.Process(target=_live_and_die, args=(folder,))
    child.start()
    child.join()
    files = {end: (folder / f"t.db{end}").read_bytes() for end in ENDS}
    with closing(Database(folder / "t.db")) as db:
        rows = db.rows("SELECT hash, body FROM entry ORDER BY n")
        db.empty_log()
        return Victim(
            files=files,
            whole=(folder / "t.db").read_bytes(),
            earlier_log=(folder / "earlier").read_bytes(),
            entries=[SealedBody(*row) for row in rows],
            balances=dict(reads.balances(db)),
            notes=db.rows("SELECT n, status, reason FROM note"),
            acked=standing(db).mark.n,
        )


def _live_and_die(folder: Path) -> None:
    db = Database(folder / "t.db", headroom_bytes=0)
    writes.initialise(db, town=TOWN, terminal=TERMINAL, epoch=EPOCH)
    records = [account(f"a-{n}", 2_000, n) for n in range(1, ACCOUNTS + 1)]
    writes.apply_changes(db, changeset(records, to=ACCOUNTS, acked=Place(1, 0), reset=True))
    for n in range(BOOKED):
        writes.append(db, meal(f"a-{n + 1}", day=EARLIER))
    records = [account(f"a-{n}", 2_000 - 366, ACCOUNTS + n) for n in range(1, BOOKED + 1)]
    note = NoteRow(seq=3, status="flagged", reason="stale")
    booked = changeset(records, to=ACCOUNTS + BOOKED, acked=Place(1, BOOKED), notes=[note])
    writes.apply_changes(db, booked)
    db.empty_log()
    for n in range(MEALS):
        writes.append(db, meal(f"a-{n + 1}"))
        if n == MEALS // 2:
            (folder / "earlier").write_bytes((folder / "t.db-wal").read_bytes())
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Found:
    """What the next start made of the files.

    `noticed` names incidents and refused reads. `lost` are entries that are neither in the ledger
    nor in a file for the office. `wrong` are values that differ and that nothing reported.
    """

    noticed: list[str]
    lost: list[SealedBody]
    wrong: list[str]


def look(db: Database, exported: bytes, victim: Victim) -> Found:
    """Compare an opened ledger with what was promised."""
    kept = {SealedBody(*row) for row in db.rows("SELECT hash, body FROM entry")}
    lost = [
        sealed
        for sealed in victim.entries
        if sealed not in kept and sealed.hash.hex().encode() not in exported
    ]
    noticed = [kind for (kind,) in db.rows("SELECT kind FROM incident")]
    is_new = "damaged_file" in noticed  # all records are requested again
    wrong = []
    for name, cents in victim.balances.items():
        try:
            shown = reads.balance_cents(db, name)
        except RecordError:
            noticed.append("record")
            continue
        if shown != cents and not (is_new and shown is None):
            wrong.append(f"balance of {name}")
        ate = reads.own_meals(db, (name, None), MealsWanted("lunch", DAY, 2**62))
        has_eaten = any(f'"account":"{name}"' in one.body and DAY in one.body for one in kept)
        if bool(ate) != has_eaten:
            wrong.append(f"today's meal of {name}")
    if not is_new and db.rows("SELECT n, status, reason FROM note") != victim.notes:
        wrong.append("notes")
    if not is_new and standing(db).mark.n != victim.acked:
        wrong.append("acked")
    return Found(noticed, lost, wrong)
