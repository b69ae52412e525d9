"""Why what a reader gave identifies nobody, and what the staff may do about it."""

from enum import StrEnum

from agent.domain.card import UidFault


class Fault(StrEnum):
    """Found by a reader's own room; a UID that cannot be an identity is a `UidFault`."""

    CHECKSUM = "checksum"
    STATUS = "status"
    DEVICE = "device"
    REJECTED = "rejected-uid"
    MANY = "many"
    MUTE = "mute"
    LOSSY = "lossy"
    FORM = "form"
    TECHNOLOGY = "technology"


SENTENCES: dict[UidFault | Fault, str] = {
    Fault.CHECKSUM: "the reader's frame was damaged on its way: hold the card again",
    Fault.STATUS: "the card was not read to the end: hold it again, flat and still",
    Fault.DEVICE: "the reader reports a fault of its own: hold the card again",
    Fault.REJECTED: "the reader gave an empty number: hold the card again",
    Fault.MANY: "several cards at once: hold one card only",
    Fault.MUTE: "the card does not answer: hold one card only, out of its wallet",
    Fault.LOSSY: "this reader drops a part of the number, two cards may look alike: it needs another setting",
    Fault.FORM: "not the code of a card of ours",
    Fault.TECHNOLOGY: "a kind of card that this reader's profile does not name",
    UidFault.LENGTH: "a number of the wrong length: not a card of ours, or the reader is set up otherwise",
    UidFault.RANDOM: "a phone or a bank card: its number changes at every tap; use the canteen card",
    UidFault.TRUNCATED: "the reader gave half of a longer number: it needs another setting",
    UidFault.BLANK: "the card has no number",
    UidFault.ORDER: "the reader gives the number the wrong way round: it needs another setting",
}
