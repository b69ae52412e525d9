"""Damage a killed terminal's files at random and start again: python -m tests.rot --faults 1000.

Each fault begins from the same files. The ledger is opened by the function with which the agent
opens it, and compared with what was promised by a light.
"""

import argparse
import logging
import random
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path

from agent.errors import StoreError
from agent.store.recovery import LedgerFile
from agent.terminal.export import write_export
from docs import printed
from tests.crash.__main__ import memory
from tests.rot.faults import FAULTS
from tests.rot.victim import Files, Found, Victim, look, make
from tests.store.disk import AT, TERMINAL, TOWN

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
at a random place, {count} times in each way, and the ledger is opened as the agent does it.

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
    given = parser.parse_args()
    lines = ["| fault | " + " | ".join(CLASSES) + " |", "|---|" + "---|" * len(CLASSES)]
    bad = 0
    with tempfile.TemporaryDirectory(dir=memory()) as text:
        victim = make(Path(text))
        with ProcessPoolExecutor(2, initializer=_be_quiet) as pool:
            for name in FAULTS:
                seeds = range(given.seed, given.seed + given.faults)
                work = [(victim, name, seed) for seed in seeds]
                counts = Counter(pool.map(try_one, *zip(*work, strict=True), chunksize=25))
                bad += counts["AVOIDABLE"] + counts["UNNOTICED"]
                lines.append(f"| {name} | " + " | ".join(str(counts[c]) for c in CLASSES) + " |")
                print(lines[-1], flush=True)
    table = "\n".join(lines) + "\n"
    if given.write:
        PAGE.write_text(HEAD.format(count=f"{given.faults:,}") + table, encoding="utf-8")
    print(table)
    return 1 if bad else 0


def _be_quiet() -> None:
    """Log nothing, in a worker process."""
    logging.disable(logging.CRITICAL)


def try_one(victim: Victim, name: str, seed: int) -> str:
    """Return the class of one fault; print what is worst."""
    files = FAULTS[name](victim, random.Random(f"{name} {seed}"))
    with tempfile.TemporaryDirectory(dir=memory()) as text:
        try:
            found = open_with(files, Path(text), victim)
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
