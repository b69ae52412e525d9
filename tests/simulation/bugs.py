"""Bugs planted on purpose: `python -m tests.simulation.bugs` (`make sim-bite`) shows how soon the simulator finds each.

A bug is a change of the program's text in a copy of it. A text that is not there any more is an error: the list is kept up with
the program. `runs` is how many seeds may pass before it is found; the table is printed, never typed.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
STEPS = 600
FIRST_SEED = 1
TIMEOUT_S = 1200


@dataclass(frozen=True, slots=True)
class Bug:
    """`was` is replaced by `becomes` in `file`, once; `also` are further (file, was, becomes)."""

    name: str
    file: str
    was: str
    becomes: str
    runs: int = 300
    also: tuple[tuple[str, str, str], ...] = ()

    def texts(self) -> dict[str, str]:
        """Return the files as they are with the bug. Raise `RuntimeError` when the program has changed under it."""
        texts: dict[str, str] = {}
        for place, was, becomes in ((self.file, self.was, self.becomes), *self.also):
            text = texts.get(place) or (ROOT / place).read_text(encoding="utf-8")
            if text.count(was) != 1:
                raise RuntimeError(
                    f"{self.name}: {place} has its text {text.count(was)} times; bring tests/simulation/bugs.py up to date"
                )
            texts[place] = text.replace(was, becomes)
        return texts


BUGS = (
    Bug(
        "a green light before the commit",
        "agent/terminal.py",
        "            if event is not None:\n                yield from self._with",
        "            if isinstance(event, CardPresented):\n"
        "                yield Show(reader=event.reader, tap=event.tap, signal=Signal.SERVED)\n"
        "            if event is not None:\n                yield from self._with",
        also=(
            (
                "agent/terminal.py",
                "ReaderUp, Show, SignalFailed\n",
                "ReaderUp, Show, Signal, SignalFailed\n",
            ),
        ),
    ),
    Bug(
        "the terminal acknowledges a message before its commit",
        "agent/terminal.py",
        "            if event is not None:\n                yield from self._with",
        "            if isinstance(event, Arrived):\n"
        "                yield Acknowledge(event.receipt)\n"
        "            if event is not None:\n                yield from self._with",
    ),
    Bug(
        "the central acknowledges a message before its commit",
        "agent/central/link.py",
        "                try:\n                    answers = self.receive",
        "                yield Acknowledge(receipt)\n                try:\n                    answers = self.receive",
    ),
    Bug(
        "what was published counts as booked",
        "agent/correspondence.py",
        "                    effects.append(self._publish(Leaf.ENTRIES, self._entries(here.epoch, first, count)))",
        "                    effects.append(self._publish(Leaf.ENTRIES, self._entries(here.epoch, first, count)))\n"
        "                    writes.acknowledge(self._db, (here.epoch_number, first + count - 1), [], here.last_contact_at or '')",
    ),
    Bug(
        "a record's h is forgotten when it comes anew",
        "agent/store/writes.py",
        '" h = excluded.h, named = excluded.named,',
        '" named = excluded.named,',
    ),
    Bug(
        "a gap in the positions is not seen",
        "agent/sync/session.py",
        "    if from_position > own_position:\n        return Verdict.GAP\n",
        "",
    ),
    Bug(
        "records and position in two transactions",
        "agent/store/writes.py",
        "        # a new life of the central: what it lost is sent again\n",
        '        sql.execute("COMMIT")\n        sql.execute("BEGIN IMMEDIATE")\n',
    ),
    Bug(
        "the prefix mark outside the booking's transaction",
        "agent/central/booking.py",
        '    sql.execute(\n        "UPDATE chain SET seq = ?1',
        '    sql.execute("COMMIT")\n    sql.execute("BEGIN IMMEDIATE")\n    sql.execute(\n        "UPDATE chain SET seq = ?1',
    ),
    Bug(
        "an entry's key without its epoch",
        "agent/central/booking.py",
        '"SELECT seq, hash FROM entry WHERE terminal = ? AND epoch = ? AND seq BETWEEN ? AND ?", (terminal, epoch, *span)',
        '"SELECT seq, hash FROM entry WHERE terminal = ? AND seq BETWEEN ? AND ?", (terminal, *span)',
        also=(
            (
                "agent/central/booking.py",
                "        if place.hash not in known:",
                "        if not known:",
            ),
        ),
    ),
    Bug(
        "another entry under a known number is dropped",
        "agent/central/booking.py",
        "        if place.hash not in known:",
        "        if not known:",
    ),
    Bug(
        "an acknowledgement of another disk's entry is believed",
        "agent/correspondence.py",
        '        if own is None or (acked.hash is not None and own[2] not in ("", acked.hash)):',
        "        if own is None:",
        runs=300,
    ),
    Bug(
        "balances with more entries than `acked` names",
        "agent/central/feed.py",
        "    if cut or _booked_beyond(sql, terminal, told.epoch, chain):",
        "    if cut:",
    ),
    Bug(
        "the meal of a storno is looked up by number alone",
        "agent/central/verdict.py",
        "    return next(iter(agreeing or rows), None)",
        "    return next(iter(rows), None)",
        runs=1000,
        also=(
            ("agent/central/verdict.py", "AND hash = coalesce(?4, hash)", "AND (?4 IS NULL OR 1)"),
        ),
    ),
    Bug(
        "a meal is undone twice",
        "agent/store/reads.py",
        '"SELECT e.body, e.hash, s.n IS NOT NULL FROM entry e LEFT',
        '"SELECT e.body, e.hash, 0 FROM entry e LEFT',
        also=(
            (
                "agent/store/schema.py",
                "CREATE UNIQUE INDEX storno_once",
                "CREATE INDEX storno_once",
            ),
        ),
    ),
    Bug(
        "own entries after h are left out of the balance",
        "agent/store/reads.py",
        "n > h AND",
        "n > h + 1 AND",
    ),
    Bug(
        "a payment heard of twice is booked twice",
        "agent/central/office.py",
        "        if known is None:\n            kind",
        "        external = None\n        if True:\n            kind",
    ),
    Bug(
        "a booking gives its account no new position",
        "agent/central/ledger.py",
        '    sql.execute("UPDATE account SET balance = balance + ?, p = ? WHERE id = ?", (cents, next_position(sql), account))',
        '    sql.execute("UPDATE account SET balance = balance + ? WHERE id = ?", (cents, account))',
    ),
    Bug(
        "the digest is not compared",
        "agent/correspondence.py",
        "        if own == (expected.accounts, expected.cards, expected.cents, expected.sum):\n            return",
        "        if own is not None:\n            return",
    ),
    Bug(
        "the digest leaves balances out",
        "agent/domain/digest.py",
        "        total += int.from_bytes(hashlib.sha256(body).digest()[:8])",
        "        total += int.from_bytes(hashlib.sha256(body[-20:]).digest()[:8]); cents = 0",
    ),
    Bug(
        "a resynchronisation leaves what it did not name",
        "agent/store/writes.py",
        '            sql.execute("DELETE FROM record WHERE named < ?", (resync,))\n',
        "",
        runs=100,
    ),
    Bug(
        "an account that moves away leaves no tombstone",
        "agent/central/office.py",
        "        add_tombstone(sql, old_site, kind, record_id)\n",
        "        pass\n",
        runs=100,
    ),
    Bug(
        "entries are forgotten before they are booked",
        "agent/store/writes.py",
        '" WHERE e.n < (SELECT max(n) FROM entry WHERE n <= (SELECT acked FROM terminal)) ORDER BY e.n LIMIT ?"',
        '" ORDER BY e.n LIMIT ?"',
        runs=100,
    ),
    Bug(
        "a late meal is of today",
        "agent/counter.py",
        "        return ServiceNow(service=service_id or ids[0], day=day, outside_hours=False)",
        "        return ServiceNow(service=service_id or ids[0], day=day_of(moment.at, self.zone), outside_hours=False)",
    ),
    Bug(
        "silence is not noticed",
        "agent/sync/session.py",
        "        return any(deadline is not None and now_ms >= deadline for deadline in deadlines)",
        "        return False and any(deadlines)",
        runs=100,
    ),
    Bug(
        "a late message of a generation that is over is taken",
        "agent/sync/session.py",
        " and replaces == own_generation else",
        " else",
    ),
    Bug(
        "records are taken that were made while earlier epochs were being booked",
        "agent/correspondence.py",
        "        if acked[0] != here.epoch_number or message.notes_after > here.acked:",
        "        if message.notes_after > here.acked:",
        runs=1000,
        also=(
            (
                "agent/correspondence.py",
                "        return earlier is not None and message.before != Acked(",
                "        return False and earlier != Acked(",
            ),
        ),
    ),
    Bug(
        "a note that was lost is not missed",
        "agent/correspondence.py",
        "        if acked[0] != here.epoch_number or message.notes_after > here.acked:",
        "        if acked[0] != here.epoch_number:",
        runs=1000,
    ),
    Bug(
        "the central forgets that it was restored",
        "agent/central/feed.py",
        '    mint_generation(sql, new_generation(), at=at, reason=f"restored from a backup: {proof}")',
        '    add_incident(sql, at=at, terminal=terminal, kind="new_generation", detail=proof)',
        runs=300,
    ),
    Bug(
        "a meal eaten twice is paid twice",
        "agent/central/booking.py",
        '        wanted = -row["cents"] if is_second and give_back else 0',
        "        wanted = 0",
    ),
    Bug(
        "the second meal stays given back when the first is undone",
        "agent/central/verdict.py",
        '    if meal["true_day"] is not None:\n'
        '        batch.meals.add((meal["account"], meal["service"], meal["true_day"]))\n    return None',
        "    return None",
        runs=100,
    ),
    Bug(
        "a meal eaten with an unknown card is forgotten when its account is known",
        "agent/store/reads.py",
        "m.eater IN (?, ?) AND m.day",
        "m.eater = coalesce(?, ?) AND m.day",
        runs=300,
    ),
    Bug(
        "every meal is free",
        "agent/domain/tap.py",
        "    price_cents = price_on(account.prices, service.service, service.day) or 0",
        "    price_cents = 0",
    ),
    Bug(
        "a blocked card is served",
        "agent/domain/tap.py",
        "    if by_card and facts.card is not None and facts.card.status is not CardStatus.ACTIVE:",
        "    if False:",
    ),
    Bug(
        "an older message ends a resynchronisation",
        "agent/store/writes.py",
        "        if resyncing and (to >= resync_to if resync_to is not None else not more):",
        "        if resyncing and not more:",
    ),
    Bug(
        "entries are forgotten before they are in their account's balance",
        "agent/store/writes.py",
        "            if at >= before or not inside:",
        "            if at >= before:",
        runs=300,
    ),
    Bug(
        "taps that were told out of order are forgotten",
        "agent/terminal.py",
        "            self._counter.unanswered(told)\n",
        "",
    ),
    Bug(
        "a write is done twice",
        "agent/counter.py",
        "        entry = writes.append(self.db, outcome.entry)\n        _log_tap",
        "        entry = writes.append(self.db, outcome.entry)\n"
        "        if entry.kind == 'refusal':\n            entry = writes.append(self.db, outcome.entry)\n        _log_tap",
    ),
    Bug(
        "time steps below what was recorded",
        "agent/domain/clock.py",
        "        base = max(base, lowest)\n",
        "",
    ),
    Bug(
        "a wrong clock behind one that was set right is not corrected",
        "agent/central/booking.py",
        "        batch.corrected_boots.discard(entry.boot)\n",
        "        pass\n",
        runs=1000,
    ),
    Bug(
        "a clock that is set right does not correct what came before",
        "agent/central/booking.py",
        "        _correct_times(sql, batch, entry)\n",
        "",
        runs=300,
    ),
    Bug(
        "a message that cannot be used is kept nowhere",
        "agent/correspondence.py",
        "            writes.set_aside(self._db, topic=topic, payload=payload, reason=str(error), at=moment.at)\n",
        "",
    ),
    Bug(
        "an order is heard only from a message with a later time",
        "agent/correspondence.py",
        "        if message.order is not None:\n",
        "        if message.order is not None and (here.last_contact_at is None or message.at >= here.last_contact_at):\n",
        runs=3000,
    ),
    Bug(
        "what was heard is a floor under a clock that a time server keeps",
        "agent/domain/timekeeper.py",
        "            self._contacts, self._central = [], None\n",
        "            pass\n",
    ),
    Bug(
        "an order under a number that was done is not given anew",
        "agent/central/feed.py",
        "            renumber_orders(sql, terminal)\n",
        "            pass\n",
        runs=3000,
    ),
    Bug(
        "what happened and its incident in two transactions",
        "agent/correspondence.py",
        "            incident=incident,\n        )\n",
        "            incident=None,\n        )\n        if incident is not None:\n            writes.add_incident(self._db, incident)\n",
        runs=2000,
    ),
)


@dataclass(frozen=True, slots=True)
class Bite:
    """`seeds` that passed before one failed; None when none did."""

    bug: Bug
    seeds: int | None
    sentence: str
    seconds: float


@contextmanager
def planted(bug: Bug) -> Iterator[Path]:
    """Plant a bug in a copy of the program; yield the folder from which `python -m tests.simulation` runs with it."""
    with tempfile.TemporaryDirectory(prefix="canteen-bug-") as name:
        folder = Path(name)
        shutil.copytree(
            ROOT / "agent", folder / "agent", ignore=shutil.ignore_patterns("__pycache__")
        )
        (folder / "tests").symlink_to(ROOT / "tests")
        for place, text in bug.texts().items():
            (folder / place).write_text(text, encoding="utf-8")
        yield folder


def simulate(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the simulator on the program in a folder."""
    command = [sys.executable, "-m", "tests.simulation", *words]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


def bite(bug: Bug) -> Bite:
    """Run the simulator on a planted bug until it fails or its runs are over."""
    begun = time.monotonic()
    with planted(bug) as folder:
        done = simulate(
            folder,
            "--first",
            str(FIRST_SEED),
            "--seeds",
            str(bug.runs),
            "--steps",
            str(STEPS),
            "--no-shrink",
        )
    seconds = time.monotonic() - begun
    if done.returncode == 0:
        return Bite(bug, None, "", seconds)
    lines = done.stdout.splitlines()
    failed = [number for number, line in enumerate(lines) if line.startswith("FAILED")]
    if not failed:
        raise RuntimeError(f"{bug.name}: the simulator did not run:\n{done.stdout}{done.stderr}")
    sentence = lines[failed[0] + 1].strip()
    if sentence.startswith(("NameError", "ImportError", "SyntaxError", "AttributeError")):
        raise RuntimeError(f"{bug.name}: its text breaks the program, not a promise: {sentence}")
    return Bite(bug, int(lines[1].split()[0]), sentence, seconds)


def main() -> int:
    """Print the table, of all bugs or of those whose name has a word that is given; return 1 if one was not found."""
    chosen = [bug for bug in BUGS if all(word in bug.name for word in sys.argv[1:])]
    print(f"{len(chosen)} bugs, seeds from {FIRST_SEED}, {STEPS} steps each\n")
    print("| planted bug | found after seeds | of at most | seconds | by |\n|---|---|---|---|---|")
    missed = 0
    with ThreadPoolExecutor(max_workers=2) as workers:
        for found in workers.map(bite, chosen):
            missed += found.seeds is None
            after = "NOT FOUND" if found.seeds is None else str(found.seeds + 1)
            print(
                f"| {found.bug.name} | {after} | {found.bug.runs} | {found.seconds:.1f} | {found.sentence[:90]} |",
                flush=True,
            )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
