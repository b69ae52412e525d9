"""Texts of a roster: names of all languages, and nothing that Excel or a slip has put there."""

import pytest

from agent.central.office.roster_text import (
    MARKS,
    SHOWN_LENGTH_MAX,
    TEXT_LENGTH_MAX,
    checked_text,
    looks_like_card,
    shown,
)
from agent.errors import AgentError

CARD_NUMBERS = [
    "a:04a1b2c3d4e5f6",
    "em:010063e9ae",
    "04a1b2c3",
    "04A1B2C3D4E5F6",
    "04 a1 b2 c3",
    "04-A1-B2-C3-D4-E5-F6",
    "04.a1.b2.c3",
    "0006547886",
    "06547886",
    "099,59822",
    "00099.59822",
    "1A 04a1b2c3d4e5f6",
    "effaceed 04a1b2c3d4e5f6",
]


@pytest.mark.parametrize(
    "label", ["Anna B.", "De Luca M.", "Anna-Maria", "d'Anna", "Zoë", "Анна К."]
)
def test_a_first_name_and_an_initial_are_a_label(label: str) -> None:
    assert checked_text("label", label) == label


@pytest.mark.parametrize(
    "label", ["Nora Kappa", "Nora Kappa Rossi", "Anna 3.", "B.", "Anna B", "Anna B. C."]
)
def test_a_whole_name_is_no_label(label: str) -> None:
    with pytest.raises(AgentError, match="must be a first name, or end with an initial"):
        checked_text("label", label)


@pytest.mark.parametrize(
    "text",
    ["1A", "1ª A", "3/B", "Sez. Blu", "L'Aquilone", "1A 2026/27", "Κ2", "一年级", "मीरा", "05"],
)
def test_letters_of_all_languages_digits_blanks_and_marks_are_a_class(text: str) -> None:
    assert checked_text("class", text) == text


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+39", "@A1", "#N/D", "#REF!", "1A\n2A", "1A\r", "1A\t", "1A;2A", "1,5", '"1A"',
     "1A\0", "1A\u202e", "1A\u2028", "\ufffd", "<b>", "1_A"],
)  # fmt: skip
def test_formulas_errors_line_breaks_and_other_signs_are_refused(text: str) -> None:
    with pytest.raises(AgentError, match="write letters, digits, blanks and"):
        checked_text("class", text)


@pytest.mark.parametrize("text", ["-1A", "-2-3", "'1A", "/A", ".5", "- -"])
def test_what_excel_may_take_for_a_formula_or_a_command_is_refused(text: str) -> None:
    with pytest.raises(AgentError, match="begin with a letter or a digit"):
        checked_text("class", text)


@pytest.mark.parametrize(
    "text",
    ["01-mar", "1-Mar", "1 mar", "3/set", "mar-26", "1-mar-26", "1/3/2026", "01.03.26",
     "2026-03-01", "2026-03-01 00.00.00", "5-ottobre", "3. Mär", "2-févr."],
)  # fmt: skip
def test_what_excel_makes_of_a_class_is_refused_as_a_date(text: str) -> None:
    with pytest.raises(AgentError, match="looks like a date that Excel has made of it"):
        checked_text("class", text)


@pytest.mark.parametrize("column", ["class", "label", "dish"])
@pytest.mark.parametrize("number", CARD_NUMBERS)
def test_a_card_number_is_no_text_and_is_never_shown(column: str, number: str) -> None:
    with pytest.raises(AgentError, match="looks like a card number") as raised:
        checked_text(column, number)
    assert number not in str(raised.value)
    assert number not in shown(number) and number not in shown(f"x {number}")


@pytest.mark.parametrize("text", ["1A", "defaced", "Facciata", "2026-09-01 12.50", "1A 2B 3C"])
def test_other_texts_are_no_card_numbers(text: str) -> None:
    assert not looks_like_card(text)


def test_spellings_of_one_text_become_one() -> None:
    assert (
        checked_text("label", "  d\N{RIGHT SINGLE QUOTATION MARK}Anna\N{NO-BREAK SPACE} ")
        == "d'Anna"
    )
    assert checked_text("class", "1   A") == "1 A"
    assert checked_text("class", "Citta\u0300") == "Citt\u00e0"
    assert checked_text("class", " \N{NO-BREAK SPACE}") is None


def test_every_mark_may_be_in_a_class() -> None:
    for mark in MARKS:
        assert checked_text("class", f"A{mark}B") == f"A{mark}B"


@pytest.mark.parametrize("column", ["class", "label", "dish"])
def test_a_text_has_a_length(column: str) -> None:
    longest = "N" * TEXT_LENGTH_MAX
    assert checked_text(column, longest) == longest
    with pytest.raises(AgentError, match=f"{column} is longer than {TEXT_LENGTH_MAX} characters"):
        checked_text(column, longest + "N")


def test_a_long_cell_is_cut_in_an_error() -> None:
    assert shown("n" * SHOWN_LENGTH_MAX) == repr("n" * SHOWN_LENGTH_MAX)
    assert shown("n" * (SHOWN_LENGTH_MAX + 1)) == repr("n" * SHOWN_LENGTH_MAX) + "…"
