"""Entries and the chain that binds them.

An entry is one immutable row of a terminal's ledger; its key is `(epoch, seq)`, `seq` counts from 1 without gaps, and its
`hash` covers the entry before it (PROTOCOL.md, "Up: entries"). Both sides use these functions, so a copied, restored
or edited ledger cannot pass for the original.
"""

import hashlib
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct

from agent.domain.canteen import PRICE_CENTS_MAX, Id, TokenText
from agent.domain.clock import ClockTrust, Day, Instant

Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?!\n)$", description="SHA-256 in hex")]
Epoch = Annotated[
    str,
    Meta(
        pattern=r"^[1-9][0-9]{0,8}-[0-9a-f]{16}(?!\n)$",
        description="which life of the disk, then 64 random bits",
    ),
]
SEQ_BITS = 33
SEQ_MAX = 2**SEQ_BITS - 1
"""The largest seq, and the largest count of anything: a terminal's file packs a seq into 33 bits
(`Place.n`). Eight thousand million entries are a large school's lunches for 30,000 years."""
Seq = Annotated[int, Meta(ge=1, le=SEQ_MAX, description="an entry's number in its epoch")]
Count = Annotated[int, Meta(ge=0, le=SEQ_MAX)]


class Kind(StrEnum):
    MEAL = "meal"
    STORNO = "storno"
    UNKNOWN_MEAL = "unknown_meal"
    REFUSAL = "refusal"
    CLOSING = "closing"


class How(StrEnum):
    CARD = "card"
    MANUAL = "manual"
    LATE = "late"


class Flag(StrEnum):
    ON_CREDIT = "on_credit"
    STALE = "stale"
    SERVE_ALL = "serve_all"
    OUTSIDE_HOURS = "outside_hours"
    CLOCK_UNSET = "clock_unset"
    SECOND_TERMINAL = "second_terminal"


class RefusalReason(StrEnum):
    """Why a tap got no meal. A closed list: the kiosk has a text for each."""

    UNREADABLE = "unreadable"
    NO_SERVICE = "no_service"
    UNKNOWN_CARD = "unknown_card"
    BLOCKED = "blocked"
    ALREADY_SERVED = "already_served"
    NO_CREDIT = "no_credit"
    OUT_OF_ORDER = "out_of_order"


class EntryKey(NamedTuple):
    """An entry's name in the whole town. The hash tells two entries of one number apart: a copied disk makes such."""

    terminal: str
    epoch: str
    seq: int
    hash: str


class ChainEnd(Struct, frozen=True, kw_only=True):
    """An entry of one terminal by epoch, seq and hash; seq 0 with the genesis hash is the start of the epoch."""

    epoch: Epoch
    seq: Count
    hash: Hash


class Place(NamedTuple):
    """Where an entry stands in one terminal's file: number of its epoch (1, 2, …) and seq; seq 0 is the epoch's start."""

    epoch_number: int
    seq: int

    @property
    def n(self) -> int:
        """Return the place as the one integer that the file keeps: places sort as these do."""
        return self.epoch_number << SEQ_BITS | self.seq

    @classmethod
    def of(cls, n: int) -> "Place":
        """Return the place that an integer of the file stands for."""
        return cls(*divmod(n, 1 << SEQ_BITS))


class Reversed(Struct, frozen=True, kw_only=True):
    """The meal that a storno undoes. Its hash tells it from another of the same number on a copied disk."""

    epoch: Epoch
    seq: Seq
    hash: Hash


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row of the ledger. `seq` 0 and `hash` "" until it is sealed. `cents` is what the balance changes by."""

    seq: Count = 0
    kind: Kind
    cents: Annotated[int, Meta(ge=-PRICE_CENTS_MAX, le=PRICE_CENTS_MAX)]
    at: Instant
    clock: ClockTrust
    boot: str
    mono_ms: Annotated[int, Meta(ge=0, le=10**12)]  # thirty years without a restart
    how: How
    account: Id | None = None
    card: TokenText | None = None
    service: Id | None = None
    day: Day | None = None
    assurance: Annotated[str, Meta(max_length=32)] | None = None
    flags: list[Flag] = []
    reverses: Reversed | None = None
    reason: RefusalReason | None = None
    trays: Annotated[int, Meta(ge=0, le=100_000)] | None = None
    served: Annotated[int, Meta(ge=0, le=100_000)] | None = None
    hash: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?(?!\n)$")] = ""


_encoder = msgspec.json.Encoder(order="sorted")


def canonical(value: Any) -> bytes:
    """Return the canonical JSON (RFC 8785) of a value made of objects, arrays, texts, whole numbers, booleans and null."""
    return _encoder.encode(value)


def genesis(town: str, terminal: str, epoch: str) -> str:
    """Return the hash that an epoch's first entry chains from."""
    return hashlib.sha256(f"{town}/{terminal}/{epoch}".encode()).hexdigest()


def chain_hash(previous: str, unhashed: bytes) -> str:
    """Return an entry's hash: SHA-256 over the 32 bytes of the previous hash, then the canonical JSON without `hash`."""
    return hashlib.sha256(bytes.fromhex(previous) + unhashed).hexdigest()


def seal(draft: Entry, *, seq: int, previous: str) -> tuple[Entry, bytes]:
    """Return the draft with its place in the ledger and its hash, and the canonical JSON that the hash covers."""
    placed = msgspec.structs.replace(draft, seq=seq)
    body = canonical(placed)
    return msgspec.structs.replace(placed, hash=chain_hash(previous, body)), body


def received_hash(previous: str, received: dict[str, Any]) -> str:
    """Return the hash an entry should have, from the object as it came: fields we do not know yet are covered as well."""
    return chain_hash(
        previous, canonical({name: value for name, value in received.items() if name != "hash"})
    )


def entry_fault(entry: Entry) -> str | None:
    """Return what makes an entry impossible by the table of kinds, or None."""
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
