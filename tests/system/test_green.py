"""A green light is a fact: what the virtual card saw, against what is in the file, also when the disk does not take it."""

import random
import sqlite3
import threading
from pathlib import Path

from tests.parts.canteen import counter
from tests.parts.process import wait_for

GREEN = bytes.fromhex("FF00402E")
KILLS = 8
UIDS = [bytes.fromhex(f"04b0a1{n:02x}c2d3e4") for n in range(3)]


READER = '[[reader]]\nname = "counter"\nprofile = "acs-acr122u"\n'


def test_while_the_file_takes_nothing_nothing_is_green_and_afterwards_it_goes_on(tmp_path: Path) -> None:
    with counter(tmp_path, [f"a:{uid.hex()}" for uid in UIDS], READER) as (card, pcscd, terminal):
        terminal.start(enter=pcscd.namespace.command())
        wait_for(terminal.answers, "the agent answering")
        wait_for(lambda: terminal.balance("a-2") == 0 and terminal.status()["readers"]["counter"] == "ready", "roster and reader")
        assert card.tap(UIDS[0]).startswith(GREEN)

        technician = sqlite3.connect(terminal.db, isolation_level=None)
        technician.execute("BEGIN IMMEDIATE")
        process = terminal.process
        assert process is not None
        card.present(UIDS[1])
        wait_for(lambda: "out of order: " in process.output(), "the sentence")
        wait_for(lambda: len([uid for uid, _ in card.shown if uid == UIDS[1].hex()]) >= 2, "a light after the one for waiting")
        card.take_away()
        technician.execute("ROLLBACK")
        technician.close()
        wait_for(lambda: " 1 taps were told out of order" in process.output(), "the file")
        assert not any(uid == UIDS[1].hex() and light.startswith(GREEN) for uid, light in card.shown)
        assert card.tap(UIDS[1]).startswith(GREEN)
        greens = sum(light.startswith(GREEN) for _, light in card.shown)
        assert terminal.rows("SELECT count(*) FROM entry WHERE kind = 'meal'") == [(greens,)]
        assert terminal.stop() == 0


def test_every_green_that_was_seen_is_in_the_file_however_often_the_process_is_killed(tmp_path: Path) -> None:
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
            threading.Event().wait(source.uniform(0, 0.5))  # somewhere between the card and its light
            process.kill()
            card.take_away()
        greens = {uid for uid, light in card.shown if light.startswith(GREEN)}
        assert len(greens) >= 2 * KILLS
        eaters = {row[0] for row in terminal.rows("SELECT eater FROM entry WHERE kind = 'meal'")}
        assert {f"a-{n}" for n, uid in enumerate(uids) if uid.hex() in greens} <= eaters
        assert terminal.rows("SELECT count(*) - count(DISTINCT eater) FROM entry WHERE kind = 'meal'") == [(0,)]
