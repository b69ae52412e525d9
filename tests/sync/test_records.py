"""The records of a message: used, used but for a field, or described as far as they can be read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from agent.domain.canteen import POSITION_MAX
from agent.sync.records import (
    UNKNOWN_ID_CHARACTERS_MAX,
    UNKNOWN_KIND_CHARACTERS_MAX,
    NoteRecord,
    ReceivedRecord,
    UnusableRecord,
    decode_record,
)


def received(raw: bytes) -> ReceivedRecord:
    record = decode_record(Raw(raw))
    assert isinstance(record, ReceivedRecord)
    return record


def unusable(raw: bytes) -> UnusableRecord:
    record = decode_record(Raw(raw))
    assert isinstance(record, UnusableRecord)
    return record


# C45
def test_a_record_has_its_kind_and_id_as_key() -> None:
    account = received(b'{"k":"account","p":3,"id":"a-1","balance":5,"new":1}')
    assert (account.kind, account.id, account.p, account.unknown) == ("account", "a-1", 3, [])
    # An unknown member stays in the digest.
    assert account.body == '{"balance":5,"id":"a-1","k":"account","new":1,"p":3}'
    policy = received(b'{"k":"policy","p":1,"from":"2026-09-01"}')
    assert (policy.kind, policy.id) == ("policy", "2026-09-01")
    gone = received(b'{"k":"gone","of":"card","id":"x","p":9}')
    assert (gone.kind, gone.id, gone.body) == ("card", "x", None)


# C94
def test_a_kind_of_a_later_version_is_kept_unread() -> None:
    record = received(b'{"k":"menu","id":"m-1","p":4,"dish":"pasta"}')
    assert (record.kind, record.id, record.p) == ("menu", "m-1", 4)
    assert record.body is not None and "pasta" in record.body


@pytest.mark.parametrize(
    ("kind", "record_id", "p", "is_used"),
    [
        ("x" * UNKNOWN_KIND_CHARACTERS_MAX, "y" * UNKNOWN_ID_CHARACTERS_MAX, POSITION_MAX, True),
        ("x" * (UNKNOWN_KIND_CHARACTERS_MAX + 1), "y", 1, False),
        ("x", "y" * (UNKNOWN_ID_CHARACTERS_MAX + 1), 1, False),
        ("x", "y", POSITION_MAX + 1, False),
    ],
)
def test_a_kind_of_a_later_version_has_limits(
    kind: str, record_id: str, p: int, is_used: bool
) -> None:
    record = decode_record(Raw(json.dumps({"k": kind, "id": record_id, "p": p}).encode()))
    assert isinstance(record, ReceivedRecord if is_used else UnusableRecord)


# C90
def test_a_value_of_a_later_version_costs_its_field_alone() -> None:
    record = received(b'{"k":"account","p":3,"id":"a-1","balance":5,"category":"nun"}')
    assert record.unknown == ["category"]
    assert record.body == '{"balance":5,"category":"nun","id":"a-1","k":"account","p":3}'


@pytest.mark.parametrize(
    ("raw", "kind", "record_id", "p"),
    [
        (b'{"k":"account","p":3,"id":"a-1"}', "account", "a-1", 3),
        (b'{"k":"account","p":"3","id":"a-1","balance":5}', "account", "a-1", None),
        (b'{"k":"card","p":1,"id":"short","account":"a"}', "card", "short", 1),
        (b'{"k":"policy","p":1,"from":7}', "policy", None, 1),
        (b'{"k":"menu"}', "menu", None, None),
        (b'{"k":5}', None, None, None),
        (b"7", None, None, None),
    ],
)
def test_a_record_that_cannot_be_used_is_described_as_far_as_it_can_be_read(
    raw: bytes, kind: str | None, record_id: str | None, p: int | None
) -> None:
    record = unusable(raw)
    assert (record.kind, record.id, record.p) == (kind, record_id, p)
    assert record.body is not None and record.reason.startswith("not a record: ")


def test_a_number_that_is_infinite_has_no_canonical_form() -> None:
    record = unusable(b'{"k":"account","p":3,"id":"a-1","balance":5,"x":1e999}')
    assert record.body is None


def test_a_note_names_its_entry() -> None:
    note = decode_record(
        Raw(
            b'{"k":"note","id":"n","p":4,"epoch":"1-0123456789abcdef","seq":2,"hash":"%s",'
            b'"status":"applied","reason":"booked_later"}' % (b"0" * 64)
        )
    )
    assert isinstance(note, NoteRecord) and (note.seq, note.status) == (2, "applied")
    assert unusable(b'{"k":"note","id":"n","p":4,"epoch":"x"}').kind == "note"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["k", "id", "p", "from", "balance"]) | st.text(), inner
            )
            | st.fixed_dictionaries({"k": st.sampled_from(["account", "card", "policy"])})
        ),
    )
)
def test_any_json_is_some_record(value: object) -> None:
    record = decode_record(Raw(json.dumps(value).encode()))
    assert isinstance(record, ReceivedRecord | UnusableRecord | NoteRecord)
