"""What `--db` names: a file, or a town on a server; a password is never shown."""

from contextlib import closing
from pathlib import Path

import pytest

from agent.central.books import town
from agent.central.books.address import parse
from agent.central.books.file import FileBooks
from agent.central.books.postgres import TownBooks
from agent.errors import CentralError, ConfigError
from tests.parts.postgres import Postgres


@pytest.mark.parametrize("text", ["{path}", "sqlite:///{path}"])
def test_a_path_and_its_url_are_the_same_file(books: FileBooks, text: str) -> None:
    database = parse(text.format(path=books.path))
    assert database.files == books.path and str(database) == str(books.path)
    with closing(database.open()) as opened:
        assert town.find(opened) == town.find(books)


def test_a_town_on_a_server_is_opened(postgres: Postgres, town_books: TownBooks) -> None:
    database = parse(f"{postgres.address}?town={town_books.town}")
    assert database.files == Path(town_books.town)
    with closing(database.open()) as opened:
        assert town.find(opened).name == town_books.town


def test_a_server_without_a_town_is_a_sentence(postgres: Postgres) -> None:
    database = parse(postgres.address)
    with pytest.raises(CentralError, match=r"names no town; append \?town="):
        database.open()
    assert database.of_town("bari").required_town() == "bari"


def test_several_hosts_reach_the_driver() -> None:
    """The driver looks for the primary among them."""
    server = parse(
        "postgresql://u@h1:5432,h2:5433/books?target_session_attrs=read-write&town=bari"
    ).server
    assert server is not None
    assert "h1" in server and "h2" in server and "target_session_attrs=read-write" in server
    assert "town" not in server


def test_what_is_for_the_driver_is_spelled_as_it_reads_it() -> None:
    server = parse("postgresql://h/b?sslrootcert=/a%20b/ca.crt&town=bari").server
    assert server == "postgresql://h/b?sslrootcert=%2Fa%20b%2Fca.crt"


def test_a_password_is_not_shown() -> None:
    other = parse("postgresql://host/books?user=office&password=secret&town=bari")
    assert str(other) == "postgresql://host/books?user=office&password=, town bari"
    database = parse("postgresql://office:secret@host/books?town=bari")
    assert "secret" not in str(database) and "bari" in str(database)
    assert database.server is not None and "secret" in database.server


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("mysql://me:secret@host/books", "mysql:// is no database for books; write a path"),
        ("sqlite://", "sqlite:// is no database"),
        ("sqlite:///", "sqlite:// is no database"),
        ("postgresql://h/b?town=a&town=b", "names several towns"),
        ("://", "is no database"),
        ("postgresql://h/b?options=-cjit%3Don&password=secret", "options are set by this program"),
    ],
)
def test_what_is_no_database_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as refused:
        parse(text)
    assert "secret" not in str(refused.value)
