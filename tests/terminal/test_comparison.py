"""The central's digest is compared in steps, about the position that the terminal has reached."""

from agent.domain.digest import Tally
from agent.store import reads
from agent.store.reads import DIGEST_STEP_RECORDS
from agent.store.standing import standing
from agent.sync.messages import Digest
from agent.terminal.comparison import Comparison
from tests.conftest import CARD
from tests.parts.wire import Wire


def expected(wire: Wire, **changes: object) -> Digest:
    """Return the digest of what the terminal has, with changes."""
    tally, after = reads.digest_step(wire.box.db, Tally(), ("", ""))
    assert after is None
    members: dict[str, object] = {
        "position": standing(wire.box.db).position,
        "accounts": tally.accounts,
        "cards": tally.cards,
        "cents": tally.cents,
        "sum": tally.sum_hex,
        **changes,
    }
    return Digest(**members)  # type: ignore[arg-type]


def compared(wire: Wire, digest: Digest | None) -> str | None:
    comparison = Comparison(wire.box.db)
    comparison.begin(digest)
    difference = None
    while comparison.is_running:
        difference = comparison.step()
        comparison.end_step()
    return difference


def test_equal_records_have_no_difference(wire: Wire) -> None:
    assert compared(wire, expected(wire)) is None
    assert compared(wire, None) is None


def test_a_difference_is_a_sentence(wire: Wire) -> None:
    difference = compared(wire, expected(wire, accounts=7))
    assert difference is not None and "terminal has 2 accounts" in difference
    assert "central has 7" in difference


def test_a_digest_of_another_position_is_not_compared(wire: Wire) -> None:
    position = standing(wire.box.db).position
    assert compared(wire, expected(wire, accounts=7, position=position + 1)) is None


def test_a_comparison_ends_when_the_position_moves(wire: Wire) -> None:
    comparison = Comparison(wire.box.db)
    comparison.begin(expected(wire, accounts=7))
    wire.central.credit("a-1", 1_000, "r-1")
    wire.settle()
    assert comparison.is_running and comparison.step() is None
    assert not comparison.is_running


def test_a_difference_is_found_again_until_the_step_is_ended(wire: Wire) -> None:
    """The write that reports it may fail."""
    comparison = Comparison(wire.box.db)
    comparison.begin(expected(wire, accounts=7))
    assert comparison.step() == comparison.step() is not None
    comparison.end_step()
    assert not comparison.is_running


def test_many_records_are_compared_in_several_steps(wire: Wire) -> None:
    for n in range(DIGEST_STEP_RECORDS + 1):
        wire.central.add_account(f"b-{n}")
    wire.settle()
    wire.box.tap(CARD)
    comparison = Comparison(wire.box.db)
    digest = Digest(
        position=standing(wire.box.db).position, accounts=0, cards=0, cents=0, sum="0" * 16
    )
    comparison.begin(digest)
    assert comparison.step() is None and comparison.is_running
