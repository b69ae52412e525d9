"""What must not be stored, sent or shown about a child."""

from agent.central.office.terminals import order, retire_terminal
from agent.domain.ledger import Flag
from agent.readers.events import Signal
from tests.conftest import CARD, OTHER_CARD
from tests.invariants import everything_is_consistent
from tests.parts.wire import Wire, down

EXEMPT_CARD = "em:0000000003"
UNKNOWN_CARD = "a:04ffffff112233"
CLASS_NAME = "Girasole"


def test_an_unreadable_card_is_refused_and_recorded_without_a_uid(wire: Wire) -> None:
    assert wire.box.tap_unreadable() is Signal.REFUSED
    entry = wire.box.entries()[-1]
    assert (entry.reason, entry.card, entry.account) == ("unreadable", None, None)
    wire.settle()
    everything_is_consistent(wire)


def test_no_uid_is_on_a_disk_or_on_the_wire(wire: Wire) -> None:
    wire.box.tap(CARD)
    wire.box.tap(UNKNOWN_CARD)
    wire.settle()
    wire.box.db.checkpoint()
    files = [wire.box.path.read_bytes(), wire.central.path.read_bytes()]
    messages = [payload for _, payload in wire.log]
    for card in (CARD, UNKNOWN_CARD):
        uid = card.partition(":")[2]
        for content in (*files, *messages):
            assert uid.encode() not in content.lower() and bytes.fromhex(uid) not in content


def test_paid_exempt_and_on_credit_show_the_same_light(wire: Wire) -> None:
    wire.central.add_account("a-3", cards=(EXEMPT_CARD,), price_cents=0)
    wire.central.credit("a-1", 2000, "r-1")
    wire.settle()
    lights = [wire.box.tap(card) for card in (CARD, OTHER_CARD, EXEMPT_CARD)]
    assert lights == [Signal.SERVED] * 3
    entries = wire.box.entries()
    assert [entry.cents for entry in entries] == [-366, -366, 0]
    assert [Flag.ON_CREDIT in entry.flags for entry in entries] == [False, True, False]


def test_a_wiped_terminal_holds_no_text_about_a_child(wire: Wire) -> None:
    wire.central.books.sql.execute("UPDATE account SET class = ?", (f"Classe {CLASS_NAME}",))
    wire.central.credit("a-1", 1, "r-1")
    wire.settle()
    down(wire, f'{{"Classe {CLASS_NAME}'.encode())  # an unusable message, which is set aside
    files = list(wire.box.path.parent.glob("t-1.db*"))
    assert CLASS_NAME.encode() in b"".join(path.read_bytes() for path in files)
    retire_terminal(wire.central.books, "t-1")
    wire.settle()
    files = list(wire.box.path.parent.glob("t-1.db*"))
    assert CLASS_NAME.encode() not in b"".join(path.read_bytes() for path in files)


def test_no_order_replaces_a_pending_wipe(wire: Wire) -> None:
    retire_terminal(wire.central.books, "t-1")
    order(wire.central.books, "t-1", "new_epoch")
    assert wire.central.value("SELECT order_do FROM terminal") == "wipe"
