"""From each schema of the books to the next: one revision of Alembic for each step.

Alembic writes the SQL of a step (its offline mode). What opens the books runs it, in a transaction
of its own, and writes the number of the schema beside it: into the header of a SQLite file, or into
the table `alembic_version` of a town's schema on PostgreSQL.
"""

from collections.abc import Sequence
from functools import cache
from io import StringIO
from pathlib import Path
from typing import overload

from sqlalchemy import Dialect

from agent.central.books.query import SQLITE

APPLICATION_ID = 0x43454E54  # "CENT"
NEWEST = 8
"""The schema of this program."""
FIRST_ON_POSTGRESQL = 8
"""Towns on PostgreSQL begin with this schema."""


@cache
def step(dialect: Dialect, number: int) -> str:
    """Return the SQL that makes a schema of the one before it."""
    # imported here: a tenth of a second, which only a new or an older database needs
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    buffer = StringIO()
    context = MigrationContext.configure(
        dialect=dialect, opts={"as_sql": True, "output_buffer": buffer}
    )
    folder = str(Path(__file__).parent)
    revision = ScriptDirectory(folder).get_revision(str(number))
    assert revision is not None
    with Operations.context(context):
        revision.module.upgrade()
    return buffer.getvalue()


class _SqliteSteps(Sequence[str]):
    def __len__(self) -> int:
        return NEWEST

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, int):
            return step(SQLITE, range(1, NEWEST + 1)[index])
        return [step(SQLITE, number) for number in range(1, NEWEST + 1)[index]]


SQLITE_STEPS: Sequence[str] = _SqliteSteps()


def only_on_sqlite(script: str) -> None:
    """Run statements, if the books are a SQLite file."""
    _only_on("sqlite", script)


def only_on_postgresql(script: str) -> None:
    """Run statements, if the books are a town on PostgreSQL."""
    _only_on("postgresql", script)


def _only_on(engine: str, script: str) -> None:
    from alembic import op

    if op.get_context().dialect.name == engine:
        op.execute(script.strip().removesuffix(";"))
