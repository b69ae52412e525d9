"""The digest that proves that both sides hold the same records (PROTOCOL.md, `digest`)."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Number of accounts and cards, sum of balances in cents, sum of all records modulo 2^64.

    `unread_balances` counts accounts whose balance this version cannot read: `cents` lacks them.
    `own_cents` is what a terminal shows beyond `cents`: its entries that the balances do not
    contain, without those of accounts that it cannot read.
    """

    accounts: int = 0
    cards: int = 0
    cents: int = 0
    sum: int = 0
    unread_balances: int = 0
    own_cents: int = 0

    @property
    def sum_hex(self) -> str:
        return f"{self.sum:016x}"


class _Balance(msgspec.Struct):
    balance: int


def tally(records: Iterable[tuple[str, bytes]], start: Tally) -> Tally:
    """Return `start` plus more records, each as (kind, canonical JSON), in any order."""
    accounts, cards, cents, total = start.accounts, start.cards, start.cents, start.sum
    for kind, body in records:
        if kind == "account":
            accounts += 1
            cents += msgspec.json.decode(body, type=_Balance).balance
        elif kind == "card":
            cards += 1
        total += int.from_bytes(hashlib.sha256(body).digest()[:8])
    return replace(start, accounts=accounts, cards=cards, cents=cents, sum=total % 2**64)


def tally_unread(records: Iterable[tuple[str, bytes]], start: Tally) -> Tally:
    """Return `start` plus records that this version cannot read: their bytes count as well."""
    for kind, body in records:
        try:
            start = tally([(kind, body)], start)
        except msgspec.ValidationError:
            start = tally([("", body)], start)
            start = replace(
                start, accounts=start.accounts + 1, unread_balances=start.unread_balances + 1
            )
    return start
