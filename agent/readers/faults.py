"""Why a reader's answer identifies nobody, and what the staff can do about it."""

from enum import StrEnum

from agent.domain.card import UidFault


class Fault(StrEnum):
    """A fault that the readers' code detects. A UID that identifies nobody is a `UidFault`."""

    CHECKSUM = "checksum"
    STATUS = "status"
    DEVICE = "device"
    REJECTED = "rejected-uid"
    SINGLE = "single"
    MANY = "many"
    MUTE = "mute"
    TAKEN = "taken"
    LOSSY = "lossy"
    FORM = "form"
    LAYOUT = "layout"
    UNFINISHED = "unfinished"
    TECHNOLOGY = "technology"


SENTENCES: dict[UidFault | Fault, str] = {
    Fault.CHECKSUM: "the reader's data arrived damaged; hold the card again",
    Fault.STATUS: "the card was not read completely; hold it again, flat and still",
    Fault.DEVICE: "the reader reports an internal fault; hold the card again",
    Fault.REJECTED: "the reader sent an empty card number; hold the card again",
    Fault.SINGLE: "the card was there too briefly; hold it again, a little longer",
    Fault.MANY: "several cards at once; hold one card only",
    Fault.MUTE: "the card does not answer; hold one card only, outside its wallet",
    Fault.TAKEN: "another program uses the card on the reader and does not release it; stop that"
    " program, which may be one for signatures or identity cards",
    Fault.LOSSY: "this reader sends only a part of the card number, so two cards may look the same;"
    " change the reader's settings",
    Fault.FORM: "this is not the code of a canteen card",
    Fault.LAYOUT: "the reader types keys that depend on its keyboard layout; set the reader to a US"
    " keyboard, by its manual",
    Fault.UNFINISHED: "the reader types no Enter or Tab behind a number; set its suffix to Enter,"
    " by its manual",
    Fault.TECHNOLOGY: "the reader's profile does not list this kind of card",
    UidFault.LENGTH: "the card number has a wrong length; not a canteen card, or the reader's"
    " settings are wrong",
    UidFault.RANDOM: "a phone or a bank card changes its number at every tap; use the canteen card",
    UidFault.RANDOM_B: "a card of ISO 14443 type B, such as an identity card, may change its"
    " number at every tap; use the canteen card",
    UidFault.RANDOM_F: "a phone changes its FeliCa number at every tap; use the canteen card",
    UidFault.TRUNCATED: "the reader sent half of a longer card number; change its settings",
    UidFault.BLANK: "the card has no number",
    UidFault.ORDER: "the reader sends the card number in reverse order; change its settings",
}
