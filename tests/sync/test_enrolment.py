"""The one-time code as people copy it, and addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import SyncError
from agent.sync.enrolment import (
    ADDRESS_CHARACTERS_MAX,
    FINGERPRINT_BYTES,
    SECRET_BYTES,
    Address,
    Code,
    format_code,
    parse_address,
    parse_code,
)

CODE = Code(Address("central.example.org", 8884), bytes(range(16)), bytes(range(16, 32)))


@given(
    st.binary(min_size=FINGERPRINT_BYTES, max_size=FINGERPRINT_BYTES),
    st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES),
    st.sampled_from(["a.example:1", "127.0.0.1:65535", "[::1]:8884"]),
)
def test_a_code_is_what_it_was_made_of(fingerprint: bytes, secret: bytes, address: str) -> None:
    code = Code(parse_address(address), fingerprint, secret)
    assert parse_code(format_code(code)) == code


def test_a_code_may_be_copied_without_hyphens_in_lines_and_in_lower_case() -> None:
    text = format_code(CODE)
    copies = [
        text.replace("-", ""),
        text.lower(),
        text.replace("-", " "),
        f" {text[:40]}\n{text[40:]}\n",
    ]
    assert [parse_code(copy) for copy in copies] == [CODE] * len(copies)


def test_a_code_with_one_other_letter_or_a_part_missing_is_refused() -> None:
    text = format_code(CODE)
    others = [
        text[:at] + ("B" if text[at] == "A" else "A") + text[at + 1 :]
        for at, letter in enumerate(text)
        if letter != "-"
    ]
    for other in [*others, text[:-1], text[5:], text + "A", "", "è"]:
        with pytest.raises(SyncError, match="copy it whole"):
            parse_code(other)


@pytest.mark.parametrize(
    "text",
    ["", "host", "host:", "host:0", "host:65536", "ho st:1", "https://host:1", "a@b:1", "::1:8884"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(SyncError, match="write HOST:PORT"):
        parse_address(text)


def test_an_address_has_a_limit() -> None:
    longest = "h" * (ADDRESS_CHARACTERS_MAX - 5) + ":8884"
    assert parse_address(longest).port == 8884
    with pytest.raises(SyncError):
        parse_address("h" + longest)


def test_an_address_is_written_as_it_is_read() -> None:
    assert [str(parse_address(text)) for text in ("a.example:8884", "[fd00::1]:1")] == [
        "a.example:8884",
        "[fd00::1]:1",
    ]
