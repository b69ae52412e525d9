"""The vectors of the contract hold, computed again with nothing but hashlib and json.

`Reader` is a second terminal, written from PROTOCOL.md alone.
"""

import hashlib
import hmac
import json
from typing import Any

import jsonschema
import pytest

from agent.domain.card import card_token, parse_card_id, parse_card_key
from agent.domain.digest import Tally, tally
from agent.domain.ledger import canonical, genesis, received_hash
from docs import schemas, vectors
from tests.parts.wire import KEY


def load(name: str) -> Any:
    return json.loads((vectors.FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def plain(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def entry_hash(previous: str, entry: dict[str, Any]) -> str:
    body = {name: value for name, value in entry.items() if name != "hash"}
    return hashlib.sha256(bytes.fromhex(previous) + plain(body)).hexdigest()


def first_hash(town: str, terminal: str, epoch: str) -> str:
    return hashlib.sha256(f"{town}/{terminal}/{epoch}".encode()).hexdigest()


def digest_of(records: list[dict[str, Any]]) -> dict[str, Any]:
    total = sum(int(hashlib.sha256(plain(record)).hexdigest()[:16], 16) for record in records)
    accounts = [record for record in records if record["k"] == "account"]
    return {
        "accounts": len(accounts),
        "cards": sum(record["k"] == "card" for record in records),
        "cents": sum(record["balance"] for record in accounts),
        "sum": f"{total % 2**64:016x}",
    }


class Reader:
    """What a terminal holds after the `changes` of one exchange, by the contract's rules."""

    def __init__(self) -> None:
        self.generation: str | None = None
        self.position = 0
        self.until: int | None = None
        self.named: set[tuple[str, str]] = set()
        self.records: dict[tuple[str, str], dict[str, Any]] = {}
        self.acked: dict[str, Any] = {}

    def take(self, message: dict[str, Any]) -> None:
        is_snapshot = message.get("reset", False) and message["from"] == 0
        if message["generation"] != self.generation:
            if not is_snapshot or message.get("replaces") != self.generation:
                return  # C61
            self.generation, self.position = message["generation"], 0
        elif message["from"] > self.position or message["to"] < self.position:
            return  # C64, C70
        if is_snapshot:
            self.until, self.named = message["until"], set()
        for record in message.get("records", []):
            self._store(record)
        self.position, self.acked = message["to"], message["acked"]
        if self.until is not None and self.position >= self.until:  # C52
            self.records = {key: self.records[key] for key in self.records if key in self.named}
            self.until = None
        digest = message.get("digest")
        if digest is not None and digest["position"] == self.position and self.until is None:
            own = digest_of(list(self.records.values()))
            assert {**own, "position": self.position} == digest
        if message.get("order", {}).get("do") == "resync":
            self.position, self.until = 0, 2**53

    def _store(self, record: dict[str, Any]) -> None:
        if record["k"] == "gone":
            key = record["of"], record["id"]
            if key in self.records and self.records[key]["p"] < record["p"]:
                del self.records[key]
        elif record["k"] != "note":
            key = record["k"], record["from" if record["k"] == "policy" else "id"]
            self.records[key] = record
            self.named.add(key)

    def holds(self) -> dict[str, Any]:
        return {
            "generation": self.generation,
            "position": self.position,
            "acked": {name: self.acked[name] for name in ("epoch", "seq")},
            "in_a_snapshot": self.until is not None,
            "records": [self.records[key] for key in sorted(self.records)],
        }


def test_the_printed_vectors_are_what_the_program_computes() -> None:
    assert vectors.main(check=True) == 0


# C10 C11 C12
def test_tokens_are_hmac_sha256_of_the_card_id() -> None:
    vector = load("tokens")
    key = bytes.fromhex(vector["key_file"].strip())
    assert key == KEY == parse_card_key(vector["key_file"], where="vector")
    for card_id, token in vector["tokens"].items():
        assert hmac.new(key, card_id.encode(), hashlib.sha256).digest()[:16].hex() == token
        assert card_token(key, parse_card_id(card_id)) == token


# C34 C35 C9
def test_entries_chain_from_the_first_hash() -> None:
    vector = load("entries")
    names = vector["town"], vector["terminal"], vector["epoch"]
    previous = vector["first_hash"]
    assert previous == first_hash(*names) == genesis(*names)
    for part in vector["entries"]:
        entry = part["entry"]
        body = {name: value for name, value in entry.items() if name != "hash"}
        assert plain(body).decode() == part["canonical"] == canonical(body).decode()
        assert entry_hash(previous, entry) == entry["hash"] == received_hash(previous, entry)
        previous = entry["hash"]


# C55 C56
def test_the_digest_covers_unknown_kinds_and_fields_and_keeps_leading_zeros() -> None:
    vector = load("digest")
    records = [part["record"] for part in vector["records"]]
    assert all(plain(part["record"]).decode() == part["canonical"] for part in vector["records"])
    assert "menu" in {record["k"] for record in records}
    assert vector["digest"]["sum"].startswith("00")
    assert digest_of(records) == vector["digest"]
    total = tally(((record["k"], canonical(record)) for record in records), Tally())
    assert total.sum_hex == vector["digest"]["sum"]


# C43 C50 C52 C53 C57
def test_a_snapshot_in_chunks_ends_where_it_says() -> None:
    reader = Reader()
    for step in load("chunked-reset")["steps"]:
        reader.take(step["changes"])
        assert reader.holds() == step["then"]


# C21 C24 C36 C61 C87
@pytest.mark.parametrize("name", ["epoch-change", "restore"])
def test_a_second_terminal_holds_the_same_after_an_exchange(name: str) -> None:
    vector, reader = load(name), Reader()
    nonces = []
    for message in vector["messages"]:
        if "hello" in message:
            nonces.append(message["hello"]["nonce"])
        if "changes" in message:
            reader.take(message["changes"])
            assert message["changes"].get("nonce", nonces[-1]) in nonces
    assert reader.holds() == vector["then"]


# C34 C35 C100
@pytest.mark.parametrize("name", ["epoch-change", "restore"])
def test_the_entries_of_an_exchange_chain_and_are_acknowledged(name: str) -> None:
    vector = load(name)
    hashes = {}
    for message in vector["messages"]:
        batch = message.get("entries")
        if batch is None:
            continue
        previous = batch["prev"]
        if batch["entries"][0]["seq"] == 1:
            assert previous == first_hash(vector["town"], vector["terminal"], batch["epoch"])
        for entry in batch["entries"]:
            assert entry_hash(previous, entry) == entry["hash"]
            previous = hashes[batch["epoch"], entry["seq"]] = entry["hash"]
    acked = [message["changes"]["acked"] for message in vector["messages"] if "changes" in message]
    assert all(a["hash"] == hashes[a["epoch"], a["seq"]] for a in acked if a["seq"])
    newest = vector["then"]["acked"]
    assert (newest["epoch"], newest["seq"]) == max(hashes)


# C107
def test_a_restored_central_replaces_its_generation() -> None:
    changes = [m["changes"] for m in load("restore")["messages"] if "changes" in m]
    (begin,) = [message for message in changes if "replaces" in message]
    before = changes[changes.index(begin) - 1]
    assert begin["replaces"] == before["generation"] != begin["generation"]
    assert begin["acked"]["seq"] < before["acked"]["seq"]


def test_every_message_of_the_vectors_fits_its_schema() -> None:
    document = json.loads((schemas.FOLDER / "schemas.json").read_text(encoding="utf-8"))
    forms = {"hello": "Hello", "entries": "Entries", "changes": "Changes"}
    messages = [m for name in ("epoch-change", "restore") for m in load(name)["messages"]]
    messages += load("chunked-reset")["steps"]
    for message in messages:
        leaf = next(iter(message))
        form = {**document, "$ref": f"#/$defs/{forms[leaf]}"}
        assert not list(jsonschema.Draft202012Validator(form).iter_errors(message[leaf]))
