"""Find meals that wait for a price by an index."""

from agent.central.books.migrations.steps import only_on_sqlite

revision = "3"
down_revision = "2"


def upgrade() -> None:
    """Run the step on a SQLite file; PostgreSQL begins with schema 8."""
    only_on_sqlite(STEP)


STEP = """
-- meals that wait for a price, without reading every entry
CREATE INDEX entry_without_price ON entry (account) WHERE instr(reason, 'no_price') > 0;
"""
