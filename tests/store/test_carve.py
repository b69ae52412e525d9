"""Entries are found in raw bytes, also where pages are damaged, and what is none is left."""

import random

from agent.domain.ledger import seal
from agent.store import writes
from agent.store.carve import HASH_BYTES, entries_in, epochs_in
from agent.store.insertion import sealed_body
from agent.store.rows import SealedBody
from tests.store.disk import EPOCH, Disk, meal, storno


def sealed(account: str, seq: int) -> SealedBody:
    entry, body = seal(meal(account), seq=seq, previous="00" * HASH_BYTES)
    return sealed_body(entry, body)


def test_every_entry_of_a_file_is_found(disk: Disk) -> None:
    undone = [disk.meal(f"a-{n}") for n in range(30)][3]
    writes.append(disk.db, storno(undone))
    disk.db.checkpoint()
    found = {entry.body for entry in entries_in(disk.db.path.read_bytes())}
    assert found == {body for (body,) in disk.db.rows("SELECT body FROM entry")}
    assert EPOCH in epochs_in(disk.db.path.read_bytes())


def test_an_entry_between_noise_is_found_once() -> None:
    one, noise = sealed("a-1", 7), random.Random(1).randbytes(500)
    raw = one.hash + one.body.encode()
    assert list(entries_in(noise + b'{"' + raw + b"}" + noise + raw)) == [one]


def test_what_is_no_entry_or_has_no_room_for_a_hash_is_left() -> None:
    one = sealed("a-1", 7)
    assert list(entries_in(one.hash[1:] + one.body.encode())) == []
    assert list(entries_in(one.hash + one.body.replace("meal", "mea1").encode())) == []
    assert list(entries_in(one.hash + one.body[:-1].encode())) == []
