"""A green light at the virtual card always has a meal in the file, also when the disk fails."""

import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from tests.crash.recording import compile_recorder
from tests.parts import canteen
from tests.parts.canteen import Counter
from tests.parts.pcsc import WAIT
from tests.parts.process import Process, wait_for
from tests.parts.town import run_agent

GREEN = bytes.fromhex("FF00402E")
KILLS = 8
FIRST_PAGE_OF_LOG = 32 + 24  # behind the headers of log and frame
UIDS = [bytes.fromhex(f"04b0a1{n:02x}c2d3e4") for n in range(3)]
READER = '[[reader]]\nname = "counter"\nprofile = "acs-acr122u"\n'


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Counter]:
    with canteen.counter(tmp_path, [f"a:{uid.hex()}" for uid in UIDS], READER) as made:
        yield made


def start(counter: Counter, environment: dict[str, str] | None = None) -> Process:
    counter.terminal.start(enter=counter.pcscd.namespace.command(), environment=environment)
    assert counter.terminal.process is not None
    return counter.terminal.process


def start_serving(counter: Counter, accounts: int = len(UIDS)) -> Process:
    """Start the agent and wait until it serves the whole roster."""
    process = start(counter)
    counter.terminal.wait_until_serving()
    counter.terminal.wait_for_account(f"a-{accounts - 1}")
    return process


def test_a_locked_file_shows_no_green_light_and_the_agent_recovers(counter: Counter) -> None:
    card, _, terminal = counter
    process = start_serving(counter)
    assert card.tap(UIDS[0]).startswith(GREEN)

    with closing(sqlite3.connect(terminal.db, isolation_level=None)) as technician:
        technician.execute("BEGIN IMMEDIATE")
        card.present(UIDS[1])
        wait_for(lambda: "Out of order: " in process.output(), "the fault in the log")
        second = UIDS[1].hex()
        wait_for(
            lambda: any(uid == second and light != WAIT for uid, light in card.shown),
            "a light after the one for waiting",
        )
        card.take_away()
        technician.execute("ROLLBACK")
    wait_for(lambda: "The file works again: 1 taps" in process.output(), "the recovery")
    of_second_card = [light for uid, light in card.shown if uid == second]
    assert not any(light.startswith(GREEN) for light in of_second_card)
    assert card.tap(UIDS[1]).startswith(GREEN)
    greens = sum(light.startswith(GREEN) for _, light in card.shown)
    assert terminal.rows("SELECT count(*) FROM entry WHERE kind = 'meal'") == [(greens,)]
    assert terminal.stop() == 0


@contextmanager
def replaced_by_a_folder(path: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The file cannot be opened, as after a loss of permission."""
    away = path.rename(path.with_suffix(".away"))
    path.mkdir()
    yield {}
    path.rmdir()
    away.rename(path)


@contextmanager
def locked(path: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A technician's sqlite3 holds an exclusive lock."""
    with closing(sqlite3.connect(path, isolation_level=None)) as technician:
        technician.execute("PRAGMA locking_mode = EXCLUSIVE")
        technician.execute("BEGIN EXCLUSIVE")
        yield {}


@contextmanager
def unreadable(path: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The SD card fails every read with EIO."""
    control = tmp_path / "fails"
    control.write_text("read", encoding="ascii")
    yield {
        "LD_PRELOAD": str(compile_recorder(tmp_path)),
        "CRASH_FOLDER": str(path.parent),
        "CRASH_FAILS": str(control),
    }
    control.unlink()


@contextmanager
def newer(path: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A newer program wrote the file. The older one must not change it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as sql:
        (schema,) = sql.execute("PRAGMA user_version").fetchone()
        sql.execute("CREATE TABLE later (n INTEGER)")  # each migration changes a definition
        sql.execute("PRAGMA user_version = 99")
        sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.read_bytes()
    yield {}
    assert path.read_bytes() == before
    with closing(sqlite3.connect(path, isolation_level=None)) as sql:
        sql.execute("DROP TABLE later")
        sql.execute(f"PRAGMA user_version = {schema}")


@pytest.mark.parametrize("fault", [replaced_by_a_folder, locked, unreadable, newer])
def test_a_file_that_fails_at_the_start_is_reported_and_its_taps_are_recorded_later(
    fault: Callable[[Path, Path], AbstractContextManager[dict[str, str]]],
    counter: Counter,
    tmp_path: Path,
) -> None:
    card, _, terminal = counter
    start_serving(counter)
    assert card.tap(UIDS[0]).startswith(GREEN)
    assert terminal.stop() == 0

    with fault(terminal.db, tmp_path) as environment:
        process = start(counter, environment)
        wait_for(lambda: "Out of order: " in process.output(), "the fault in the log")
        wait_for(lambda: "Serving" in process.output(), "the reader")
        assert not card.tap(UIDS[1]).startswith(GREEN)
        assert "out of order: " in run_agent("status", "-c", terminal.config, code=1)
    wait_for(lambda: "The file works again: 1 taps" in process.output(), "the recovery")
    assert process.output().count(" ERROR ") == 1
    assert card.tap(UIDS[1]).startswith(GREEN)
    assert terminal.rows("SELECT kind, eater, body ->> '$.reason' FROM entry ORDER BY n") == [
        ("meal", "a-0", None),
        ("refusal", "a-1", "out_of_order"),
        ("meal", "a-1", None),
    ]
    wait_for(lambda: terminal.pending() == 0, "everything booked")
    assert terminal.stop() == 0


def test_a_file_damaged_under_a_running_agent_is_replaced(counter: Counter) -> None:
    card, _, terminal = counter
    process = start_serving(counter)
    assert card.tap(UIDS[0]).startswith(GREEN)
    wait_for(lambda: terminal.pending() == 0, "everything booked")
    with closing(sqlite3.connect(terminal.db, isolation_level=None)) as technician:
        # A header in the write-ahead log would hide the damage.
        truncate = "PRAGMA wal_checkpoint(TRUNCATE)"
        wait_for(lambda: technician.execute(truncate).fetchone()[0] == 0, "an empty log")
        # The agent has the pages in memory. The lock makes it open the file again.
        technician.execute("BEGIN IMMEDIATE")
        with open(terminal.db, "r+b") as file:
            file.write(bytes(100))
        assert not card.tap(UIDS[1]).startswith(GREEN)
    wait_for(lambda: "The file works again: 1 taps" in process.output(), "the replacement")
    assert "Ledger replaced: " in process.output() and process.is_running
    assert terminal.db.with_name("terminal.db.damaged-1").read_bytes()[:100] == bytes(100)
    wait_for(lambda: terminal.balance("a-2") == 0, "the roster")
    assert card.tap(UIDS[1]).startswith(GREEN)
    # The first child has eaten: its meal was copied into the new file.
    assert not card.tap(UIDS[0]).startswith(GREEN)
    assert terminal.reader("counter") == "ready" and terminal.status()["link"] == "up"
    wait_for(lambda: terminal.pending() == 0, "everything booked")
    assert [terminal.balance(account) for account in ("a-0", "a-1", "a-2")] == [-366, -366, 0]
    assert terminal.stop() == 0


def test_every_green_light_seen_is_in_the_file_after_any_number_of_kills(tmp_path: Path) -> None:
    source = random.Random(4)
    uids = [bytes.fromhex(f"04b0a1{n:02x}c2d3e4") for n in range(KILLS * 3)]
    with canteen.counter(tmp_path, [f"a:{uid.hex()}" for uid in uids], READER) as counter:
        card, _, terminal = counter
        for kill in range(KILLS):
            process = start_serving(counter, accounts=len(uids))
            for uid in uids[3 * kill : 3 * kill + 2]:
                assert card.tap(uid).startswith(GREEN)
            card.present(uids[3 * kill + 2])
            # The kill comes somewhere between the card and its light.
            threading.Event().wait(source.uniform(0, 0.5))
            process.kill()
            card.take_away()
        greens = {uid for uid, light in card.shown if light.startswith(GREEN)}
        assert len(greens) >= 2 * KILLS
        eaters = {row[0] for row in terminal.rows("SELECT eater FROM entry WHERE kind = 'meal'")}
        assert {f"a-{n}" for n, uid in enumerate(uids) if uid.hex() in greens} <= eaters
        doubled = "SELECT count(*) - count(DISTINCT eater) FROM entry WHERE kind = 'meal'"
        assert terminal.rows(doubled) == [(0,)]


def test_one_flipped_bit_in_the_log_takes_back_no_light(tmp_path: Path) -> None:
    uids = [bytes.fromhex(f"04b0a1{n:02x}c2d3e4") for n in range(20)]
    with canteen.counter(tmp_path, [f"a:{uid.hex()}" for uid in uids], READER) as counter:
        card, _, terminal = counter
        process = start_serving(counter, accounts=len(uids))
        for uid in uids[:-1]:
            assert card.tap(uid).startswith(GREEN)
        process.kill()
        log = terminal.db.with_name("terminal.db-wal")
        content = bytearray(log.read_bytes())
        content[FIRST_PAGE_OF_LOG + 100] ^= 1
        log.write_bytes(content)
        process = start_serving(counter, accounts=len(uids))
        assert "terminal.db-wal is damaged at frame 1" in process.output()
        eaters = {row[0] for row in terminal.rows("SELECT eater FROM entry WHERE kind = 'meal'")}
        assert eaters == {f"a-{n}" for n in range(len(uids) - 1)}
        assert not card.tap(uids[0]).startswith(GREEN)
        assert card.tap(uids[-1]).startswith(GREEN)
        assert terminal.stop() == 0
