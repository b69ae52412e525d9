"""Let accounts of one family get one letter and one yearly statement."""

from agent.central.books.migrations.steps import only_on_sqlite

revision = "6"
down_revision = "5"


def upgrade() -> None:
    """Run the step on a SQLite file; PostgreSQL begins with schema 8."""
    only_on_sqlite(STEP)


STEP = """
-- Accounts of one family get one letter and one yearly statement.
ALTER TABLE account ADD COLUMN family TEXT;
CREATE INDEX account_by_family ON account (family) WHERE family IS NOT NULL;
"""
