"""Events show no card number in a log, and signals tell nothing about money."""

from agent.domain.card import CardId
from agent.readers.events import CardPresented, Signal

UID = bytes.fromhex("04a1b2c3d4e5f6")


def test_the_representation_of_a_tap_contains_no_card_number() -> None:
    event = CardPresented(reader="counter", card=CardId("a", UID), tap=1)
    assert UID.hex() not in repr(event) and repr(UID)[2:-1] not in repr(event)


def test_no_signal_tells_paid_exempt_and_on_credit_apart() -> None:
    assert set(Signal) == {"served", "already_served", "refused", "wait", "out_of_order"}
