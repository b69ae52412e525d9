"""Enrol terminals: certificates and one-time codes."""

from agent.central.books.migrations.steps import only_on_sqlite

revision = "5"
down_revision = "4"


def upgrade() -> None:
    """Run the step on a SQLite file; PostgreSQL begins with schema 8."""
    only_on_sqlite(STEP)


STEP = """
CREATE TABLE certificate (                    -- every certificate that a terminal received
    serial     TEXT PRIMARY KEY,              -- hex digits
    terminal   TEXT NOT NULL,
    pem        TEXT NOT NULL,
    at         TEXT NOT NULL,
    until      TEXT NOT NULL,
    revoked_at TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX certificate_by_terminal ON certificate (terminal, at);
CREATE TABLE enrolment (                      -- one-time codes; the secret itself is not kept
    secret   TEXT PRIMARY KEY,                -- its SHA-256 in hex digits
    terminal TEXT NOT NULL,
    at       TEXT NOT NULL,
    until    TEXT NOT NULL,
    used_at  TEXT,
    key      TEXT,                            -- SHA-256 of the key of the box that used it
    serial   TEXT                             -- of the certificate that it gave
) STRICT, WITHOUT ROWID;
"""
