"""The chain binds every entry to the one before it."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.domain.clock import ClockTrust
from agent.domain.ledger import (
    Entry,
    How,
    Kind,
    Reversed,
    canonical,
    entry_fault,
    genesis,
    received_hash,
    seal,
)

START = genesis("borgo", "t-1", "1-0123456789abcdef")


def meal(cents: int = -366) -> Entry:
    return Entry(
        kind=Kind.MEAL, cents=cents, at="2026-11-23T11:02:05.331Z", clock=ClockTrust.SYNCED, boot="b", mono_ms=1, how=How.CARD,
        account="a-1", card="00" * 16, service="lunch", day="2026-11-23",
    )  # fmt: skip


def test_the_first_entry_chains_from_town_terminal_and_epoch() -> None:
    assert hashlib.sha256(b"borgo/t-1/1-0123456789abcdef").hexdigest() == START


def test_a_hash_covers_the_previous_one_and_the_canonical_json() -> None:
    sealed, _ = seal(meal(), seq=1, previous=START)
    members = json.loads(canonical(replace(sealed, hash="")))
    plain = json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert sealed.hash == hashlib.sha256(bytes.fromhex(START) + plain).hexdigest()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.from_regex("[a-z_]{1,8}", fullmatch=True), inner)
        ),
    )
)
def test_canonical_json_is_rfc_8785_for_what_the_contract_uses(value: object) -> None:
    plain = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert canonical(value) == plain


def test_fields_we_do_not_know_are_covered_as_well() -> None:
    sealed, _ = seal(meal(), seq=1, previous=START)
    members = json.loads(canonical(sealed))
    assert received_hash(START, members) == sealed.hash
    assert received_hash(START, {**members, "new_in_version_2": 1}) != sealed.hash


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (meal(), None),
        (meal(0), None),
        (meal(1), "a meal with positive cents"),
        (replace(meal(), account=None, day=None), "a meal without account and day"),
        (replace(meal(), kind=Kind.STORNO, cents=366), "a storno without reverses"),
        (replace(meal(), kind=Kind.STORNO, reverses=Reversed(epoch="1-0123456789abcdef", seq=1, hash="0" * 64)), "a storno with negative cents"),
        (replace(meal(), kind=Kind.UNKNOWN_MEAL), "a unknown_meal with cents"),
        (replace(meal(0), kind=Kind.REFUSAL), "a refusal without reason"),
        (replace(meal(0), kind=Kind.CLOSING, trays=1), "a closing without served"),
    ],
)  # fmt: skip
def test_what_cannot_be_by_the_table_of_kinds_is_named(entry: Entry, fault: str | None) -> None:
    assert entry_fault(entry) == fault
