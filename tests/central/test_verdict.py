"""The verdict on one entry: what is booked for it, and why someone should look at it."""

import json

import pytest

from agent.central.books import entries
from agent.central.verdict import Verdict
from agent.domain.card import Token, card_token, parse_card_id
from agent.domain.ledger import EntryKey, canonical, chain_hash
from agent.errors import REASON_LENGTH_MAX
from tests.conftest import CARD
from tests.invariants import the_books_are_consistent
from tests.parts.foreign_terminal import EPOCH, NAME, START, ForeignTerminal, meal
from tests.parts.wire import KEY

TOKEN = card_token(KEY, parse_card_id(CARD))


def unknown_meal(token: Token, **changes: object) -> dict[str, object]:
    return meal(kind="unknown_meal", account=None, card=token, cents=0, **changes)


def test_a_storno_undoes_its_meal(foreign: ForeignTerminal) -> None:
    foreign.send(meal())
    foreign.send(foreign.storno(1))
    assert foreign.verdict() == ("applied", "")
    assert foreign.central.balance("a-1") == 0


def test_a_second_storno_of_a_meal_is_set_aside(foreign: ForeignTerminal) -> None:
    foreign.send(meal())
    foreign.send(foreign.storno(1))
    foreign.send(foreign.storno(1, mono_ms=2))
    assert foreign.verdict() == ("set_aside", "storno_repeated")
    assert foreign.central.balance("a-1") == 0


def test_a_storno_of_an_entry_that_is_no_meal_is_set_aside(foreign: ForeignTerminal) -> None:
    foreign.send(meal())
    foreign.send(foreign.storno(1))
    foreign.send(foreign.storno(2))
    assert foreign.verdict() == ("set_aside", "storno_of_no_meal")


def test_a_storno_of_a_meal_that_was_set_aside_is_set_aside(foreign: ForeignTerminal) -> None:
    foreign.send(meal(account="nobody"))
    foreign.send(foreign.storno(1))
    assert foreign.verdict() == ("set_aside", "storno_of_a_meal_set_aside")


# C111
def test_a_storno_that_comes_before_its_meal_undoes_the_meal_when_it_comes(
    foreign: ForeignTerminal,
) -> None:
    """Both have seq 1: the meal is on another copy of the disk."""
    undone = chain_hash(START, canonical({**meal(), "seq": 1}))
    reverses = {"epoch": EPOCH, "seq": 1, "hash": undone}
    foreign.send(meal(kind="storno", cents=366, reverses=reverses))
    assert foreign.verdict() == ("set_aside", "storno_of_no_meal")
    foreign.seq, foreign.previous = 0, START
    foreign.send(meal())
    assert entries.is_booked(foreign.central.books, EntryKey(NAME, EPOCH, 1, undone))
    assert foreign.central.balance("a-1") == 0
    the_books_are_consistent(foreign.central.books)


def test_a_storno_of_another_amount_is_booked_and_flagged(foreign: ForeignTerminal) -> None:
    foreign.send(meal())
    foreign.send(foreign.storno(1, cents=100))
    assert foreign.verdict() == ("flagged", "not_the_amount_of_its_meal")
    assert foreign.central.balance("a-1") == -266


def test_a_storno_of_an_unknown_cards_meal_gives_back_the_centrals_price(
    foreign: ForeignTerminal,
) -> None:
    foreign.send(unknown_meal(TOKEN))
    assert foreign.central.balance("a-1") == -366
    foreign.send(foreign.storno(1, cents=0))
    assert foreign.central.balance("a-1") == 0


# C46 C104
def test_a_meal_of_a_closed_account_is_booked_and_flagged(foreign: ForeignTerminal) -> None:
    foreign.central.books.sql.execute("UPDATE account SET status = 'closed' WHERE id = 'a-1'")
    foreign.send(meal())
    assert foreign.verdict() == ("flagged", "closed_account")
    assert foreign.central.balance("a-1") == -366


def test_a_meal_with_a_card_of_another_account_is_booked_to_the_account_it_names(
    foreign: ForeignTerminal,
) -> None:
    foreign.send(meal(account="a-2", card=TOKEN))
    assert foreign.verdict() == ("flagged", "card_of_another_account")
    assert foreign.central.balance("a-2") == -366


def test_a_meal_with_a_blocked_card_is_booked_and_flagged(foreign: ForeignTerminal) -> None:
    foreign.central.books.sql.execute("UPDATE card SET status = 'blocked'")
    foreign.send(meal(card=TOKEN))
    foreign.send(unknown_meal(TOKEN, day="2026-11-24"))
    assert [foreign.verdict(seq) for seq in (1, 2)] == [("flagged", "card_blocked")] * 2
    assert foreign.central.balance("a-1") == -2 * 366


def test_a_meal_of_a_card_without_a_price_is_booked_with_zero_and_flagged(
    foreign: ForeignTerminal,
) -> None:
    foreign.send(unknown_meal(TOKEN, day="2026-08-31"))
    assert foreign.verdict() == ("flagged", "no_price")
    assert foreign.central.balance("a-1") == 0


# C124
def test_a_meal_without_a_price_is_charged_when_the_central_knows_it(
    foreign: ForeignTerminal,
) -> None:
    """The price was written while the terminal was offline."""
    foreign.send(meal(cents=0, flags=["no_price"]))
    assert foreign.verdict() == ("applied", "")
    assert foreign.central.balance("a-1") == -366


# C125
def test_a_meal_without_a_price_waits_for_it_with_a_flag(foreign: ForeignTerminal) -> None:
    foreign.send(meal(cents=0, flags=["no_price"], day="2026-08-31"))
    assert foreign.verdict() == ("flagged", "no_price")
    assert foreign.central.balance("a-1") == 0


# C127
def test_a_flag_that_contradicts_the_cents_is_flagged_and_charged_as_sent(
    foreign: ForeignTerminal,
) -> None:
    foreign.send(meal(flags=["no_price"]))
    assert foreign.verdict() == ("flagged", "flag_contradicts_cents")
    assert foreign.central.balance("a-1") == -366


# C126
def test_a_flag_of_a_later_version_sets_no_meal_aside(foreign: ForeignTerminal) -> None:
    foreign.send(meal(flags=["on_credit", "eaten_outside"]))
    assert foreign.verdict() == ("applied", "")
    assert foreign.central.balance("a-1") == -366


def test_a_second_meal_of_a_service_is_flagged_but_not_under_an_unset_clock(
    foreign: ForeignTerminal,
) -> None:
    """The day of an unset clock is a guess, so the meal is compared when the clock is corrected."""
    foreign.send(meal(), meal(mono_ms=2), meal(mono_ms=3, boot="other", clock="unset"))
    assert foreign.verdict(2) == ("flagged", "already_served_elsewhere")
    assert foreign.verdict(3) == ("applied", "")


def test_a_refusal_and_a_closing_move_no_balance(foreign: ForeignTerminal) -> None:
    refusal = meal(kind="refusal", cents=0, reason="no_credit")
    closing = meal(kind="closing", cents=0, account=None, trays=7, served=7)
    foreign.send(refusal, closing)
    assert [foreign.verdict(seq)[0] for seq in (1, 2)] == ["applied", "applied"]
    assert foreign.central.balance("a-1") == 0


def test_a_reason_is_cut_to_its_limit(foreign: ForeignTerminal) -> None:
    """A decoder quotes what it read: a note must not carry a whole entry back."""
    answer = foreign.send(meal(kind="x" * 1_000))
    assert len(answer["notes"][0]["reason"]) == REASON_LENGTH_MAX
    verdict = Verdict()
    verdict.flag("y" * 1_000)
    assert [len(reason) for reason in verdict.reasons] == [REASON_LENGTH_MAX]


@pytest.mark.parametrize("char", ["é", "\U0001f374", "\x01", "\n", '"', "\\"])
def test_a_reason_that_quotes_any_characters_is_as_long_in_json(
    foreign: ForeignTerminal, char: str
) -> None:
    answer = foreign.send(meal(kind=char * 1_000))
    quoted = answer["notes"][0]["reason"]
    assert quoted.startswith("not an entry") and char not in quoted
    assert len(json.dumps(quoted)) == REASON_LENGTH_MAX + len('""')
