"""Damage a killed terminal's files at random and start again: python -m tests.rot --faults 1000.

Each fault begins from the same files. The ledger is opened by the function with which the agent
opens it, some of them by an agent, and compared with what was promised by a light.
"""

import argparse
import logging
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

from agent.errors import StoreError
from agent.store.recovery import LedgerFile
from agent.terminal.export import write_export
from docs import printed
from tests.crash.__main__ import memory
from tests.rot.agents import open_with_agent
from tests.rot.faults import FAULTS
from tests.rot.victim import Files, Found, Victim, look, make
from tests.store.disk import AT, TERMINAL, TOWN

Opening = Callable[[Files, Path, Victim], Found]
PAGE = printed.ROOT / "docs" / "reference" / "damage.md"
CLASSES = (
    "nothing wrong",
    "noticed, nothing lost",
    "noticed, loss unavoidable",
    "AVOIDABLE",
    "UNNOTICED",
)
HEAD = """# Damaged files

Printed by `make rot`. A process appends 80 entries and is killed. Then its files are damaged
at a random place, {count} times in each way, and the ledger is opened by the agent's function.
A second table is of {agents} in each way that a whole agent opened: it starts, answers, stops.

* *nothing wrong*: every entry is there, and every balance is right.
* *noticed, nothing lost*: an incident names the damage.
  Every entry is in the ledger or in a file for the office.
* *noticed, loss unavoidable*: an incident, and an entry whose bytes or whose neighbour's are gone.
* *AVOIDABLE*: an entry is lost although its bytes and its neighbour's are there. The goal is 0.
* *UNNOTICED*: an entry is lost, or a value is wrong, and nothing tells. The goal is 0.

Not among the faults: a log without its index that ends at the end of a transaction.
An earlier power cut leaves the same bytes, so no reader can tell the two apart.

"""


def main() -> int:
    """Print the table; return 1 if anything was unnoticed or lost without need."""
    parser = argparse.ArgumentParser(prog="python -m tests.rot", description=__doc__)
    parser.add_argument("--faults", type=int, default=1_000, metavar="N", help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    parser.add_argument("--agents", type=int, default=10, metavar="N", help="of each kind")
    given = parser.parse_args()
    tables, bad = "", 0
    with tempfile.TemporaryDirectory(dir=memory()) as text:
        victim = make(Path(text))
        for open_files, count in ((open_with, given.faults), (open_with_agent, given.agents)):
            seeds = range(given.seed, given.seed + count)
            table, worst = _table(partial(try_one, victim, open_files), seeds)
            tables, bad = f"{tables}\n{table}", bad + worst
    if given.write:
        head = HEAD.format(count=f"{given.faults:,}", agents=given.agents)
        PAGE.write_text(head + tables.lstrip(), encoding="utf-8")
    return 1 if bad else 0


def _table(try_fault: Callable[[str, int], str], seeds: Sequence[int]) -> tuple[str, int]:
    """Return the printed table of all faults, and how many were unnoticed or avoidable."""
    lines = ["| fault | " + " | ".join(CLASSES) + " |", "|---|" + "---|" * len(CLASSES)]
    bad = 0
    with ProcessPoolExecutor(2, initializer=_be_quiet) as pool:
        for name in FAULTS:
            counts = Counter(pool.map(partial(try_fault, name), seeds, chunksize=5))
            bad += counts["AVOIDABLE"] + counts["UNNOTICED"]
            lines.append(f"| {name} | " + " | ".join(str(counts[c]) for c in CLASSES) + " |")
            print(lines[-1], flush=True)
    return "\n".join(lines) + "\n", bad


def _be_quiet() -> None:
    """Log nothing, in a worker process."""
    logging.disable(logging.CRITICAL)


def try_one(victim: Victim, open_files: Opening, name: str, seed: int) -> str:
    """Return the class of one fault; print what is worst."""
    files = FAULTS[name](victim, random.Random(f"{name} {seed}"))
    with tempfile.TemporaryDirectory(dir=memory()) as text:
        try:
            found = open_files(files, Path(text), victim)
        except StoreError as error:
            print(f"{name}, seed {seed}: {error}")
            return "UNNOTICED"
    result = class_of(found, files, victim)
    if result in ("AVOIDABLE", "UNNOTICED"):
        seqs = [victim.entries.index(sealed) + 1 for sealed in found.lost]
        print(f"{name}, seed {seed}: {result}, lost {seqs}, wrong {found.wrong[:3]}")
    return result


def open_with(files: Files, folder: Path, victim: Victim) -> Found:
    """Open damaged files as the agent does, and compare."""
    for end, content in files.items():
        (folder / f"t.db{end}").write_bytes(content)
    draw = random.Random(1)
    ledger = LedgerFile(
        path=folder / "t.db",
        town=TOWN,
        terminal=TERMINAL,
        epoch_bits=lambda: f"{draw.getrandbits(64):016x}",
        export=write_export,
    )
    with closing(ledger.open(AT)) as db:
        exported = b"".join(path.read_bytes() for path in folder.glob("*.ledger"))
        return look(db, exported, victim)


def class_of(found: Found, files: Files, victim: Victim) -> str:
    """Return one of `CLASSES`."""
    if found.lost and found.noticed:
        return CLASSES[3] if _is_avoidable(found, files, victim) else CLASSES[2]
    if found.lost or (found.wrong and not found.noticed):
        return CLASSES[4]
    return CLASSES[1] if found.noticed else CLASSES[0]


def _is_avoidable(found: Found, files: Files, victim: Victim) -> bool:
    """Return whether the bytes of a lost entry are there, and those of the entry before it."""
    raw = b"".join(files.values())
    whole = [sealed.hash + sealed.body.encode() in raw for sealed in victim.entries]
    places = [victim.entries.index(sealed) for sealed in found.lost]
    return any(whole[place] and (place == 0 or whole[place - 1]) for place in places)


if __name__ == "__main__":
    sys.exit(main())
