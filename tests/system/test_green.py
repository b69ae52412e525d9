"""A green light is a fact: what the virtual card saw, against what is in the file, also when the disk does not take it."""

import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from tests.crash.recording import compile_recorder
from tests.parts.canteen import counter
from tests.parts.process import wait_for
from tests.parts.town import run_agent

GREEN = bytes.fromhex("FF00402E")
KILLS = 8
UIDS = [bytes.fromhex(f"04b0a1{n:02x}c2d3e4") for n in range(3)]


READER = '[[reader]]\nname = "counter"\nprofile = "acs-acr122u"\n'


def test_while_the_file_takes_nothing_nothing_is_green_and_afterwards_it_goes_on(
    tmp_path: Path,
) -> None:
    with counter(tmp_path, [f"a:{uid.hex()}" for uid in UIDS], READER) as (card, pcscd, terminal):
        terminal.start(enter=pcscd.namespace.command())
        wait_for(terminal.answers, "the agent answering")
        wait_for(
            lambda: (
                terminal.balance("a-2") == 0 and terminal.status()["readers"]["counter"] == "ready"
            ),
            "roster and reader",
        )
        assert card.tap(UIDS[0]).startswith(GREEN)

        technician = sqlite3.connect(terminal.db, isolation_level=None)
        technician.execute("BEGIN IMMEDIATE")
        process = terminal.process
        assert process is not None
        card.present(UIDS[1])
        wait_for(lambda: "out of order: " in process.output(), "the sentence")
        wait_for(
            lambda: len([uid for uid, _ in card.shown if uid == UIDS[1].hex()]) >= 2,
            "a light after the one for waiting",
        )
        card.take_away()
        technician.execute("ROLLBACK")
        technician.close()
        wait_for(lambda: " 1 taps were told out of order" in process.output(), "the file")
        assert not any(
            uid == UIDS[1].hex() and light.startswith(GREEN) for uid, light in card.shown
        )
        assert card.tap(UIDS[1]).startswith(GREEN)
        greens = sum(light.startswith(GREEN) for _, light in card.shown)
        assert terminal.rows("SELECT count(*) FROM entry WHERE kind = 'meal'") == [(greens,)]
        assert terminal.stop() == 0


@contextmanager
def exchanged_for_a_folder(path: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Cannot be opened, as after permission was lost."""
    away = path.rename(path.with_suffix(".away"))
    path.mkdir()
    yield {}
    path.rmdir()
    away.rename(path)


@contextmanager
def held(path: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A technician's sqlite3 has it for itself."""
    with closing(sqlite3.connect(path, isolation_level=None)) as technician:
        technician.execute("PRAGMA locking_mode = EXCLUSIVE")
        technician.execute("BEGIN EXCLUSIVE")
        yield {}


@contextmanager
def unreadable(path: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The card answers EIO to every read."""
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
    """A program that is older than the file: nothing of it is touched."""
    with closing(sqlite3.connect(path, isolation_level=None)) as sql:
        sql.execute("PRAGMA user_version = 99")
        sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.read_bytes()
    yield {}
    assert path.read_bytes() == before
    with closing(sqlite3.connect(path, isolation_level=None)) as sql:
        sql.execute("PRAGMA user_version = 1")


@pytest.mark.parametrize("fault", [exchanged_for_a_folder, held, unreadable, newer])
def test_a_file_that_does_not_work_at_the_start_is_told_at_the_counter_and_taps_are_recorded_when_it_does(
    fault: Callable[[Path, Path], AbstractContextManager[dict[str, str]]], tmp_path: Path
) -> None:
    with counter(tmp_path, [f"a:{uid.hex()}" for uid in UIDS], READER) as (card, pcscd, terminal):
        terminal.start(enter=pcscd.namespace.command())
        wait_for(terminal.answers, "the agent answering")
        wait_for(
            lambda: (
                terminal.balance("a-2") == 0 and terminal.status()["readers"]["counter"] == "ready"
            ),
            "roster and reader",
        )
        assert card.tap(UIDS[0]).startswith(GREEN)
        assert terminal.stop() == 0

        with fault(terminal.db, tmp_path) as environment:
            terminal.start(enter=pcscd.namespace.command(), environment=environment)
            process = terminal.process
            assert process is not None
            wait_for(
                lambda: "out of order: " in process.output() and "serving" in process.output(),
                "the sentence in the journal",
            )
            assert not card.tap(UIDS[1]).startswith(GREEN)
            assert "out of order: " in run_agent("status", "-c", terminal.config, code=1)
        wait_for(
            lambda: "the file works again: 1 taps" in process.output(), "the file working again"
        )
        assert process.output().count(" ERROR ") == 1
        assert card.tap(UIDS[1]).startswith(GREEN)
        told = "SELECT kind, eater, body ->> '$.reason' FROM entry ORDER BY n"
        assert terminal.rows(told) == [
            ("meal", "a-0", None),
            ("refusal", "a-1", "out_of_order"),
            ("meal", "a-1", None),
        ]
        wait_for(lambda: terminal.pending() == 0, "everything booked")
        assert terminal.stop() == 0


def test_a_file_that_is_damaged_under_the_agent_is_exchanged_while_it_runs(tmp_path: Path) -> None:
    with counter(tmp_path, [f"a:{uid.hex()}" for uid in UIDS], READER) as (card, pcscd, terminal):
        terminal.start(enter=pcscd.namespace.command())
        wait_for(terminal.answers, "the agent answering")
        wait_for(
            lambda: (
                terminal.balance("a-2") == 0 and terminal.status()["readers"]["counter"] == "ready"
            ),
            "roster and reader",
        )
        assert card.tap(UIDS[0]).startswith(GREEN)
        process = terminal.process
        assert process is not None
        with closing(sqlite3.connect(terminal.db, isolation_level=None)) as technician:
            technician.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            technician.execute("BEGIN IMMEDIATE")
            assert not card.tap(UIDS[1]).startswith(GREEN)
            with open(terminal.db, "r+b") as file:
                file.write(bytes(100))
        wait_for(
            lambda: "the file works again: 1 taps" in process.output(), "another file in its place"
        )
        assert "damaged: " in process.output() and process.is_running
        assert terminal.db.with_name("terminal.db.damaged-1").read_bytes()[:100] == bytes(100)
        wait_for(lambda: terminal.balance("a-2") == 0, "the roster, told anew")
        assert card.tap(UIDS[1]).startswith(GREEN)
        assert not card.tap(UIDS[0]).startswith(GREEN)  # has eaten: its meal was brought over
        assert (
            terminal.status()["readers"]["counter"] == "ready" and terminal.status()["link"] == "up"
        )
        wait_for(lambda: terminal.pending() == 0, "everything booked")
        assert [terminal.balance(account) for account in ("a-0", "a-1", "a-2")] == [-366, -366, 0]
        assert terminal.stop() == 0


def test_every_green_that_was_seen_is_in_the_file_however_often_the_process_is_killed(
    tmp_path: Path,
) -> None:
    source = random.Random(4)
    uids = [bytes.fromhex(f"04b0a1{n:02x}c2d3e4") for n in range(KILLS * 3)]
    with counter(tmp_path, [f"a:{uid.hex()}" for uid in uids], READER) as (card, pcscd, terminal):
        for kill in range(KILLS):
            terminal.start(enter=pcscd.namespace.command())
            wait_for(terminal.answers, "the agent answering")
            wait_for(lambda: terminal.status()["readers"]["counter"] == "ready", "the reader")
            wait_for(lambda: terminal.balance(f"a-{len(uids) - 1}") is not None, "the roster")
            for uid in uids[3 * kill : 3 * kill + 2]:
                assert card.tap(uid).startswith(GREEN)
            card.present(uids[3 * kill + 2])
            process = terminal.process
            assert process is not None
            threading.Event().wait(
                source.uniform(0, 0.5)
            )  # somewhere between the card and its light
            process.kill()
            card.take_away()
        greens = {uid for uid, light in card.shown if light.startswith(GREEN)}
        assert len(greens) >= 2 * KILLS
        eaters = {row[0] for row in terminal.rows("SELECT eater FROM entry WHERE kind = 'meal'")}
        assert {f"a-{n}" for n, uid in enumerate(uids) if uid.hex() in greens} <= eaters
        assert terminal.rows(
            "SELECT count(*) - count(DISTINCT eater) FROM entry WHERE kind = 'meal'"
        ) == [(0,)]
