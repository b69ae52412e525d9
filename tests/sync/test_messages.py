"""A bad message gives one sentence, the contract's limits are kept, new fields are ignored."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from agent.domain.ledger import SEQ_MAX, Entry
from agent.errors import SyncError
from agent.sync.messages import (
    BATCH_ENTRIES_MAX,
    CHUNK_RECORDS_MAX,
    MESSAGE_BYTES_MAX,
    NONCE_CHARACTERS_MAX,
    CentralState,
    Changes,
    Entries,
    Hello,
    Order,
    TerminalState,
    decode,
    decode_entry,
    encode,
    is_done,
    order_fault,
)

CHANGES = {
    "generation": "c0ffee" * 4,
    "from": 0,
    "to": 5,
    "acked": {"epoch": "1-0123456789abcdef", "seq": 0, "hash": "0" * 64},
    "at": "2026-11-23T11:02:08.004Z",
}


def test_a_message_is_the_same_after_decoding_and_encoding() -> None:
    message = decode(json.dumps(CHANGES).encode(), Changes)
    assert decode(encode(message), Changes) == message
    assert (message.from_position, message.more, message.order) == (0, False, None)


HELLO = {
    "epoch": "1-0123456789abcdef",
    "oldest": 1,
    "last": 0,
    "acked": 0,
    "head": "0" * 64,
    "acked_head": "0" * 64,
    "software": "0.1.0",
    "schema": 1,
    "clock": "synced",
    "at": "2026-11-23T11:02:07.120Z",
}


@pytest.mark.parametrize(
    ("form", "members"),
    [
        (Changes, CHANGES),
        (TerminalState, {"online": False}),
        (TerminalState, {"online": True, "faults": [{"id": "disk", "words": "full"}]}),
        (CentralState, {"online": False}),
    ],
)
def test_a_member_that_a_message_does_not_need_is_not_sent(
    form: type[Changes | TerminalState | CentralState], members: dict[str, object]
) -> None:
    message = decode(json.dumps(members).encode(), form)  # type: ignore[type-var]
    assert json.loads(encode(message)) == members


def test_a_sender_that_leaves_a_member_out_does_not_mean_it() -> None:
    hello = decode(json.dumps(HELLO).encode(), Hello)
    assert (hello.wiped, hello.generation, hello.position, hello.nonce) == (False, None, 0, None)
    changes = decode(json.dumps(CHANGES).encode(), Changes)
    assert (changes.reset, changes.more, changes.notes_after) == (False, False, 0)
    assert not decode(b'{"online": true}', TerminalState).wiped


# C9
def test_fields_of_a_later_version_are_ignored() -> None:
    assert decode(json.dumps({**CHANGES, "colour": "blue"}).encode(), Changes).to == 5


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (b"", "not a message"),
        (b"{", "not a message"),
        (b"[]", "Expected `object`"),
        (b"\xff\xfe", "not a message"),
        (b"[" * 100_000, "not a message"),
        (json.dumps({**CHANGES, "to": "5"}).encode(), r"Expected `int`, got `str` - at `\$.to`"),
        (json.dumps({**CHANGES, "to": -1}).encode(), r"at `\$.to`"),
        (json.dumps({**CHANGES, "at": "yesterday"}).encode(), r"at `\$.at`"),
        (
            json.dumps({key: value for key, value in CHANGES.items() if key != "acked"}).encode(),
            "missing required field `acked`",
        ),
    ],
)
def test_a_bad_message_is_one_sentence(payload: bytes, sentence: str) -> None:
    with pytest.raises(SyncError, match=sentence):
        decode(payload, Changes)


# C1
def test_a_message_has_at_most_message_bytes_max() -> None:
    payload = json.dumps(CHANGES).encode()
    assert decode(payload + b" " * (MESSAGE_BYTES_MAX - len(payload)), Changes).to == 5
    with pytest.raises(SyncError, match=f"more than the {MESSAGE_BYTES_MAX} a message may have"):
        decode(payload + b" " * (MESSAGE_BYTES_MAX + 1 - len(payload)), Changes)


# C40
def test_a_changes_message_has_at_most_chunk_records_max_records() -> None:
    def with_records(count: int) -> Changes:
        return decode(json.dumps({**CHANGES, "records": [{}] * count}).encode(), Changes)

    assert len(with_records(CHUNK_RECORDS_MAX).records) == CHUNK_RECORDS_MAX
    with pytest.raises(SyncError, match=r"at `\$.records`"):
        with_records(CHUNK_RECORDS_MAX + 1)


def test_a_nonce_has_at_most_nonce_characters_max_characters() -> None:
    def with_nonce(characters: int) -> Changes:
        return decode(json.dumps({**CHANGES, "nonce": "n" * characters}).encode(), Changes)

    assert with_nonce(NONCE_CHARACTERS_MAX).nonce == "n" * NONCE_CHARACTERS_MAX
    for characters in (0, NONCE_CHARACTERS_MAX + 1):
        with pytest.raises(SyncError, match="nonce"):
            with_nonce(characters)


# C30
def test_a_batch_has_at_least_one_and_at_most_batch_entries_max_entries() -> None:
    def with_entries(count: int) -> Entries:
        batch = {"epoch": "1-0123456789abcdef", "prev": "0" * 64, "entries": [{}] * count}
        return decode(json.dumps(batch).encode(), Entries)

    assert len(with_entries(BATCH_ENTRIES_MAX).entries) == BATCH_ENTRIES_MAX
    for count in (0, BATCH_ENTRIES_MAX + 1):
        with pytest.raises(SyncError, match=r"at `\$.entries`"):
            with_entries(count)


# C8
def test_a_seq_is_at_most_seq_max() -> None:
    def with_seq(seq: int) -> Changes:
        acked = {"epoch": "1-0123456789abcdef", "seq": seq, "hash": "0" * 64}
        return decode(json.dumps({**CHANGES, "acked": acked}).encode(), Changes)

    assert with_seq(SEQ_MAX).acked.seq == SEQ_MAX
    with pytest.raises(SyncError, match=r"at `\$.acked.seq`"):
        with_seq(SEQ_MAX + 1)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_sync_error(payload: bytes) -> None:
    for form in (Changes, Hello):
        try:
            message = decode(payload, form)  # type: ignore[type-var]
        except SyncError as error:
            assert str(error)
        else:
            assert isinstance(message, form)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_an_entry_or_a_sync_error(value: object) -> None:
    raw = Raw(json.dumps(value).encode())
    try:
        entry = decode_entry(raw)
    except SyncError as error:
        assert str(error)
    else:
        assert isinstance(entry, Entry)


ENTRY = {
    "kind": "meal",
    "cents": -366,
    "at": "2026-11-23T11:02:05.331Z",
    "clock": "synced",
    "boot": "b",
    "mono_ms": 1,
    "how": "card",
}


# C126
@pytest.mark.parametrize(
    ("flags", "known"),
    [
        (["stale", "on_credit"], ["stale", "on_credit"]),
        (["stale", "new"], ["stale"]),
        (["new"], []),
    ],
)
def test_a_flag_of_a_later_version_is_left_out(flags: list[str], known: list[str]) -> None:
    assert decode_entry(Raw(json.dumps({**ENTRY, "flags": flags}).encode())).flags == known


@pytest.mark.parametrize(
    "change",
    [
        {"flags": "stale"},
        {"flags": ["new", 7]},
        {"flags": [["stale"]]},
        {"flags": ["new"], "cents": "0"},
        {"at": "2026-02-30T11:02:05.331Z"},
        {"at": "1969-12-31T23:59:59.999Z"},
    ],
)
def test_an_entry_with_another_fault_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(SyncError, match="not an entry"):
        decode_entry(Raw(json.dumps(ENTRY | change).encode()))


# C81
@pytest.mark.parametrize(
    ("order", "fault"),
    [
        ("o-c0ffee00-2", None),
        ("o-c0ffee00-02", "an id is o-"),
        ("wipe-it", "an id is o-"),
        ("o-beefbeef-2", "not numbered in generation c0ffee00"),
    ],
)
def test_an_orders_id_is_numbered_in_the_generation(order: str, fault: str | None) -> None:
    words = order_fault(Order(id=order, do="resync"), "0123456789abcdefc0ffee00")
    assert words is None if fault is None else fault in str(words)


# C80
@pytest.mark.parametrize(
    ("order", "done", "expected"),
    [
        ("o-c0ffee00-2", None, False),
        ("o-c0ffee00-2", "o-c0ffee00-2", True),
        ("o-c0ffee00-2", "o-c0ffee00-10", True),
        ("o-c0ffee00-11", "o-c0ffee00-10", False),
        ("o-beefbeef-2", "o-c0ffee00-10", False),
        ("wipe-it", "wipe-it", True),
        ("wipe-it", "wipe-that", False),
        ("wipe-it", "o-c0ffee00-10", False),
        ("o-c0ffee00-2", "wipe-it", False),
    ],
)
def test_an_order_is_done_when_it_or_a_later_one_was(
    order: str, done: str | None, expected: bool
) -> None:
    assert is_done(order, done) is expected
