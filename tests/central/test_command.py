"""What all commands of the central check before they do anything."""

from pathlib import Path

import msgspec
import pytest

from agent.central.books.address import parse
from agent.central.books.file import FileBooks
from agent.central.command import checked_id, checked_zone, now, open_books, token_of
from agent.domain.clock import is_instant
from agent.errors import AgentError, CardError, ConfigError
from tests.conftest import CARD
from tests.parts.wire import KEY


def test_an_argument_that_no_record_may_have_is_a_sentence(books: FileBooks) -> None:
    with pytest.raises(AgentError, match="Expected `int`"), open_books(parse(str(books.path))):
        msgspec.convert("x", int)


def test_the_books_are_closed_whatever_happens(books: FileBooks) -> None:
    with pytest.raises(AgentError), open_books(parse(str(books.path))) as opened:
        raise AgentError("refused")
    with pytest.raises(AgentError):
        opened.version()


# C5
@pytest.mark.parametrize("text", ["", "a b", "a/b", "x" * 65, "à", "a\n"])
def test_a_text_that_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(AgentError, match="is not an id"):
        checked_id(text)
    assert checked_id("t-1.a_B") == "t-1.a_B"


@pytest.mark.parametrize("name", ["Europe/Barletta", "", "../etc/passwd"])
def test_a_zone_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(AgentError, match="write one like Europe/Rome"):
        checked_zone(name)
    assert checked_zone("Europe/Rome") == "Europe/Rome"


def test_a_card_becomes_its_token_and_its_id_is_in_no_error(tmp_path: Path) -> None:
    db = tmp_path / "central.db"
    with pytest.raises(ConfigError):
        token_of(parse(str(db)), CARD)
    (tmp_path / "central.db.card-key").write_text(KEY.hex(), encoding="ascii")
    assert len(token_of(parse(str(db)), CARD)) == 32
    with pytest.raises(CardError) as raised:
        token_of(parse(str(db)), "a:04a1b2c3d4e5f6aa")
    assert "04a1b2c3d4e5f6aa" not in str(raised.value)


def test_now_is_an_instant_of_the_contract() -> None:
    assert is_instant(now())
