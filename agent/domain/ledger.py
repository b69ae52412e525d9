"""Entries of a ledger and their hash chain.

An entry is one immutable row of a terminal's ledger. Its key is `(epoch, seq)`; `seq` counts from 1
without gaps. Its `hash` covers the entry before it (PROTOCOL.md, "Up: entries"). Both sides compute
it with these functions, so each detects a ledger that was copied, restored or edited.
"""

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Struct

from agent.domain.canteen import PRICE_CENTS_MAX, Id, TokenText
from agent.domain.clock import ClockTrust, Day, Instant

Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?!\n)$", description="SHA-256 in hex")]
_EPOCH = r"^[1-9][0-9]{0,8}-[0-9a-f]{16}(?!\n)$"
EPOCH_NUMBER_MAX = 999_999_999  # the contract's nine digits; a place of it fits 63 bits
Epoch = Annotated[
    str, Meta(pattern=_EPOCH, description="number of the terminal's epoch, then 64 random bits")
]
SEQ_BITS = 33
SEQ_MAX = 2**SEQ_BITS - 1
"""The largest seq and the largest count: a terminal's file packs a seq into 33 bits (`Place.n`).
Eight thousand million entries are the lunches of a large school for 30,000 years."""
MONO_MS_MAX = 10**12
"""Thirty years without a restart."""
TRAYS_MAX = 100_000
"""More trays than any service has; a larger number is a typing mistake."""
USER_CHARACTERS_MAX = 64
"""A number of ten digits, and a name of 32 characters."""
Seq = Annotated[int, Meta(ge=1, le=SEQ_MAX, description="an entry's number in its epoch")]
Count = Annotated[int, Meta(ge=0, le=SEQ_MAX)]
MonoMs = Annotated[int, Meta(ge=0, le=MONO_MS_MAX, description="milliseconds since the boot")]


class Kind(StrEnum):
    """What an entry records."""

    MEAL = "meal"
    STORNO = "storno"
    UNKNOWN_MEAL = "unknown_meal"
    REFUSAL = "refusal"
    CLOSING = "closing"


class How(StrEnum):
    """How a meal was asked for: by a card, by the staff now, by the staff for an earlier day."""

    CARD = "card"
    MANUAL = "manual"
    LATE = "late"


class Flag(StrEnum):
    """What the office should know about a meal."""

    ON_CREDIT = "on_credit"
    STALE = "stale"
    SERVE_ALL = "serve_all"
    OUTSIDE_HOURS = "outside_hours"
    CLOCK_UNSET = "clock_unset"
    NO_PRICE = "no_price"


class RefusalReason(StrEnum):
    """Why a tap got no meal. A closed list: `domain/tap.py` decides, `terminal/counter.py` logs."""

    UNREADABLE = "unreadable"
    NO_SERVICE = "no_service"
    UNKNOWN_CARD = "unknown_card"
    BLOCKED = "blocked"
    ALREADY_SERVED = "already_served"
    NO_CREDIT = "no_credit"
    OUT_OF_ORDER = "out_of_order"


class EntryKey(NamedTuple):
    """An entry's key in the whole town.

    A copied disk makes two entries with one terminal, epoch and seq; their hashes differ.
    """

    terminal: str
    epoch: str
    seq: int
    hash: str


class ChainEnd(Struct, frozen=True, kw_only=True):
    """An entry of one terminal. Seq 0 with the genesis hash is the start of the epoch."""

    epoch: Epoch
    seq: Count
    hash: Hash


class Place(NamedTuple):
    """An entry's place in a terminal's file: number of its epoch (1, 2, …) and seq.

    Seq 0 is the start of the epoch.
    """

    epoch_number: int
    seq: int

    @property
    def n(self) -> int:
        """Return the place as the integer in the file. Integers sort as their places do."""
        return self.epoch_number << SEQ_BITS | self.seq

    @classmethod
    def of(cls, n: int) -> "Place":
        """Return the place of an integer in the file."""
        return cls(*divmod(n, 1 << SEQ_BITS))


class Reversed(Struct, frozen=True, kw_only=True):
    """The meal that a storno undoes. The hash is needed where a copied disk repeats the seq."""

    epoch: Epoch
    seq: Seq
    hash: Hash


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row of the ledger. A draft has `seq` 0 and no `hash`. `cents` is added to the balance.

    `by` is the staff account whose card allowed it, where a terminal needs such a card. `user` is
    the machine's user whose program requested it, as `1000 maria`.
    """

    seq: Count = 0
    kind: Kind
    cents: Annotated[int, Meta(ge=-PRICE_CENTS_MAX, le=PRICE_CENTS_MAX)]
    at: Instant
    clock: ClockTrust
    boot: str
    mono_ms: MonoMs
    how: How
    by: Id | None = None
    user: Annotated[str, Meta(max_length=USER_CHARACTERS_MAX)] | None = None
    account: Id | None = None
    card: TokenText | None = None
    service: Id | None = None
    day: Day | None = None
    assurance: Annotated[str, Meta(max_length=32)] | None = None
    flags: list[Flag] = []
    reverses: Reversed | None = None
    reason: RefusalReason | None = None
    trays: Annotated[int, Meta(ge=0, le=TRAYS_MAX)] | None = None
    served: Annotated[int, Meta(ge=0, le=TRAYS_MAX)] | None = None
    hash: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?(?!\n)$")] = ""


_encoder = msgspec.json.Encoder(order="sorted")


def canonical(value: object) -> bytes:
    """Return the canonical JSON (RFC 8785) of a value without fractional numbers."""
    return _encoder.encode(value)


def genesis(town: str, terminal: str, epoch: str) -> str:
    """Return the hash that the first entry of an epoch follows."""
    return hashlib.sha256(f"{town}/{terminal}/{epoch}".encode()).hexdigest()


def chain_hash(previous: str, unhashed: bytes) -> str:
    """Return an entry's hash: SHA-256 of the previous hash and canonical JSON without `hash`."""
    return hashlib.sha256(bytes.fromhex(previous) + unhashed).hexdigest()


def seal(draft: Entry, *, seq: int, previous: str) -> tuple[Entry, bytes]:
    """Return the draft with its seq and hash, and the canonical JSON that the hash covers."""
    numbered = msgspec.structs.replace(draft, seq=seq)
    body = canonical(numbered)
    return msgspec.structs.replace(numbered, hash=chain_hash(previous, body)), body


def received_hash(previous: str, received: Mapping[str, object]) -> str:
    """Return the hash that a received entry must have. Members of later versions are covered."""
    members = {name: value for name, value in received.items() if name != "hash"}
    return chain_hash(previous, canonical(members))


def entry_fault(entry: Entry) -> str | None:
    """Return why an entry breaks the contract's table of kinds, or None."""
    match entry.kind:
        case Kind.MEAL:
            return _missing(entry, "account", "service", "day") or (
                "a meal with positive cents" if entry.cents > 0 else None
            )
        case Kind.STORNO:
            return _missing(entry, "reverses") or (
                "a storno with negative cents" if entry.cents < 0 else None
            )
        case Kind.UNKNOWN_MEAL:
            return _missing(entry, "card", "service", "day") or _not_zero(entry)
        case Kind.REFUSAL:
            return _missing(entry, "reason") or _not_zero(entry)
        case Kind.CLOSING:
            return _missing(entry, "trays", "served") or _not_zero(entry)


def _missing(entry: Entry, *names: str) -> str | None:
    absent = [name for name in names if getattr(entry, name) is None]
    return f"a {entry.kind} without {' and '.join(absent)}" if absent else None


def _not_zero(entry: Entry) -> str | None:
    return f"a {entry.kind} with cents" if entry.cents != 0 else None
