"""The records of a `changes` message, decoded one by one.

A record that can be used has a kind, an id and a position. A known kind of which some field cannot
be read is used without that field. A record that cannot be used is described as far as it can be
read, so that what is known of it is kept (PROTOCOL.md, "Values that are not known").
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from agent.domain.canteen import (
    AccountRecord,
    CardRecord,
    GoneRecord,
    PolicyRecord,
    Position,
    ServiceRecord,
)
from agent.domain.degrade import KnownRecord, read_known
from agent.domain.ledger import Epoch, Hash, Seq, canonical
from agent.errors import cut_reason

UNKNOWN_KIND_CHARACTERS_MAX = 32
"""A kind of a later version; the known ones have at most 7 characters."""
UNKNOWN_ID_CHARACTERS_MAX = 128
"""An id of a later version may be longer than ours."""

_Kind = Annotated[str, Meta(min_length=1, max_length=UNKNOWN_KIND_CHARACTERS_MAX)]
_AnyId = Annotated[str, Meta(min_length=1, max_length=UNKNOWN_ID_CHARACTERS_MAX)]

KNOWN_FORMS: dict[str, type[KnownRecord]] = {
    "account": AccountRecord,
    "card": CardRecord,
    "policy": PolicyRecord,
    "service": ServiceRecord,
}


class ReceivedRecord(Struct, frozen=True, kw_only=True):
    """A record that can be used. `body` is its canonical JSON, None for a tombstone.

    `unknown` names the fields with a value that this version does not know.
    """

    kind: str
    id: str
    p: int
    body: str | None
    unknown: list[str] = []


class UnusableRecord(Struct, frozen=True, kw_only=True):
    """A record that cannot be used: what of it can be read, and why it cannot be used."""

    kind: str | None
    id: str | None
    p: int | None
    body: str | None
    reason: str


class NoteRecord(Struct, frozen=True, kw_only=True, tag_field="k", tag="note"):
    """The central's whole present remark on an entry that was acknowledged before.

    `status` applied withdraws what was remarked. No digest covers it.
    """

    id: _AnyId
    p: Position
    epoch: Epoch
    seq: Seq
    hash: Hash
    status: str
    reason: str


class _Unknown(Struct):
    k: _Kind
    id: _AnyId
    p: Position


def decode_record(raw: Raw) -> ReceivedRecord | NoteRecord | UnusableRecord:
    """Return a record of a `changes` message, as far as it can be used."""
    members: object = None
    body: str | None = None
    try:
        members = msgspec.json.decode(raw)
        body = canonical(members).decode()
        if not isinstance(members, dict):
            raise msgspec.ValidationError("Expected `object`")
        return _read(members, raw, body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError) as error:
        return _unusable(members, body, str(error))


def _read(members: Mapping[str, object], raw: Raw, body: str) -> ReceivedRecord | NoteRecord:
    match members.get("k"):
        case "note":
            return msgspec.json.decode(raw, type=NoteRecord)
        case "gone":
            gone = msgspec.json.decode(raw, type=GoneRecord)
            return ReceivedRecord(kind=gone.of, id=gone.id, p=gone.p, body=None)
        case str(kind) if (form := KNOWN_FORMS.get(kind)) is not None:
            record, unknown = read_known(form, raw, members)
            record_id = record.from_day if isinstance(record, PolicyRecord) else record.id
            return ReceivedRecord(kind=kind, id=record_id, p=record.p, body=body, unknown=unknown)
        case _:
            other = msgspec.json.decode(raw, type=_Unknown)
            return ReceivedRecord(kind=other.k, id=other.id, p=other.p, body=body)


def _unusable(members: object, body: str | None, reason: str) -> UnusableRecord:
    if not isinstance(members, dict):
        members = {}
    kind = _part(members.get("k"), _Kind)
    record_id = _part(members.get("from" if kind == "policy" else "id"), _AnyId)
    return UnusableRecord(
        kind=kind,
        id=record_id,
        p=_position(members.get("p")),
        body=body,
        reason=cut_reason(f"not a record: {reason}"),
    )


def _part(value: object, form: object) -> str | None:
    try:
        return str(msgspec.convert(value, form))
    except msgspec.ValidationError:
        return None


def _position(value: object) -> int | None:
    try:
        return msgspec.convert(value, Position)
    except msgspec.ValidationError:
        return None
