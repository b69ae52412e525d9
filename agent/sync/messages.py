"""The messages of the contract, version 1: their only definition in the program.

The JSON Schemas of docs/reference/protocol are printed from it. Decoding checks form and limits
and raises `SyncError` with one sentence. Unknown fields are ignored, since later versions may add
some.
"""

import re
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct, field

from agent.domain.canteen import Id, Position
from agent.domain.clock import ClockTrust, Instant, is_instant
from agent.domain.ledger import ChainEnd, Count, Entry, Epoch, Flag, Hash, MonoMs, Seq
from agent.errors import SyncError

CONTRACT_VERSION = 1  # what a hello sends as `schema`
MESSAGE_BYTES_MAX = 256 * 1024  # the contract's limit
BATCH_ENTRIES_MAX = 100
BATCHES_UNACKED_MAX = 4
CHUNK_RECORDS_MAX = 200
NONCE_CHARACTERS_MAX = 64

Generation = Annotated[
    str,
    Meta(
        pattern=r"^[0-9a-f]{16,64}(?!\n)$",
        description="random id of one generation of the central's database",
    ),
]

Nonce = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=NONCE_CHARACTERS_MAX,
        pattern=r"^[A-Za-z0-9._-]+(?!\n)$",
        description="text of one hello, which only its answer repeats",
    ),
]


class Hello(Struct, frozen=True, kw_only=True):
    """Where a terminal stands.

    `oldest` is the first entry of the epoch that it keeps. A blank terminal has `generation` null
    and `position` 0. `before` is the newest kept entry of the epochs before: a central that does
    not have it was restored. `at` is the terminal's time at `mono_ms` of `boot`: with `clock`
    synced the central dates entries of that boot by it. `nonce` differs in every hello. `wiped`:
    it takes no record until it is ordered to resync.
    """

    epoch: Epoch
    oldest: Seq
    last: Count
    acked: Count
    head: Hash
    acked_head: Hash
    generation: Generation | None = None
    position: Position = 0
    order_done: str | None = None
    software: str
    schema: Count
    clock: ClockTrust
    at: Instant
    boot: str | None = None
    mono_ms: MonoMs | None = None
    nonce: Nonce | None = None
    before: ChainEnd | None = None
    wiped: bool = False


class Entries(Struct, frozen=True, kw_only=True):
    """A batch of consecutive entries; `prev` is the hash before the first.

    Entries stay raw, since their hashes may cover fields that this version does not know.
    """

    epoch: Epoch
    prev: Hash
    entries: Annotated[list[Raw], Meta(min_length=1, max_length=BATCH_ENTRIES_MAX)]


class Note(Struct, frozen=True, kw_only=True):
    """The central's remark on an entry: `flagged` (applied) or `set_aside` (kept, not applied)."""

    seq: Count
    status: str
    reason: str


class Digest(Struct, frozen=True, kw_only=True):
    """What the terminal should hold at `position`. `sum` is 16 hex digits."""

    position: Position
    accounts: Count
    cards: Count
    cents: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    sum: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}(?!\n)$")]


class Order(Struct, frozen=True, kw_only=True):
    """`do`: resync, new_epoch or wipe.

    An order that this version does not know is reported, not done.
    """

    id: Id
    do: str


ORDER_ID = r"^o-[0-9a-f]{8}-[1-9][0-9]{0,9}(?!\n)$"
_ORDER_ID = re.compile(ORDER_ID)


def order_fault(order: Order, generation: str) -> str | None:
    """Return why an order of a generation has no id that protects from doing it twice, or None."""
    if not _ORDER_ID.search(order.id):
        return (
            f"order {order.id!r}: an id is o-, the last 8 digits of the generation, - and a number"
        )
    if order.id.split("-")[1] != generation[-8:]:
        return f"order {order.id!r}: it is not numbered in generation {generation[-8:]}"
    return None


def is_done(order: str, done: str | None) -> bool:
    """Return whether an order is the last one done, or an earlier one that arrives late.

    An id is `o-<generation>-<n>`, and n counts up within a generation. Times are not compared: the
    central's clock may have been wrong.
    """
    if done is None or order == done:
        return done is not None
    if not _ORDER_ID.search(order) or not _ORDER_ID.search(done):
        return False
    _, generation, number = order.split("-")
    _, generation_done, number_done = done.split("-")
    return generation == generation_done and int(number) <= int(number_done)


class Changes(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All records a terminal may see that changed in (`from`, `to`], each once, in its newest form.

    `until`, with `reset`, is the central's position when the snapshot begins: records that were not
    sent by then are gone. `before` repeats the hello's `before` when that entry is booked: balances
    contain those epochs. `replaces` is the hello's generation when that is another: a late message
    of an abandoned generation replaces something else. `notes` are all remarks on the terminal's
    entries after `notes_after` up to `acked`: a terminal acknowledged less far has missed some.
    `nonce` is that of the hello that this message answers; absent in a message that answers none.
    """

    generation: Generation
    from_position: Position = field(name="from")
    to: Position
    acked: ChainEnd
    at: Instant
    more: bool = False
    reset: bool = False
    until: Position | None = None
    replaces: Generation | None = None
    before: ChainEnd | None = None
    records: Annotated[list[Raw], Meta(max_length=CHUNK_RECORDS_MAX)] = []
    notes_after: Count = 0
    notes: list[Note] = []
    digest: Digest | None = None
    order: Order | None = None
    nonce: Nonce | None = None


class StateFault(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A fault of a terminal: `reader`, `clock`, `disk`, `file` and so on, with words.

    An `id` of a later version is shown as it is. `subject` is the reader's name, for a reader.
    """

    id: Id
    words: str
    subject: str | None = None


class TerminalState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Retained, for people and monitoring; no program relies on it.

    The last will is `online` false alone. `last_tap_at` is when a card was presented last.
    `disk_free_mb` is free on the ledger's disk, in millions of bytes. `temperature_c` is the
    machine's, in degrees Celsius, where it shows one. `faults` are all that the terminal knows.

    `clock_fault` is what is wrong with the clocks, and what to do; absent if nothing is known.
    `wrong_times` counts kept entries whose time was found to be wrong.
    `fault` is why the terminal answers every tap with *out of order*; members that its file would
    give are absent then. `disk_fault` names a disk that is nearly full, and what fills it.
    `mirror` is "ready", or why there is no second copy of the ledger;
    absent where none is configured. `wiped`: it serves nobody until it is given work again.
    `link_fault` is why the broker does not take some messages.
    `not_booked_since` is there while entries wait and none was booked for a minute or more, and
    `not_booked_reason` is the likely reason.
    """

    online: bool
    at: Instant | None = None
    software: str | None = None
    pending: Count | None = None
    oldest_pending_at: Instant | None = None
    last_contact_at: Instant | None = None
    readers: dict[str, str] = {}
    set_aside: Count | None = None
    incidents: Count | None = None
    clock: ClockTrust | None = None
    clock_fault: str | None = None
    wrong_times: Count | None = None
    fault: str | None = None
    disk_fault: str | None = None
    mirror: str | None = None
    wiped: bool = False
    link_fault: str | None = None
    not_booked_since: Instant | None = None
    not_booked_reason: str | None = None
    last_tap_at: Instant | None = None
    disk_free_mb: Count | None = None
    temperature_c: int | None = None
    faults: list[StateFault] = []


class CentralState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Retained, also the last will. A terminal sends a hello when the central comes up."""

    online: bool
    generation: Generation | None = None
    at: Instant | None = None


_Message = TypeVar("_Message", Hello, Entries, Changes, TerminalState, CentralState)

_KNOWN_FLAGS = frozenset(Flag)
_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError)

_encoder = msgspec.json.Encoder()


def encode(message: Hello | Entries | Changes | TerminalState | CentralState | Order) -> bytes:
    """Return the JSON of a message."""
    return _encoder.encode(message)


def decode(payload: bytes, form: type[_Message]) -> _Message:
    """Return the message. Raise `SyncError` with what is wrong with it."""
    if len(payload) > MESSAGE_BYTES_MAX:
        raise SyncError(
            f"{len(payload)} bytes are more than the {MESSAGE_BYTES_MAX} a message may have"
        )
    try:
        payload.decode("utf-8")  # msgspec does not check the texts of unknown fields
        message = msgspec.json.decode(payload, type=form)
    except _UNDECODABLE as error:
        raise SyncError(f"not a message of this kind: {error}") from error
    at = getattr(message, "at", None)
    if at is not None and not is_instant(at):
        raise SyncError(f"not a message of this kind: {at} is no time")
    return message


def decode_entry(raw: Raw) -> Entry:
    """Return an entry of a batch, without flags of later versions.

    Raise `SyncError` for a malformed one.
    """
    try:
        entry = _entry_of(raw)
    except _UNDECODABLE as error:
        raise SyncError(f"not an entry: {error}") from error
    if not is_instant(entry.at):
        raise SyncError(f"not an entry: {entry.at} is no time")
    return entry


def _entry_of(raw: Raw) -> Entry:
    try:
        return msgspec.json.decode(raw, type=Entry)
    except msgspec.ValidationError:
        members = msgspec.json.decode(raw, type=dict[str, object])
        flags = members.get("flags")
        if not isinstance(flags, list) or not all(isinstance(flag, str) for flag in flags):
            raise
        members["flags"] = [flag for flag in flags if flag in _KNOWN_FLAGS]
        return msgspec.convert(members, Entry)
