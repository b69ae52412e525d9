"""Ledgers of some days of lunch, and ways to damage them."""

from pathlib import Path

from agent.domain.card import parse_card_id
from agent.readers.events import CardPresented
from agent.store.old_card import Salvaged, salvage
from agent.terminal.export import write_export
from tests.conftest import CARD, OTHER_CARD
from tests.parts.wire import Wire
from tests.store.disk import change_entries

DAY_MS = 24 * 3_600_000
PAGE_BYTES = 1024
ENDS = ("", "-wal", "-shm")

# statement -> what the check at the start reports; of a ledger of 4 entries, 2 of them booked
CHANGED_VALUES = {
    "UPDATE entry SET cents = cents - 1 WHERE seq = 2": "the columns of entry 2 differ",
    "UPDATE epoch SET base_hash = zeroblob(32)": "does not begin with this terminal's genesis hash",
    "UPDATE terminal SET acked = acked + 50": "acknowledged up to entry 54",
    "UPDATE terminal SET id = 't-7'": "does not begin with this terminal's genesis hash",
    "UPDATE epoch SET n = 3": "has entries of an epoch that is not in this file",
    "UPDATE epoch SET base_seq = 64": "does not match its hash",
}


def start_with_check(wire: Wire) -> None:
    """Start the terminal as the program does: with the check for damage."""
    wire.box.db.close()
    wire.box.checks_file = True
    wire.box.start()
    wire.box.checks_file = False


def lunches(wire: Wire, days: int) -> None:
    """Serve both accounts on so many school days."""
    for _ in range(days):
        wire.clock.pass_ms(DAY_MS * (3 if wire.clock.now.isoweekday() == 5 else 1))
        for card in (CARD, OTHER_CARD):
            wire.box.handle(CardPresented(reader="counter", card=parse_card_id(card), tap=1))


def damage_entry(wire: Wire, seq: int) -> None:
    """Change the price in an entry's text, so that its hash is wrong."""
    change = "UPDATE entry SET body = replace(body, '366', '367') WHERE seq = ?"
    change_entries(wire.box.db, change, seq)


def beside(path: Path, end: str) -> Path:
    """Return the file with this ending: the write-ahead log, a copy kept aside, ..."""
    return path.with_name(path.name + end)


def salvage_into(path: Path, database: Path, epoch_bits: str = "c" * 16) -> Salvaged:
    """Bring what can be proved of a file into a terminal's ledger."""
    return salvage(path, database, lambda: epoch_bits, write_export)
