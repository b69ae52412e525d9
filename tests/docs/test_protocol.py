"""The printed contract and its examples agree with the program."""

import json
import re
from typing import Any

import jsonschema
import pytest

from agent.domain.canteen import ID_CHARACTERS_MAX, OUTSIDE_HOURS_GRACE_MIN
from agent.domain.card import CARD_KEY_BYTES_MIN, TOKEN_BYTES
from agent.domain.ledger import SEQ_MAX
from agent.domain.timekeeper import ANSWER_EVERY_MS, ANSWERS, ROUND_TRIP_MAX_MS
from agent.sync.messages import (
    BATCH_ENTRIES_MAX,
    BATCHES_UNACKED_MAX,
    CHUNK_RECORDS_MAX,
    CONTRACT_VERSION,
    MESSAGE_BYTES_MAX,
    CentralState,
    Changes,
    Entries,
    Hello,
    TerminalState,
    decode,
    decode_entry,
)
from agent.sync.records import UnusableRecord, decode_record
from agent.sync.session import (
    CONFIRM_EVERY_MS,
    HEARTBEAT_MS,
    HELLO_BURST,
    HELLO_EVERY_MS,
    RECONNECT_AFTER_MS,
    RETRY_FIRST_MS,
    RETRY_MAX_MS,
)
from docs import examples, schemas
from docs.printed import ROOT

EXAMPLES: dict[str, Any] = {
    "hello": Hello,
    "entries": Entries,
    "terminal-state": TerminalState,
    "changes-first": Changes,
    "changes-after-a-batch": Changes,
    "changes-with-digest": Changes,
    "central-state": CentralState,
}

PAGE = " ".join((ROOT / "docs/PROTOCOL.md").read_text(encoding="utf-8").split())
STATED = [
    (MESSAGE_BYTES_MAX, 256 * 1024, "JSON in UTF-8, at most 256 KiB"),
    (CONTRACT_VERSION, 1, "between a terminal and the central, version 1"),
    (ID_CHARACTERS_MAX, 64, "An id has 1 to 64 letters"),
    (SEQ_MAX, 8_589_934_591, "at most `SEQ_MAX` = 8,589,934,591"),
    (TOKEN_BYTES, 16, "the first 16 bytes of HMAC-SHA256"),
    (CARD_KEY_BYTES_MIN, 16, "at least 32 hex digits"),
    (HEARTBEAT_MS, 300_000, "five minutes have passed since the last hello"),
    (CONFIRM_EVERY_MS, 60_000, "or one minute while its `clock` is not `synced`"),
    (RECONNECT_AFTER_MS, 900_000, "answers nothing for 15 minutes"),
    (ROUND_TRIP_MAX_MS, 60_000, "The answer must come within a minute"),
    ((ANSWERS, (ANSWERS - 1) * ANSWER_EVERY_MS), (3, 120_000), "three answers over two minutes"),
    (HELLO_BURST, 12, "sends 12 hellos at once"),
    (HELLO_EVERY_MS, 20_000, "then one in 20 seconds"),
    (BATCH_ENTRIES_MAX, 100, "at most 100 entries"),
    (BATCHES_UNACKED_MAX, 4, "At most 4 batches are unacknowledged"),
    (RETRY_FIRST_MS, 2_000, "The retry time is 2 s"),
    (RETRY_MAX_MS, 300_000, "then doubles up to 5 minutes"),
    (OUTSIDE_HOURS_GRACE_MIN, 30, "up to 30 minutes outside the service's hours"),
    (CHUNK_RECORDS_MAX, 200, "at most 200, by position"),
]


@pytest.mark.parametrize(("kept", "number", "words"), STATED)
def test_a_limit_is_the_one_that_the_contract_states(
    kept: object, number: object, words: str
) -> None:
    assert kept == number
    assert words in PAGE


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


RECORD = {"id": "a-1", "p": 3}
GOOD_RECORDS: list[dict[str, Any]] = [
    {"k": "account", "balance": 5, **RECORD},
    {"k": "account", "balance": 5, "of_a_later_version": 1, **RECORD},
    {"k": "card", "id": "0" * 32, "p": 1, "account": "a-1"},
    {"k": "policy", "from": "2026-09-01", "p": 1},
    {"k": "gone", "of": "policy", "id": "2026-09-01", "p": 4},
    {"k": "menu", "id": "any id of a later version", "p": 4},
]
BROKEN_RECORDS: list[dict[str, Any]] = [
    {"k": "account", **RECORD},
    {"k": "account", "balance": "5", **RECORD},
    {"k": "account", "balance": 5, "category": "nun", **RECORD},
    {"k": "account", "balance": 5, "id": "a 1", "p": 1},
    {"k": "card", "id": "short", "p": 1, "account": "a-1"},
    {"k": "policy", "p": 1},
    {"k": "gone", "id": "a-1", "p": 1},
    {"k": "note", "id": "n", "p": 1, "status": "applied"},
    {"k": "menu", "p": 1},
    {"k": "menu", "id": "m"},
    {"k": "menu", "id": "m", "p": -1},
    {"k": "", "id": "m", "p": 1},
    {"id": "m", "p": 1},
]


def fits(name: str, value: object) -> bool:
    return jsonschema.Draft202012Validator(schema(name)).is_valid(value)


def test_the_schema_checks_each_record_by_its_kind() -> None:
    changes = json.loads((examples.FOLDER / "changes-first.json").read_bytes())
    for record in GOOD_RECORDS:
        assert fits("Changes", {**changes, "records": [record]}), record
    for record in BROKEN_RECORDS:
        assert not fits("Changes", {**changes, "records": [record]}), record


# C33
@pytest.mark.parametrize(
    "change",
    [
        {"hash": None},
        {"hash": ""},
        {"seq": None},
        {"seq": 0},
        {"account": None},
        {"cents": 1},
        {"kind": "storno"},
        {"kind": "refusal", "cents": 0},
        {"kind": "closing", "cents": 0, "trays": 1},
        {"kind": "unknown_meal", "cents": -1},
    ],
)
def test_the_schema_refuses_an_entry_that_no_terminal_sends(change: dict[str, object]) -> None:
    batch = json.loads((examples.FOLDER / "entries.json").read_bytes())
    meal = next(entry for entry in batch["entries"] if entry["kind"] == "meal")
    broken = {name: value for name, value in {**meal, **change}.items() if value is not None}
    assert fits("Entries", {**batch, "entries": [meal]})
    assert not fits("Entries", {**batch, "entries": [broken]})


# C81
@pytest.mark.parametrize("order_id", ["o-9", "o-5ea1c0de-0", "o-5EA1C0DE-1", "resync-1"])
def test_the_schema_refuses_other_forms_of_an_orders_id(order_id: str) -> None:
    assert fits("Order", {"id": "o-5ea1c0de-18", "do": "resync"})
    assert not fits("Order", {"id": order_id, "do": "resync"})


def test_the_asyncapi_document_has_servers_security_patterns_and_last_wills() -> None:
    document = schemas.asyncapi()
    for server in document["servers"].values():
        assert server["security"]
        will = server["bindings"]["mqtt"]["lastWill"]
        assert will["topic"].endswith("/state") and decode(
            will["message"].encode(), TerminalState
        ) == TerminalState(online=False)
    town = document["channels"]["hello"]["parameters"]["town"]["x-pattern"]
    assert re.search(town, "borgofiorito") and not re.search(town, "borgo/fiorito")


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
            assert target, reference


def test_the_contract_names_every_topic() -> None:
    text = (ROOT / "docs" / "PROTOCOL.md").read_text(encoding="utf-8")
    for channel in schemas.asyncapi()["channels"].values():
        assert f"`{channel['address'].partition('/{town}/')[2]}`" in text


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [name for inner in value.values() for name in _references(inner)]
    if isinstance(value, list):
        return [name for inner in value for name in _references(inner)]
    return []
