"""Confirm times: boots, and remarks with a position."""

from agent.central.books.migrations.steps import only_on_sqlite

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Run the step on a SQLite file; PostgreSQL begins with schema 8."""
    only_on_sqlite(STEP)


STEP = """
-- 1: the time is confirmed, by the entry itself or by another one of its boot
ALTER TABLE entry ADD COLUMN dated INTEGER NOT NULL DEFAULT 0;
UPDATE entry SET dated = 1 WHERE true_at IS NOT NULL AND clock <> 'held';
DROP INDEX entry_by_unset_clock;
CREATE INDEX entry_undated ON entry (terminal, boot) WHERE dated = 0 AND boot IS NOT NULL;
CREATE TABLE boot (                           -- the newest confirmed time of each boot
    terminal TEXT NOT NULL,
    boot     TEXT NOT NULL,
    at       TEXT NOT NULL,
    mono_ms  INTEGER NOT NULL,
    PRIMARY KEY (terminal, boot)
) STRICT, WITHOUT ROWID;
CREATE TABLE remark (                         -- entries whose remark changed after booking
    terminal TEXT NOT NULL,
    epoch    TEXT NOT NULL,
    seq      INTEGER NOT NULL,
    hash     TEXT NOT NULL,
    p        INTEGER NOT NULL,                -- position of that change
    PRIMARY KEY (terminal, epoch, seq, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX remark_by_position ON remark (terminal, p);
"""
