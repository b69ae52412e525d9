"""Entries of another file come into a ledger under their own keys."""

from agent.domain.ledger import ChainEnd, genesis, seal
from agent.store import reads, restoring
from agent.store.insertion import sealed_body
from agent.store.rows import EpochCopy, MealsWanted
from agent.store.standing import epochs, standing
from tests.store.disk import AT, DAY, EPOCH, EPOCH_BITS, TERMINAL, TOWN, Disk, account, meal, policy


def test_of_another_ledger_only_services_and_policies_are_taken(disk: Disk) -> None:
    restoring.take_rules(disk.db, [policy(7)], AT)
    assert [rule.keep_days for rule in reads.policies(disk.db)] == [60]
    assert (standing(disk.db).last_contact_at, standing(disk.db).position) == (AT, 0)


def test_an_epoch_of_another_file_is_sent_again_before_a_new_one(disk: Disk) -> None:
    disk.changes(account("a-1", 0, 1), to=1, acked=0, reset=True)
    disk.meal()
    disk.changes(to=2, acked=1)
    assert standing(disk.db).pending == 0
    other = "1-00000000000000ff"
    base = ChainEnd(epoch=other, seq=0, hash=genesis(TOWN, TERMINAL, other))
    entry, body = seal(meal(), seq=1, previous=base.hash)
    copy = EpochCopy(base=base, entries=[sealed_body(entry, body)])
    restoring.take_over(disk.db, [], EPOCH_BITS)
    assert len(epochs(disk.db)) == 1
    restoring.take_over(disk.db, [copy], EPOCH_BITS)
    own = standing(disk.db)
    assert [span.number for span in epochs(disk.db)] == [1, 2, 3]
    assert (own.epoch, own.generation, own.pending, own.resyncing) == (EPOCH, None, 2, True)
    assert len(reads.own_meals(disk.db, ("a-1", None), MealsWanted("lunch", DAY, 0))) == 2
