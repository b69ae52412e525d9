"""Prints docs/reference/protocol/: JSON Schemas and an AsyncAPI 3 document, from the types.

`python -m docs.schemas` writes the files. `--check` exits with 1 if a file differs from the types.
"""

import inspect
import json
import sys
from pathlib import Path
from typing import Any, get_args

import msgspec

from agent.domain.canteen import (
    AccountRecord,
    CardRecord,
    GoneRecord,
    Id,
    PolicyRecord,
    ServiceRecord,
)
from agent.domain.ledger import Entry, Kind
from agent.sync.messages import (
    ORDER_ID,
    CentralState,
    Changes,
    Entries,
    Hello,
    TerminalState,
)
from agent.sync.records import UNKNOWN_ID_CHARACTERS_MAX, UNKNOWN_KIND_CHARACTERS_MAX, NoteRecord
from agent.sync.topics import ROOT, Leaf
from docs import printed

FOLDER = printed.ROOT / "docs" / "reference" / "protocol"
RECORDS = {
    "account": AccountRecord,
    "card": CardRecord,
    "policy": PolicyRecord,
    "service": ServiceRecord,
    "gone": GoneRecord,
    "note": NoteRecord,
}
INFO = {
    "title": "The contract between a canteen terminal and its central",
    "version": "1.0.0",
    "description": "What the messages mean is in docs/PROTOCOL.md.",
}
SECURITY = {
    "certificate": {
        "type": "X509",
        "description": "a client certificate; its common name is the client id",
    },
    "password": {
        "type": "userPassword",
        "description": "for a broker that knows its clients by name and password",
    },
}
ZERO, NOT_ABOVE_ZERO, NOT_BELOW_ZERO = {"const": 0}, {"maximum": 0}, {"minimum": 0}
ENTRIES = {
    # kind: (its cents, the fields that it must have)
    Kind.MEAL: (NOT_ABOVE_ZERO, ["account", "service", "day"]),
    Kind.STORNO: (NOT_BELOW_ZERO, ["reverses"]),
    Kind.UNKNOWN_MEAL: (ZERO, ["card", "service", "day"]),
    Kind.REFUSAL: (ZERO, ["reason"]),
    Kind.CLOSING: (ZERO, ["trays", "served"]),
}
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
        [*types, Entry, *RECORDS.values()], ref_template="#/$defs/{name}"
    )
    # Entries and records are sent as raw JSON: a hash or a digest also covers the fields that a
    # receiver does not know.
    components["Entries"]["properties"]["entries"]["items"] = _reference("Entry")
    components["Changes"]["properties"]["records"]["items"] = _record()
    _describe_entry_as_sent(components["Entry"])
    components["Order"]["properties"]["id"] = {"type": "string", "pattern": ORDER_ID}
    return {name: _clean(schema) for name, schema in sorted(components.items())}


def _record() -> dict[str, Any]:
    """Return the schema of a record: by its kind where that is known."""
    position = {"type": "integer", "minimum": 0, "maximum": 2**53}
    unknown = {
        "required": ["id"],
        "properties": {
            "k": {"maxLength": UNKNOWN_KIND_CHARACTERS_MAX},
            "id": {"type": "string", "minLength": 1, "maxLength": UNKNOWN_ID_CHARACTERS_MAX},
        },
    }
    return {
        "type": "object",
        "required": ["k", "p"],
        "properties": {"k": {"type": "string", "minLength": 1}, "p": position},
        "allOf": [
            {"if": _where("k", {"const": kind}), "then": _reference(form.__name__)}
            for kind, form in RECORDS.items()
        ]
        + [{"if": _where("k", {"enum": [*RECORDS]}), "else": unknown}],
    }


def _describe_entry_as_sent(schema: dict[str, Any]) -> None:
    """Require what every sent entry has: its number, its hash, and the fields of its kind."""
    schema["required"] = [*schema["required"], "seq", "hash"]
    schema["properties"]["seq"] = {**schema["properties"]["seq"], "minimum": 1}
    schema["properties"]["seq"].pop("default", None)
    schema["properties"]["hash"] = {"type": "string", "pattern": "^[0-9a-f]{64}(?!\\n)$"}
    schema["allOf"] = [
        {
            "if": _where("kind", {"const": kind.value}),
            "then": {
                "required": fields,
                "properties": {
                    "cents": cents,
                    **{field: {"not": {"type": "null"}} for field in fields},
                },
            },
        }
        for kind, (cents, fields) in ENTRIES.items()
    ]


def _where(member: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": [member], "properties": {member: schema}}


def _clean(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a type's schema with its docstring as Python 3.13 keeps it: without indentation."""
    if "description" in schema:
        return {**schema, "description": inspect.cleandoc(schema["description"])}
    return schema


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3 document from a terminal's side: "send" means terminal to central."""
    town = _parameter("the town's id", "borgofiorito")
    terminal = _parameter("the terminal's id", "t-1")
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
        "info": INFO,
        "defaultContentType": "application/json",
        "servers": {
            "terminal": _server("{town}/t/{terminal}", f"{ROOT}/{{town}}/t/{{terminal}}/state"),
            "central": _server("{town}/central", f"{ROOT}/{{town}}/central/state"),
        },
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
            "securitySchemes": SECURITY,
        },
    }


def _parameter(description: str, example: str) -> dict[str, Any]:
    """Return a topic parameter. AsyncAPI 3 has no pattern for one, so it is an extension."""
    (pattern,) = [meta.pattern for meta in get_args(Id)[1:]]
    return {"description": description, "examples": [example], "x-pattern": pattern}


def _server(client_id: str, will_topic: str) -> dict[str, Any]:
    """Return the broker as one side connects to it, with that side's last will."""
    return {
        "host": "broker.example:8883",
        "protocol": "mqtts",
        "protocolVersion": "5",
        "description": "the town's broker; MQTT 3.1.1 where it knows no 5",
        "security": [
            {"$ref": "#/components/securitySchemes/certificate"},
            {"$ref": "#/components/securitySchemes/password"},
        ],
        "bindings": {
            "mqtt": {
                "clientId": client_id,
                "cleanSession": False,
                "lastWill": {
                    "topic": will_topic,
                    "qos": 1,
                    "retain": True,
                    "message": '{"online":false}',
                },
                "bindingVersion": "0.2.0",
            }
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
    return printed.finish(texts(), check=check)


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def _first_sentence(form: type) -> str:
    text = " ".join(inspect.cleandoc(form.__doc__ or "").split())
    return text.partition(". ")[0].rstrip(".")


if __name__ == "__main__":
    sys.exit(main(printed.wants_check()))
