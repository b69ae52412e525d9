"""A chain is proved by its hashes, whatever the order of its entries and whatever is among them."""

import random

from agent.domain.ledger import ChainEnd, seal
from agent.store.insertion import sealed_body
from agent.store.proof import Pool
from agent.store.rows import SealedBody
from tests.store.disk import EPOCH, meal

START = bytes(32)


def chain(
    count: int, account: str = "a-1", first: int = 1, after: bytes = START
) -> list[SealedBody]:
    entries = []
    for seq in range(first, first + count):
        entry, body = seal(meal(account), seq=seq, previous=after.hex())
        entries.append(sealed_body(entry, body))
        after = entries[-1].hash
    return entries


def pool_of(*entries: SealedBody) -> Pool:
    pool = Pool()
    for sealed in entries:
        pool.add(sealed)
    return pool


def test_a_chain_is_proved_in_any_order_and_among_others() -> None:
    own = chain(20)
    mixed = [
        *own,
        *chain(20, "a-2"),
        SealedBody(bytes(32), "{"),
        SealedBody(bytes(32), own[3].body),
    ]
    random.Random(3).shuffle(mixed)
    # `own` and the second chain begin at one hash and are equally long: either is a chain of 20.
    assert len(pool_of(*mixed).after(START, 0)) == 20
    assert pool_of(*own[:7], *own[9:]).after(START, 0) == own[:7]


def test_of_two_chains_the_longer_one_counts() -> None:
    own = chain(10)
    copy = chain(3, "a-2", first=6, after=own[4].hash)
    assert pool_of(*own, *copy).after(START, 0) == own
    longer = chain(9, "a-2", first=6, after=own[4].hash)
    assert pool_of(*own, *longer).after(START, 0) == [*own[:5], *longer]


def test_behind_a_gap_the_first_entry_proves_the_next_ones() -> None:
    own = chain(12)
    pool = pool_of(*own[:3], *own[4:8], *own[9:])
    end = ChainEnd(epoch=EPOCH, seq=3, hash=own[2].hash.hex())
    runs = pool.runs_behind(end)
    assert [(run.base.seq, len(run.entries)) for run in runs] == [(5, 3), (10, 2)]
    assert runs[1].entries == own[10:] and runs[1].base.hash == own[9].hash.hex()
    assert pool.count_behind(8) == 3


def test_an_entry_alone_behind_a_gap_proves_nothing() -> None:
    own = chain(5)
    end = ChainEnd(epoch=EPOCH, seq=2, hash=own[1].hash.hex())
    assert pool_of(*own[:2], own[4]).runs_behind(end) == []
