"""The chain binds every entry to the one before it; every number has one limit."""

import hashlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.domain.canteen import PRICE_CENTS_MAX
from agent.domain.clock import ClockTrust
from agent.domain.ledger import (
    EPOCH_NUMBER_MAX,
    MONO_MS_MAX,
    SEQ_BITS,
    SEQ_MAX,
    TRAYS_MAX,
    ChainEnd,
    Count,
    Entry,
    How,
    Kind,
    Place,
    RefusalReason,
    Reversed,
    Seq,
    canonical,
    entry_fault,
    genesis,
    received_hash,
    seal,
)

EPOCH = "1-0123456789abcdef"
START = genesis("borgo", "t-1", EPOCH)


def meal(cents: int = -366) -> Entry:
    return Entry(
        kind=Kind.MEAL,
        cents=cents,
        at="2026-11-23T11:02:05.331Z",
        clock=ClockTrust.SYNCED,
        boot="b",
        mono_ms=1,
        how=How.CARD,
        account="a-1",
        card="00" * 16,
        service="lunch",
        day="2026-11-23",
    )


# C35
def test_the_first_entry_follows_the_hash_of_town_terminal_and_epoch() -> None:
    assert hashlib.sha256(b"borgo/t-1/1-0123456789abcdef").hexdigest() == START


def test_a_draft_has_no_seq_and_no_hash_and_neither_is_written() -> None:
    draft = meal()
    assert (draft.seq, draft.hash) == (0, "")
    assert json.loads(canonical(draft)).keys().isdisjoint({"seq", "hash"})


# C34
def test_a_hash_covers_the_previous_one_and_the_canonical_json() -> None:
    sealed, body = seal(meal(), seq=1, previous=START)
    members = json.loads(canonical(replace(sealed, hash="")))
    plain = json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert body == plain and sealed.seq == 1
    assert sealed.hash == hashlib.sha256(bytes.fromhex(START) + plain).hexdigest()


def test_an_entry_without_a_user_has_the_hash_that_it_had_before_there_were_users() -> None:
    """Else every ledger would be broken by the upgrade."""
    sealed, body = seal(meal(), seq=1, previous=START)
    assert sealed.hash == "d88ba37f5845f0f6ed717ac283f4d2ba9009c8a949e12e9259033e9b31b58280"
    by_hand, named = seal(replace(meal(), user="1000 maria"), seq=1, previous=START)
    assert json.loads(named) == {**json.loads(body), "user": "1000 maria"}
    assert received_hash(START, json.loads(canonical(by_hand))) == by_hand.hash


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.from_regex("[a-z_]{1,8}", fullmatch=True), inner)
        ),
    )
)
def test_canonical_json_is_rfc_8785_for_values_of_the_contract(value: object) -> None:
    plain = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert canonical(value) == plain


# C9 C34
def test_the_hash_covers_members_of_later_versions() -> None:
    sealed, _ = seal(meal(), seq=1, previous=START)
    members = json.loads(canonical(sealed))
    assert received_hash(START, members) == sealed.hash
    assert received_hash(START, {**members, "new_in_version_2": 1}) != sealed.hash


STORNO = replace(meal(366), kind=Kind.STORNO, reverses=Reversed(epoch=EPOCH, seq=1, hash=START))


# C33
@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (meal(), None),
        (meal(0), None),
        (meal(1), "a meal with positive cents"),
        (replace(meal(), account=None, day=None), "a meal without account and day"),
        (STORNO, None),
        (replace(STORNO, cents=0), None),
        (replace(STORNO, reverses=None), "a storno without reverses"),
        (replace(STORNO, cents=-1), "a storno with negative cents"),
        (replace(meal(), kind=Kind.UNKNOWN_MEAL), "a unknown_meal with cents"),
        (replace(meal(0), kind=Kind.UNKNOWN_MEAL, card=None), "a unknown_meal without card"),
        (replace(meal(0), kind=Kind.REFUSAL), "a refusal without reason"),
        (
            replace(meal(-1), kind=Kind.REFUSAL, reason=RefusalReason.BLOCKED),
            "a refusal with cents",
        ),
        (replace(meal(0), kind=Kind.REFUSAL, reason=RefusalReason.BLOCKED), None),
        (replace(meal(0), kind=Kind.CLOSING, trays=1), "a closing without served"),
        (replace(meal(1), kind=Kind.CLOSING, trays=1, served=1), "a closing with cents"),
        (replace(meal(0), kind=Kind.CLOSING, trays=0, served=0), None),
    ],
)
def test_an_entry_that_breaks_the_table_of_kinds_has_a_fault(
    entry: Entry, fault: str | None
) -> None:
    assert entry_fault(entry) == fault


def test_a_seq_and_a_count_end_at_seq_max() -> None:
    assert msgspec.convert(SEQ_MAX, Seq) == msgspec.convert(SEQ_MAX, Count) == SEQ_MAX
    assert msgspec.convert(0, Count) == 0
    for kind, number in ((Seq, SEQ_MAX + 1), (Count, SEQ_MAX + 1), (Seq, 0), (Count, -1)):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(number, kind)


# C8
@pytest.mark.parametrize("shape", [ChainEnd, Reversed])
def test_a_seq_in_a_message_ends_at_seq_max(shape: type[ChainEnd | Reversed]) -> None:
    members = {"epoch": EPOCH, "hash": START}
    assert msgspec.convert(members | {"seq": SEQ_MAX}, shape).seq == SEQ_MAX
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(members | {"seq": SEQ_MAX + 1}, shape)


def test_the_last_place_of_an_epoch_is_not_the_first_of_the_next() -> None:
    last, first = Place(1, SEQ_MAX), Place(2, 0)
    assert last.n + 1 == first.n and SEQ_MAX == 2**SEQ_BITS - 1
    assert (Place.of(last.n), Place.of(first.n)) == (last, first)


@given(*(st.tuples(st.integers(1, 10**6), st.integers(0, SEQ_MAX)) for _ in range(2)))
def test_places_sort_as_their_integers(one: tuple[int, int], other: tuple[int, int]) -> None:
    place, another = Place(*one), Place(*other)
    assert (place < another) is (place.n < another.n) and Place.of(place.n) == place


@pytest.mark.parametrize(
    ("member", "lowest", "highest"),
    [
        ("seq", 0, SEQ_MAX),
        ("cents", -PRICE_CENTS_MAX, PRICE_CENTS_MAX),
        ("mono_ms", 0, MONO_MS_MAX),
        ("trays", 0, TRAYS_MAX),
        ("served", 0, TRAYS_MAX),
    ],
)
def test_an_entry_is_refused_beyond_a_limit(member: str, lowest: int, highest: int) -> None:
    members = msgspec.to_builtins(meal())
    for value in (lowest, highest):
        msgspec.convert(members | {member: value}, Entry)
    for value in (lowest - 1, highest + 1):
        with pytest.raises(msgspec.ValidationError, match=member):
            msgspec.convert(members | {member: value}, Entry)


@pytest.mark.parametrize(
    "epoch", ["0-0123456789abcdef", "1-0123", "1-0123456789ABCDEF", f"{EPOCH}\n"]
)
def test_an_epoch_is_a_number_and_64_bits(epoch: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="epoch"):
        msgspec.convert({"epoch": epoch, "seq": 1, "hash": START}, ChainEnd)


def test_the_largest_place_is_an_integer_of_sqlite_and_the_next_epoch_has_no_id() -> None:
    assert Place(EPOCH_NUMBER_MAX, SEQ_MAX).n < 2**63
    end = {"epoch": f"{EPOCH_NUMBER_MAX}-0123456789abcdef", "seq": 1, "hash": START}
    assert msgspec.convert(end, ChainEnd).seq == 1
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(end | {"epoch": f"{EPOCH_NUMBER_MAX + 1}-0123456789abcdef"}, ChainEnd)
