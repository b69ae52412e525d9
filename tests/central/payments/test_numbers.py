"""Notice numbers: check digits, IUVs, and what a person types."""

import pytest

from agent.central.payments.numbers import (
    BASE_DIGITS,
    check_digits,
    has_check,
    iuv_of,
    make_notice,
    notice_of_text,
)


def test_the_published_number_has_its_check_digits() -> None:
    assert check_digits("3471649230222210") == "54"
    assert has_check("347164923022221054")
    assert not has_check("347164923022221055")


def test_a_notice_with_auxiliary_digit_1_has_no_check_digits() -> None:
    assert has_check("1" + "0" * 16 + "7")


@pytest.mark.parametrize("base", [0, 1, 10**BASE_DIGITS - 1])
def test_a_made_notice_has_18_digits_and_its_check(base: int) -> None:
    notice = make_notice("07", base)
    assert len(notice.number) == 18 and len(notice.iuv) == 17
    assert has_check(notice.number) and notice.number.startswith("307")


@pytest.mark.parametrize(
    ("number", "length"), [("0" * 18, 15), ("1" * 18, 17), ("2" * 18, 17), ("3" * 18, 17)]
)
def test_the_iuv_follows_auxiliary_digit_and_application_code(number: str, length: int) -> None:
    assert len(iuv_of(number)) == length


def test_blanks_of_a_printed_notice_are_taken_out() -> None:
    assert notice_of_text(" 3471 6492 3022 2210 54 ") == "347164923022221054"
    assert notice_of_text("471649230222210") is None
    assert notice_of_text("９" * 18) is None
