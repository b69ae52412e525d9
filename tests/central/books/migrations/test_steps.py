"""The steps of a schema: Alembic writes them, each engine runs its own."""

import pytest

from agent.central.books.migrations.steps import (
    FIRST_ON_POSTGRESQL,
    NEWEST,
    SQLITE_STEPS,
    step,
)
from agent.central.books.query import POSTGRESQL, SQLITE


def test_every_schema_has_a_step_and_the_newest_is_the_last() -> None:
    assert len(SQLITE_STEPS) == NEWEST == len(SQLITE_STEPS[:])
    assert all("CREATE" in text for text in SQLITE_STEPS)
    assert SQLITE_STEPS[NEWEST - 1] == SQLITE_STEPS[-1] == step(SQLITE, NEWEST)
    with pytest.raises(IndexError):
        SQLITE_STEPS[NEWEST]


def test_a_step_has_the_sql_of_its_engine() -> None:
    assert "STRICT" in step(SQLITE, 1) and "STRICT" not in step(POSTGRESQL, FIRST_ON_POSTGRESQL)
    assert step(POSTGRESQL, FIRST_ON_POSTGRESQL - 1) == ""
    assert "plpgsql" in step(POSTGRESQL, FIRST_ON_POSTGRESQL)
    assert "plpgsql" not in step(SQLITE, FIRST_ON_POSTGRESQL)
