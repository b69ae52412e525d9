"""Prints docs/protocol/: JSON Schemas and an AsyncAPI 3 document, made from the message types.

`python -m docs.schemas` writes the files. `--check` exits with 1 if a file differs from the types.
"""

import inspect
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from agent.domain.canteen import AccountRecord, CardRecord, GoneRecord, PolicyRecord, ServiceRecord
from agent.domain.ledger import Entry
from agent.sync.messages import CentralState, Changes, Entries, Hello, TerminalState
from agent.sync.topics import ROOT, Leaf

FOLDER = Path(__file__).resolve().parent / "protocol"
RECORDS = (AccountRecord, CardRecord, PolicyRecord, ServiceRecord, GoneRecord)
MESSAGES: dict[str, tuple[type, str, str]] = {
    # channel: (message type, topic below the town, sender)
    "hello": (Hello, f"t/{{terminal}}/{Leaf.HELLO}", "terminal"),
    "entries": (Entries, f"t/{{terminal}}/{Leaf.ENTRIES}", "terminal"),
    "terminalState": (TerminalState, f"t/{{terminal}}/{Leaf.STATE}", "terminal"),
    "changes": (Changes, f"t/{{terminal}}/{Leaf.CHANGES}", "central"),
    "centralState": (CentralState, "central/state", "central"),
}
RETAINED = {"terminalState", "centralState"}


def schemas() -> dict[str, Any]:
    """Return the JSON Schema of every message, entry and record, by name."""
    types = [form for form, _, _ in MESSAGES.values()]
    _, components = msgspec.json.schema_components(
        [*types, Entry, *RECORDS], ref_template="#/$defs/{name}"
    )
    # Entries and records are sent as raw JSON: a hash or a digest also covers the fields that a
    # receiver does not know.
    components["Entries"]["properties"]["entries"]["items"] = _reference("Entry")
    records = [_reference(form.__name__) for form in RECORDS]
    components["Changes"]["properties"]["records"]["items"] = {
        "anyOf": [*records, {"type": "object", "required": ["k", "id", "p"]}]
    }
    return {name: _clean(schema) for name, schema in sorted(components.items())}


def _clean(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a type's schema with its docstring as Python 3.13 keeps it: without indentation."""
    if "description" in schema:
        return {**schema, "description": inspect.cleandoc(schema["description"])}
    return schema


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3 document from a terminal's side: "send" means terminal to central."""
    town = {"description": "the town's id"}
    terminal = {"description": "the terminal's id"}
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for name, (form, address, sender) in MESSAGES.items():
        channels[name] = {
            "address": f"{ROOT}/{{town}}/{address}",
            "parameters": {
                "town": town,
                **({"terminal": terminal} if "{terminal}" in address else {}),
            },
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        }
        operations[f"{'send' if sender == 'terminal' else 'receive'}{form.__name__}"] = {
            "action": "send" if sender == "terminal" else "receive",
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": _first_sentence(form),
            "bindings": {"mqtt": {"qos": 1, "retain": name in RETAINED, "bindingVersion": "0.2.0"}},
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "The contract between a canteen terminal and its central",
            "version": "1.0.0",
            "description": "What the messages mean is in docs/PROTOCOL.md.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": {
                name: {
                    "contentType": "application/json",
                    "payload": {"$ref": f"schemas.json#/$defs/{form.__name__}"},
                }
                for name, (form, _, _) in MESSAGES.items()
            },
        },
    }


def texts() -> dict[Path, str]:
    """Return every printed file with its text."""
    files = {
        FOLDER / "asyncapi.json": asyncapi(),
        FOLDER / "schemas.json": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$defs": schemas(),
        },
    }
    return {
        path: json.dumps(value, indent=1, ensure_ascii=False) + "\n"
        for path, value in files.items()
    }


def main(check: bool) -> int:
    printed = texts()
    if check:
        wrong = [
            path
            for path, text in printed.items()
            if not path.exists() or path.read_text(encoding="utf-8") != text
        ]
        for path in wrong:
            name = path.relative_to(FOLDER.parent.parent)
            print(f"{name} differs from the message types; print it again with: make docs")
        return 1 if wrong else 0
    FOLDER.mkdir(exist_ok=True)
    for path, text in printed.items():
        path.write_text(text, encoding="utf-8")
    return 0


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def _first_sentence(form: type) -> str:
    text = " ".join(inspect.cleandoc(form.__doc__ or "").split())
    return text.partition(". ")[0].rstrip(".")


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
