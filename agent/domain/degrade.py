"""Reads a record in which a field has a value that this version does not know.

A later central may send a new category, status or rule. Then the field alone falls back to the
value with which the child eats, and the record stays as it came, so that the digest agrees. Only a
record without usable required fields cannot be read (PROTOCOL.md, "Values that are not known").
"""

from collections.abc import Callable, Mapping
from typing import Annotated, TypeVar, get_args, get_origin

import msgspec

from agent.domain.canteen import (
    CENTS_MAX,
    AccountRecord,
    CardRecord,
    PolicyRecord,
    ServiceRecord,
)

KnownRecord = AccountRecord | CardRecord | PolicyRecord | ServiceRecord

_Record = TypeVar("_Record", bound=KnownRecord)

_SERVES = {
    # Where the default could refuse a child that the unknown value would serve.
    "floor": -CENTS_MAX,
    "serve_all_until": "2199-12-31T23:59:59.999Z",
    "stale_after_h": 1,
}


def read_known(
    form: type[_Record], body: bytes | msgspec.Raw, members: Mapping[str, object] | None = None
) -> tuple[_Record, list[str]]:
    """Return a record, and the names of its fields that fell back.

    `members` are those of `body`, where they are decoded already. Raise `msgspec.MsgspecError` if
    a required field cannot be read, or `body` is no JSON.
    """
    try:
        return msgspec.json.decode(body, type=form), []
    except msgspec.ValidationError:
        if members is None:
            members = msgspec.json.decode(body, type=dict[str, object])
        return _read_fields(form, members)


def _read_fields(form: type[_Record], members: Mapping[str, object]) -> tuple[_Record, list[str]]:
    values: dict[str, object] = {}
    unknown: list[str] = []
    for info in msgspec.structs.fields(form):
        name = info.encode_name
        if name not in members:
            if info.required:
                raise msgspec.ValidationError(f"Object missing required field `{name}`")
            continue
        value = members[name]
        try:
            values[info.name] = msgspec.convert(value, info.type)
        except msgspec.ValidationError as error:
            if info.required:
                raise msgspec.ValidationError(f"{error} - at `$.{name}`") from None
            unknown.append(name)
            item = _item_type(info.type)
            if isinstance(value, list) and item is not None:
                values[info.name] = _usable(value, item)
            elif name in _SERVES:
                values[info.name] = _SERVES[name]
    make: Callable[..., _Record] = form
    return make(**values), unknown


def _item_type(form: object) -> object | None:
    """Return the type of a list's items, None for another type."""
    if get_origin(form) is Annotated:
        form = get_args(form)[0]
    return get_args(form)[0] if get_origin(form) is list else None


def _usable(items: list[object], form: object) -> list[object]:
    """Return the items that can be read."""
    usable = []
    for item in items:
        try:
            usable.append(msgspec.convert(item, form))
        except msgspec.ValidationError:
            continue
    return usable
