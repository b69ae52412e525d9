"""A green light is a fact: what the virtual card saw, against what is in the file, also when the disk does not take it."""

import contextlib
import random
import sqlite3
import threading
from pathlib import Path

from tests.parts.broker import Mosquitto
from tests.parts.pcsc import Pcscd, VirtualCard
from tests.parts.process import wait_for
from tests.parts.town import SITE, Central, Terminal

GREEN = bytes.fromhex("FF00402E")
KILLS = 8
UIDS = [bytes.fromhex(f"04b0a1{n:02x}c2d3e4") for n in range(3)]


def test_while_the_file_takes_nothing_nothing_is_green_and_afterwards_it_goes_on(tmp_path: Path) -> None:
    card = VirtualCard()
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(tmp_path / "broker"))
        pcscd = stack.enter_context(Pcscd(tmp_path / "pcscd", card.port))
        stack.callback(card.take_away)
        central = Central(tmp_path / "central", broker.url)
        rows = "".join(f"a-{n},{SITE},a:{uid.hex()},lunch 2026-01-01 3.66\n" for n, uid in enumerate(UIDS))
        (tmp_path / "roster.csv").write_text("account,site,cards,prices\n" + rows, encoding="utf-8")
        central.office("import-roster", tmp_path / "roster.csv")
        central.office("service", SITE, "lunch", "--opens", "00:00", "--closes", "23:59", "--weekdays", "1234567")
        central.office("terminals", "add", "t-1", SITE)
        central.start()
        stack.callback(central.stop)
        reader = '[[reader]]\nname = "counter"\nprofile = "acs-acr122u"\n'
        terminal = Terminal(tmp_path / "t-1", "t-1", broker.url, tmp_path / "central" / "central.db.card-key", reader)
        terminal.start(enter=pcscd.namespace.command())
        stack.callback(terminal.stop)
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
    card, source = VirtualCard(), random.Random(4)
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(tmp_path / "broker"))
        pcscd = stack.enter_context(Pcscd(tmp_path / "pcscd", card.port))
        stack.callback(card.take_away)
        central = Central(tmp_path / "central", broker.url)
        uids = [bytes.fromhex(f"04b0a1{n:02x}c2d3e4") for n in range(KILLS * 3)]
        rows = "".join(f"a-{n},{SITE},a:{uid.hex()},lunch 2026-01-01 3.66\n" for n, uid in enumerate(uids))
        (tmp_path / "roster.csv").write_text("account,site,cards,prices\n" + rows, encoding="utf-8")
        central.office("import-roster", tmp_path / "roster.csv")
        central.office("service", SITE, "lunch", "--opens", "00:00", "--closes", "23:59", "--weekdays", "1234567")
        central.office("terminals", "add", "t-1", SITE)
        central.start()
        stack.callback(central.stop)
        reader = '[[reader]]\nname = "counter"\nprofile = "acs-acr122u"\n'
        terminal = Terminal(tmp_path / "t-1", "t-1", broker.url, tmp_path / "central" / "central.db.card-key", reader)
        stack.callback(terminal.stop)
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
