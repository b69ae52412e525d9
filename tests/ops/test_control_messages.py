"""The messages of the local interface: money only where it is requested, and a printed schema."""

from typing import get_args

import jsonschema
import msgspec
import pytest

from agent.ops import control_messages as messages
from docs.control import schema

MONEY = ("cents", "balance", "price", "category", "flag", "credit")


def shapes_in(shape: object) -> set[type[msgspec.Struct]]:
    """Return a message and all messages in it."""
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        fields = msgspec.structs.fields(shape)
        return {shape}.union(*(shapes_in(field.type) for field in fields))
    return set().union(*(shapes_in(part) for part in get_args(shape)))


def test_no_message_but_the_answer_to_credit_has_money() -> None:
    shown = shapes_in(messages.News) | {messages.Eater}
    names = {field.encode_name for shape in shown for field in msgspec.structs.fields(shape)}
    assert {messages.Tap, messages.Counters, messages.Condition} < shown
    assert not [name for name in names for word in MONEY if word in name]
    assert "cents" in {field.name for field in msgspec.structs.fields(messages.Credit)}


def test_the_printed_schema_fits_a_message() -> None:
    document = msgspec.json.decode(schema())
    tap = messages.Tap(
        epoch="1-0f", seq=1, at="2026-11-26T11:14:09.120Z", word=messages.Word.SERVED
    )
    line = msgspec.json.decode(msgspec.json.encode(messages.Tapped(number=2, tap=tap)))
    form = {**document, "$ref": "#/$defs/Tapped"}
    jsonschema.validate(line, form)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**line, "number": "two"}, form)
