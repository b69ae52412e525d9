"""Who is at the other end of a socket, as an entry has it."""

import os
import pwd
import socket

from agent.domain.ledger import USER_CHARACTERS_MAX
from agent.ops.peer import NAME_CHARACTERS_MAX, user_of, user_words


def test_the_kernel_names_the_user_whose_program_connected() -> None:
    here, there = socket.socketpair()
    with here, there:
        own = pwd.getpwuid(os.getuid())
        assert user_of(here) == f"{own.pw_uid} {own.pw_name}"


def test_a_user_without_a_name_is_the_number() -> None:
    assert user_words(65_534, "") == "65534"


def test_a_name_is_cut_and_has_no_character_that_an_entry_or_a_log_line_must_not_have() -> None:
    assert user_words(1, "a b\nc\u00e9") == "1 a?b?c?"
    words = user_words(2**32 - 1, "x" * 1_000)
    assert len(words) == 11 + NAME_CHARACTERS_MAX <= USER_CHARACTERS_MAX
