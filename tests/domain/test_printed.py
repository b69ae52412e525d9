"""Numbers printed on cards, compared with a table of Proxmark's output."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.domain.card import CardId
from agent.domain.printed import candidates, printed_forms
from agent.errors import CardError

TABLE = {
    "0110185c5b": {
        "dez8": "01596507", "dez10": "0270031963", "5.5": "04120.23643",
        "3.5a": "001.23643", "3.5b": "016.23643", "3.5c": "024.23643",
        "ik2": "00004564999259", "ik3": "000549891619546",
    },
    "04184edcba": {
        "dez8": "05168314", "dez10": "0407821498", "5.5": "06222.56506",
        "3.5a": "004.56506", "3.5b": "024.56506", "3.5c": "078.56506",
        "ik2": "00017587690682", "ik3": "000137849092957",
    },
    "7200944c78": {
        "dez8": "09718904", "dez10": "0009718904", "5.5": "00148.19576", "w26": "148,19576",
    },
    "010063e9ae": {
        "dez8": "06547886", "dez10": "0006547886", "5.5": "00099.59822", "w26": "099,59822",
    },
}  # fmt: skip


@pytest.mark.parametrize("uid", TABLE)
def test_a_card_has_the_numbers_of_the_table(uid: str) -> None:
    forms = printed_forms(CardId("em", bytes.fromhex(uid)))
    assert {form: forms[form] for form in TABLE[uid]} == TABLE[uid]


@given(
    uid=st.binary(min_size=5, max_size=5).filter(lambda uid: len(set(uid)) > 1),
    form=st.sampled_from(["dez10", "5.5", "ik2", "ik3"]),
)
def test_a_card_is_among_the_candidates_of_its_own_number(uid: bytes, form: str) -> None:
    card = CardId("em", uid)
    assert card in set(candidates(printed_forms(card)[form]))


@pytest.mark.parametrize("form", ["dez8", "3.5a", "3.5b", "3.5c", "w26"])
def test_a_number_of_three_bytes_has_its_card_among_many_candidates(form: str) -> None:
    card = CardId("em", bytes.fromhex("7200944c78"))
    cards = set(candidates(printed_forms(card)[form]))
    assert card in cards and 65_000 < len(cards) < 200_000


def test_two_cards_may_carry_one_number() -> None:
    both = {CardId("em", bytes.fromhex(uid)) for uid in ("010063e9ae", "020063e9ae")}
    assert both <= set(candidates("0006547886 099,59822"))


def test_a_candidate_carries_all_given_numbers() -> None:
    assert list(candidates("0006547886 099,59823")) == []


def test_a_four_byte_number_has_both_byte_orders_as_candidates() -> None:
    card = CardId("a", bytes.fromhex("1c78f2bf"))
    assert card in set(candidates("3220338716")) and card in set(candidates("0477688511"))


@pytest.mark.parametrize(
    "text", ["", "  ", "12", "ABC", "0006547886x", "99999999999999999", "١٢٣٤٥٦٧٨"]
)
def test_a_text_that_is_no_printed_number_says_what_to_write(text: str) -> None:
    with pytest.raises(CardError, match="write"):
        list(candidates(text))


def test_a_number_too_large_for_its_form_is_refused() -> None:
    with pytest.raises(CardError):
        list(candidates("999,99999"))
