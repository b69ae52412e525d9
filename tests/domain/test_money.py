"""Money is whole cents."""

import pytest

from agent.domain.money import format_euro, parse_euro
from agent.errors import AgentError


@pytest.mark.parametrize(
    ("text", "cents"), [("3.66", 366), ("3,66", 366), ("-0.05", -5), ("7", 700), (" 12.00 ", 1200)]
)
def test_an_amount_is_read_as_cents(text: str, cents: int) -> None:
    assert parse_euro(text) == cents


@pytest.mark.parametrize("text", ["3.6", "3.666", "", "1e3", "NaN", "3.66 €", "1.000,00", "٣"])
def test_a_text_that_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(AgentError, match="not an amount"):
        parse_euro(text)


def test_cents_are_formatted_with_two_decimals() -> None:
    assert [format_euro(cents) for cents in (0, -1, 5, -5, -366, 120_000)] == [
        "0.00",
        "-0.01",
        "0.05",
        "-0.05",
        "-3.66",
        "1200.00",
    ]
