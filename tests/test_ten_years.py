"""Ten years without maintenance: booked old entries are pruned and the file stops growing."""

from agent.store.database import HEADROOM_BYTES
from tests.conftest import CARD, OTHER_CARD
from tests.parts.wire import Wire

DAYS = 10 * 200  # school days
KEEP_DAYS = 14
DAY_MS = 24 * 3_600_000
AFTERNOON_MS = 1_200_000


def lunch(wire: Wire) -> None:
    """Let one school day pass: two meals, both booked, then an afternoon without events."""
    wire.clock.pass_ms(DAY_MS * (3 if wire.clock.now.isoweekday() == 5 else 1) - AFTERNOON_MS)
    for card in (CARD, OTHER_CARD):
        wire.box.tap(card)
    wire.pass_time(AFTERNOON_MS)
    for _ in range(2):
        list(wire.box.core.turn(None, wire.box.reading()))


def test_the_file_stops_growing(wire: Wire) -> None:
    # Power cuts are not the subject, and ten years of flushes take minutes on a slow disk.
    for sql in (wire.box.db.sql, wire.central.books.sql):
        sql.execute("PRAGMA synchronous = OFF")
    wire.central.policy(keep_days=KEEP_DAYS)
    wire.settle()
    for _ in range(DAYS // 10):
        lunch(wire)
    (pages,) = wire.box.db.only_row("PRAGMA page_count")
    for _ in range(DAYS * 9 // 10):
        lunch(wire)
    assert wire.box.db.only_row("SELECT count(*) FROM entry")[0] <= 2 * KEEP_DAYS
    assert wire.box.db.only_row("PRAGMA page_count")[0] <= pages
    # Each afternoon a checkpoint moves the write-ahead log into the file.
    wal = wire.box.path.with_name("t-1.db-wal")
    assert wal.stat().st_size < 1.5 * HEADROOM_BYTES
    assert wire.box.balance("a-1") == wire.central.balance("a-1") == -DAYS * 366
