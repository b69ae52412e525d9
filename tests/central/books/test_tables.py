"""Tables: what the program believes of them is what both engines have."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, inspect

from agent.central.books import tables
from agent.central.books.file import FileBooks
from agent.central.books.postgres import TownBooks, schema_of
from tests.parts.postgres import Postgres

_KINDS = {"TEXT": str, "VARCHAR": str, "INTEGER": int, "BIGINT": int, "BLOB": bytes, "BYTEA": bytes}


def _columns(found: list[Any]) -> dict[str, tuple[type, bool]]:
    return {
        each["name"]: (
            _KINDS[str(each["type"]).partition(" ")[0]],
            bool(each["nullable"] and not each.get("primary_key")),
        )
        for each in found
    }


def _believed(name: str) -> dict[str, tuple[type, bool]]:
    return {
        column.name: (column.type.python_type, bool(column.nullable))
        for column in tables.METADATA.tables[name].columns
    }


@pytest.fixture(params=["sqlite", "postgresql"])
def inspector(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Any, str | None]]:
    if request.param == "postgresql":
        town_books: TownBooks = request.getfixturevalue("town_books")
        server: Postgres = request.getfixturevalue("postgres")
        url = server.address.replace("postgresql://", "postgresql+psycopg://")
        schema: str | None = schema_of(town_books.town)
    else:
        FileBooks(tmp_path / "books.db", create=True).close()
        url, schema = f"sqlite:///{tmp_path / 'books.db'}", None
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        yield inspect(connection), schema


def test_every_table_has_the_columns_and_the_key_that_the_program_knows(
    inspector: tuple[Any, str | None],
) -> None:
    engine, schema = inspector
    names = set(engine.get_table_names(schema=schema)) - {"alembic_version"}
    assert names == set(tables.METADATA.tables)
    for name, table in tables.METADATA.tables.items():
        assert _columns(engine.get_columns(name, schema=schema)) == _believed(name)
        key = engine.get_pk_constraint(name, schema=schema)["constrained_columns"]
        assert key == [column.name for column in table.primary_key.columns]


def test_columns_have_the_same_order_on_both_engines(
    inspector: tuple[Any, str | None],
) -> None:
    """A row is added by its place in the table."""
    engine, schema = inspector
    for name, table in tables.METADATA.tables.items():
        found = [column["name"] for column in engine.get_columns(name, schema=schema)]
        assert found == table.columns.keys()


def test_both_engines_have_the_same_indexes(
    postgres: Postgres, town_books: TownBooks, books: FileBooks
) -> None:
    file = {
        row[0]
        for row in books.rows(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND name NOT LIKE 'sqlite_%'"
        )
    }
    with postgres.connect() as sql:
        town = {
            str(row[0])
            for row in sql.execute(
                "SELECT indexname FROM pg_indexes WHERE schemaname = %s"
                " AND indexname NOT IN (SELECT conname FROM pg_constraint)",
                (schema_of(town_books.town),),
            )
        }
    assert file == town
