"""What the staff look up: classes, children, credit. Names only where the town sends them."""

import pytest

from agent.terminal.lookups import CARDS_MAX, TEXT_CHARACTERS_MAX
from tests.conftest import CARD
from tests.parts.wire import Wire


def search(wire: Wire, text: str) -> list[str]:
    answer = wire.box.ask("search", text=text)
    assert "eaters" in answer, answer
    eaters = answer["eaters"]
    assert isinstance(eaters, list)
    return [str(eater["account"]) for eater in eaters]


def test_a_class_tells_who_has_eaten(wire: Wire) -> None:
    assert wire.box.ask("classes") == {"classes": {"1A": 2}}
    wire.box.tap(CARD)
    eaters = wire.box.ask("class", **{"class": "1A"})["eaters"]
    assert isinstance(eaters, list)
    assert [(eater["account"], eater.get("eaten", False)) for eater in eaters] == [
        ("a-1", True),
        ("a-2", False),
    ]
    wire.box.ask("storno", seq=1)
    eaters = wire.box.ask("class", **{"class": "1A"})["eaters"]
    assert isinstance(eaters, list) and not any(eater.get("eaten") for eater in eaters)


def test_a_child_is_searched_by_id_class_and_printed_number(wire: Wire) -> None:
    wire.central.assign("em:010063e9ae", "a-2")
    wire.settle()
    assert search(wire, "A-1") == ["a-1"]
    assert search(wire, "1a") == ["a-1", "a-2"]
    assert search(wire, "0006547886") == ["a-2"]
    assert search(wire, "nobody") == [] and search(wire, "000654788") == []


def test_a_number_that_may_be_on_many_cards_needs_more_digits(wire: Wire) -> None:
    assert CARDS_MAX < 65_536
    assert "may be printed on many cards" in str(wire.box.ask("search", text="06547886")["error"])


@pytest.mark.parametrize("text", ["", "  ", "x" * (TEXT_CHARACTERS_MAX + 1)])
def test_a_text_that_is_none_is_refused(wire: Wire, text: str) -> None:
    assert "write 1 to" in str(wire.box.ask("search", text=text)["error"])


def test_credit_is_only_in_its_own_answer(wire: Wire) -> None:
    wire.central.credit("a-1", 2_000, "r-1")
    wire.settle()
    answer = wire.box.ask("credit", account="a-1")
    assert (answer["cents"], answer["last_credit_cents"]) == (2_000, 2_000)
    assert wire.box.ask("credit", account="zz") == {"error": "this terminal has no account zz"}


def test_names_stay_away_where_the_town_sends_none(wire: Wire) -> None:
    eaters = wire.box.ask("class", **{"class": "1A"})["eaters"]
    assert isinstance(eaters, list) and all("label" not in eater for eater in eaters)
