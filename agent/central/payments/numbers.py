"""Notice numbers and IUVs: how they are built of digits, and their check digits.

347164923022221054 is a notice: auxiliary digit 3, segregation code 47, base and two check digits.
Its IUV is what follows the auxiliary digit.
"""

import re
from typing import NamedTuple

CHECK_MODULUS = 93
BASE_DIGITS = 13
"""Digits that are drawn at random: 16,000 open notices are one in 600 million of all numbers."""
NOTICE = re.compile(r"[0-3][0-9]{17}", re.ASCII)
SEGREGATION = re.compile(r"[0-9]{2}", re.ASCII)

_AUX = "3"
_IUV_AT = {"0": 3, "1": 1, "2": 1, "3": 1}  # by auxiliary digit; after 0 comes the application code


class Notice(NamedTuple):
    """A notice number and its IUV."""

    number: str
    iuv: str


def make_notice(segregation: str, base: int) -> Notice:
    """Return the notice of a segregation code and a base of at most `BASE_DIGITS` digits."""
    digits = f"{_AUX}{segregation}{base:0{BASE_DIGITS}d}"
    number = digits + check_digits(digits)
    return Notice(number, iuv_of(number))


def check_digits(digits: str) -> str:
    """Return the two check digits of all digits of a notice before them."""
    return f"{int(digits) % CHECK_MODULUS:02d}"


def has_check(number: str) -> bool:
    """Return whether a notice's check digits are right; one with auxiliary digit 1 has none.

    Published samples exist whose are not: a wrong check warns a person who types, and rejects no
    payment.
    """
    return number.startswith("1") or number[-2:] == check_digits(number[:-2])


def iuv_of(number: str) -> str:
    """Return the IUV of a notice number."""
    return number[_IUV_AT[number[0]] :]


def notice_of_text(text: str) -> str | None:
    """Return the notice number that a person typed, with or without blanks; None if it is none."""
    digits = re.sub(r"[\s.-]", "", text)
    return digits if NOTICE.fullmatch(digits) else None
