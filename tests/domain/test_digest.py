"""The digest is equal only for equal records, in any order and in any number of steps."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from agent.domain.digest import Tally, tally, tally_unread

ACCOUNT = ("account", b'{"balance":-366,"id":"a-1","k":"account","p":3}')
OTHER = ("account", b'{"balance":1000,"id":"a-2","k":"account","p":4}')
CARD = ("card", b'{"account":"a-1","id":"00","k":"card","p":5}')
POLICY = ("policy", b'{"from":"2026-09-01","k":"policy","p":6}')
RECORDS = [ACCOUNT, OTHER, CARD, POLICY]


# C55
def test_a_tally_counts_accounts_cards_and_cents_and_sums_all_records() -> None:
    result = tally(RECORDS, Tally())
    sums = [int.from_bytes(hashlib.sha256(body).digest()[:8]) for _, body in RECORDS]
    assert (result.accounts, result.cards, result.cents) == (2, 1, 634)
    assert result.sum_hex == f"{sum(sums) % 2**64:016x}" and len(result.sum_hex) == 16


@given(st.permutations(RECORDS), st.integers(0, len(RECORDS)))
def test_neither_order_nor_steps_change_a_tally(records: list[tuple[str, bytes]], n: int) -> None:
    assert tally(records[n:], tally(records[:n], Tally())) == tally(RECORDS, Tally())


def test_one_changed_byte_changes_the_sum() -> None:
    changed = ("policy", POLICY[1].replace(b"09-01", b"09-02"))
    assert tally([*RECORDS[:3], changed], Tally()).sum != tally(RECORDS, Tally()).sum


def test_records_that_cannot_be_read_count_and_those_without_a_balance_are_named() -> None:
    newer = ("account", b'{"balance":50,"category":7,"id":"a-3","k":"account","p":7}')
    no_balance = ("account", b'{"balance":"50","id":"a-4","k":"account","p":8}')
    unread = [newer, no_balance, CARD, POLICY, ("menu", b'{"id":"m","k":"menu","p":9}')]
    read = tally([ACCOUNT], Tally())
    result = tally_unread(unread, read)
    sums = [int.from_bytes(hashlib.sha256(body).digest()[:8]) for _, body in [ACCOUNT, *unread]]
    assert result == Tally(
        accounts=3,
        cards=1,
        cents=-366 + 50,
        sum=sum(sums) % 2**64,
        unread_balances=1,
        own_cents=0,
    )
    assert (read.unread_balances, read.own_cents) == (0, 0)
