"""The printed contract and its examples agree with the program."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from agent.sync.messages import (
    CentralState,
    Changes,
    Entries,
    Hello,
    TerminalState,
    decode,
    decode_entry,
)
from agent.sync.records import UnusableRecord, decode_record
from docs import examples, schemas

EXAMPLES: dict[str, Any] = {
    "hello": Hello,
    "entries": Entries,
    "terminal-state": TerminalState,
    "changes-first": Changes,
    "changes-after-a-batch": Changes,
    "changes-with-digest": Changes,
    "central-state": CentralState,
}


def schema(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        (schemas.FOLDER / "schemas.json").read_text(encoding="utf-8")
    )
    return {**document, "$ref": f"#/$defs/{name}"}


def test_the_printed_documents_match_the_message_types() -> None:
    assert schemas.main(check=True) == 0
    assert examples.main(check=True) == 0


def test_a_printed_description_is_the_same_on_every_python() -> None:
    # Python 3.13 removes the indentation of docstrings, 3.11 does not.
    descriptions = [form.get("description", "") for form in schemas.schemas().values()]
    assert any("\n" in text for text in descriptions)
    assert not any("\n " in text for text in descriptions)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_can_be_decoded_and_fits_its_schema(name: str) -> None:
    payload = (examples.FOLDER / f"{name}.json").read_bytes()
    form = EXAMPLES[name]
    message = decode(payload, form)
    jsonschema.validate(
        json.loads(payload), schema(form.__name__), cls=jsonschema.Draft202012Validator
    )
    if isinstance(message, Entries):
        assert {decode_entry(raw).kind.value for raw in message.entries} >= {
            "meal",
            "unknown_meal",
            "storno",
            "refusal",
            "closing",
        }
    if isinstance(message, Changes):
        records = [decode_record(raw) for raw in message.records]
        assert records or message.digest
        assert not any(isinstance(record, UnusableRecord) for record in records)


def test_the_schemas_refuse_what_the_decoder_refuses() -> None:
    hello = json.loads((examples.FOLDER / "hello.json").read_bytes())
    for change in ({"position": -1}, {"epoch": "x"}, {"at": "yesterday"}, {"clock": "fine"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(
                {**hello, **change}, schema("Hello"), cls=jsonschema.Draft202012Validator
            )


def test_the_schemas_are_valid_and_every_reference_has_a_target() -> None:
    document = json.loads((schemas.FOLDER / "schemas.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    for name, text in (
        ("schemas.json", json.dumps(document)),
        ("asyncapi.json", (schemas.FOLDER / "asyncapi.json").read_text("utf-8")),
    ):
        for reference in _references(json.loads(text)):
            file, _, pointer = reference.partition("#")
            target: Any = json.loads((schemas.FOLDER / (file or name)).read_text(encoding="utf-8"))
            for part in pointer.strip("/").split("/"):
                target = target[part]


def test_the_contract_names_every_topic() -> None:
    text = Path(schemas.FOLDER.parent / "PROTOCOL.md").read_text(encoding="utf-8")
    for channel in schemas.asyncapi()["channels"].values():
        assert f"`{channel['address'].partition('/{town}/')[2]}`" in text


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [name for inner in value.values() for name in _references(inner)]
    if isinstance(value, list):
        return [name for inner in value for name in _references(inner)]
    return []
