"""Make the tables of the first schema."""

from agent.central.books.migrations.steps import only_on_sqlite

revision = "1"
down_revision = None


def upgrade() -> None:
    """Run the step on a SQLite file; PostgreSQL begins with schema 8."""
    only_on_sqlite(STEP)


STEP = """
CREATE TABLE central (                        -- one row
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    town       TEXT NOT NULL,
    zone       TEXT NOT NULL,
    generation TEXT NOT NULL,                 -- the present generation of this database
    position   INTEGER NOT NULL,              -- counts every change of a record
    labels     INTEGER NOT NULL DEFAULT 0     -- 1 while the policy in effect sends labels
) STRICT;
CREATE TABLE generation (                     -- of this database, and those that terminals named
    id     TEXT PRIMARY KEY,
    since  TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE terminal (
    id          TEXT PRIMARY KEY,
    site        TEXT,                         -- NULL: retired, receives no record
    orders      INTEGER NOT NULL DEFAULT 0,   -- the number of its newest order
    order_id    TEXT,                         -- the order that waits
    order_do    TEXT,
    then_resync INTEGER NOT NULL DEFAULT 0,   -- 1: the waiting order replaced a resync
    forked      INTEGER NOT NULL DEFAULT 0,   -- 1: two entries had the same number
    hello_at    TEXT,
    hello       TEXT,                         -- its newest hello, as it came
    state       TEXT                          -- its newest state, as it came
) STRICT, WITHOUT ROWID;
CREATE TABLE chain (                          -- how far an epoch of a terminal is acknowledged
    terminal TEXT NOT NULL,
    epoch    TEXT NOT NULL,
    seq      INTEGER NOT NULL CHECK (seq BETWEEN 0 AND 8589934591),
    hash     TEXT NOT NULL,
    oldest   INTEGER NOT NULL,                -- the first entry it still keeps, by its newest hello
    seen     INTEGER NOT NULL,                -- the order in which epochs were first seen
    PRIMARY KEY (terminal, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE account (
    id       TEXT PRIMARY KEY,
    site     TEXT NOT NULL,
    category TEXT NOT NULL CHECK (category IN ('pupil', 'staff', 'guest')),
    status   TEXT NOT NULL CHECK (status IN ('active', 'closed')),
    class    TEXT,
    label    TEXT,
    dish     TEXT,
    balance  INTEGER NOT NULL,                -- cents; the sum of its postings
    p        INTEGER NOT NULL                 -- position of its newest change, as in every record
) STRICT, WITHOUT ROWID;
CREATE INDEX account_by_site ON account (site, p);
CREATE TABLE price (
    account  TEXT NOT NULL,
    service  TEXT NOT NULL,
    from_day TEXT NOT NULL,
    cents    INTEGER NOT NULL CHECK (cents >= 0),
    PRIMARY KEY (account, service, from_day)
) STRICT, WITHOUT ROWID;
CREATE TABLE card (
    token   TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    status  TEXT NOT NULL CHECK (status IN ('active', 'blocked', 'replaced')),
    p       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX card_by_account ON card (account);
CREATE INDEX card_by_position ON card (p);
CREATE TABLE policy (
    from_day    TEXT PRIMARY KEY,
    body        TEXT NOT NULL,                -- the record's JSON without k and p
    double_meal TEXT NOT NULL CHECK (double_meal IN ('give_back', 'keep')),
    p           INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE service (
    site TEXT NOT NULL,
    id   TEXT NOT NULL,
    body TEXT NOT NULL,                       -- the record's JSON without k and p
    p    INTEGER NOT NULL,
    PRIMARY KEY (site, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE tombstone (                      -- records that a site must delete
    site TEXT NOT NULL,
    kind TEXT NOT NULL,
    id   TEXT NOT NULL,
    p    INTEGER NOT NULL,
    PRIMARY KEY (site, kind, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstone_by_site ON tombstone (site, p);

CREATE TABLE entry (                          -- every entry of every terminal; none is rejected
    terminal TEXT NOT NULL,
    epoch    TEXT NOT NULL,
    seq      INTEGER NOT NULL CHECK (seq BETWEEN 1 AND 8589934591),
    hash     TEXT NOT NULL,
    prev     TEXT NOT NULL,                   -- hash of its parent
    kind     TEXT NOT NULL,
    at       TEXT,
    boot     TEXT,
    mono_ms  INTEGER,
    clock    TEXT,
    service  TEXT,
    card     TEXT,
    true_at  TEXT,                            -- at; corrected, or NULL, if its clock was wrong
    true_day TEXT,
    account  TEXT,                            -- the account it was booked to
    cents    INTEGER,                         -- the cents booked; NULL if nothing was
    undoes_epoch TEXT,                        -- a storno's meal
    undoes_seq   INTEGER,
    undoes_hash  TEXT,
    status   TEXT NOT NULL CHECK (status IN ('applied', 'flagged', 'set_aside')),
    reason   TEXT NOT NULL,
    body     TEXT NOT NULL,                   -- as it came
    PRIMARY KEY (terminal, epoch, seq, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_by_meal ON entry (account, true_day, service) WHERE account IS NOT NULL;
CREATE INDEX entry_by_undone ON entry (terminal, undoes_epoch, undoes_seq, undoes_hash)
    WHERE undoes_seq IS NOT NULL;
CREATE INDEX entry_by_unknown_card ON entry (card)
    WHERE kind = 'unknown_meal' AND account IS NULL;
CREATE INDEX entry_by_missing_account ON entry (body ->> '$.account')
    WHERE status = 'set_aside' AND kind = 'meal';
CREATE INDEX entry_by_unset_clock ON entry (terminal, boot)
    WHERE true_at IS NULL AND boot IS NOT NULL;
CREATE TRIGGER entry_never_deleted BEFORE DELETE ON entry BEGIN
    SELECT RAISE(ABORT, 'an entry is never deleted');
END;
CREATE TRIGGER entry_never_changed BEFORE UPDATE OF terminal, epoch, seq, hash, prev, body ON entry
BEGIN
    SELECT RAISE(ABORT, 'an entry is stored as it came and never changed');
END;

CREATE TABLE posting (                        -- every movement of every account
    n        INTEGER PRIMARY KEY,
    account  TEXT NOT NULL,
    cents    INTEGER NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('top_up', 'refund', 'adjustment', 'meal', 'storno',
        'unknown_meal', 'double_meal')),
    at       TEXT NOT NULL,                   -- when the central booked it
    channel  TEXT,                            -- of a payment
    external TEXT,                            -- the payment's id in its channel
    terminal TEXT,                            -- of an entry
    epoch    TEXT,
    seq      INTEGER,
    hash     TEXT,
    reason   TEXT NOT NULL
) STRICT;
CREATE INDEX posting_by_account ON posting (account, n);
-- the newest top-up, without reading every meal
CREATE INDEX posting_of_credit ON posting (account, n) WHERE kind = 'top_up';
-- a payment that is reported twice is booked once
CREATE UNIQUE INDEX posting_once ON posting (channel, external) WHERE external IS NOT NULL;
CREATE INDEX posting_by_entry ON posting (terminal, epoch, seq, hash) WHERE terminal IS NOT NULL;
CREATE TRIGGER posting_never_deleted BEFORE DELETE ON posting BEGIN
    SELECT RAISE(ABORT, 'a posting is never deleted');
END;
CREATE TRIGGER posting_never_changed BEFORE UPDATE ON posting BEGIN
    SELECT RAISE(ABORT, 'a posting is never changed');
END;

CREATE TABLE set_aside (                      -- messages that could not be used
    n       INTEGER PRIMARY KEY,
    at      TEXT NOT NULL,
    topic   TEXT NOT NULL,
    bytes   INTEGER NOT NULL,                 -- of the whole payload
    payload BLOB NOT NULL,                    -- its beginning
    reason  TEXT NOT NULL
) STRICT;
CREATE TABLE incident (                       -- what the office or a technician should know
    n        INTEGER PRIMARY KEY,
    at       TEXT NOT NULL,
    terminal TEXT,
    epoch    TEXT,
    kind     TEXT NOT NULL,
    detail   TEXT NOT NULL
) STRICT;
"""
