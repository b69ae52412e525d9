"""What must always be true, each as one named function: used by stories, property tests and whoever else drives the real parts."""

from agent.central.check import check
from agent.readers.events import Signal
from agent.store import reads
from agent.sync.messages import Changes, decode
from tests.parts.wire import Box, Wire


def every_green_light_has_one_entry(box: Box) -> None:
    greens = sum(1 for light in box.lights if light is Signal.SERVED)
    meals = sum(1 for entry in box.entries() if entry.kind in ("meal", "unknown_meal") and entry.how == "card")
    assert greens == meals, f"{box.name}: {greens} green lights, {meals} meals"


def acked_says_what_balances_contain(wire: Wire, payload: bytes) -> None:
    """A message with accounts acknowledges just the entries that are booked: neither fewer nor more (no forks, as here)."""
    message = decode(payload, Changes)
    if any(b'"k":"account"' in bytes(record) for record in message.records):
        booked = wire.central.one("SELECT coalesce(max(seq), 0) FROM entry WHERE epoch = ?", message.acked.epoch)
        assert message.acked.seq == booked, f"acked {message.acked.seq}, booked {booked}"


def the_chain_holds(box: Box) -> None:
    assert list(reads.verify(box.db)) == []


def the_books_are_right(wire: Wire) -> None:
    assert list(check(wire.central.ledger)) == []


def both_sides_are_equal(wire: Wire) -> None:
    """Once the wire is at rest: nothing waits, and every account is the same to the cent on both sides."""
    accounts = wire.central.ledger.sql.execute("SELECT id, site, balance FROM account").fetchall()
    for box in wire.boxes.values():
        here = reads.standing(box.db)
        assert here.pending == 0, f"{box.name}: {here.pending} entries wait"
        for row in accounts:
            assert box.balance(row["id"]) == row["balance"], (
                f"{box.name}, account {row['id']}: {box.balance(row['id'])} != {row['balance']}"
            )


def all_is_well(wire: Wire) -> None:
    for box in wire.boxes.values():
        every_green_light_has_one_entry(box)
        the_chain_holds(box)
    the_books_are_right(wire)
    both_sides_are_equal(wire)
