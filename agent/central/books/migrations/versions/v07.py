"""Let the raw text of an old message be removed, and nothing else of it."""

from agent.central.books.migrations.steps import only_on_sqlite

revision = "7"
down_revision = "6"


def upgrade() -> None:
    """Run the step on a SQLite file; PostgreSQL begins with schema 8."""
    only_on_sqlite(STEP)


STEP = """
-- The raw text of an old message may be removed, and nothing else of it.
DROP TRIGGER arrival_never_changed;
CREATE TRIGGER arrival_never_changed BEFORE UPDATE ON arrival
WHEN NEW.body IS NOT NULL OR (NEW.n, NEW.payment, NEW.at, NEW.sha256, NEW.result)
    IS NOT (OLD.n, OLD.payment, OLD.at, OLD.sha256, OLD.result) BEGIN
    SELECT RAISE(ABORT, 'an arrival is never changed');
END;
"""
