"""Take payments: references, payments, messages, settlement flows and the treasury's sums."""

from agent.central.books.migrations.steps import only_on_sqlite

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Run the step on a SQLite file; PostgreSQL begins with schema 8."""
    only_on_sqlite(STEP)


STEP = """
-- Two kinds more. A payment that is split over accounts has a posting for each.
CREATE TABLE posting_of_more_kinds (
    n        INTEGER PRIMARY KEY,
    account  TEXT NOT NULL,
    cents    INTEGER NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('top_up', 'voucher', 'transfer', 'refund', 'adjustment',
        'meal', 'storno', 'unknown_meal', 'double_meal')),
    at       TEXT NOT NULL,                   -- when the central booked it
    channel  TEXT,                            -- of a payment
    external TEXT,                            -- the payment's id in its channel
    terminal TEXT,                            -- of an entry
    epoch    TEXT,
    seq      INTEGER,
    hash     TEXT,
    reason   TEXT NOT NULL
) STRICT;
INSERT INTO posting_of_more_kinds SELECT n, account, cents, kind, at, channel, external, terminal,
    epoch, seq, hash, reason FROM posting;
DROP TABLE posting;
ALTER TABLE posting_of_more_kinds RENAME TO posting;
CREATE INDEX posting_by_account ON posting (account, n);
CREATE INDEX posting_of_credit ON posting (account, n) WHERE kind = 'top_up';
CREATE UNIQUE INDEX posting_once ON posting (channel, external, account)
    WHERE external IS NOT NULL;
CREATE INDEX posting_by_entry ON posting (terminal, epoch, seq, hash) WHERE terminal IS NOT NULL;
CREATE INDEX posting_of_channel ON posting (at) WHERE channel IS NOT NULL;
CREATE TRIGGER posting_never_deleted BEFORE DELETE ON posting BEGIN
    SELECT RAISE(ABORT, 'a posting is never deleted');
END;
CREATE TRIGGER posting_never_changed BEFORE UPDATE ON posting BEGIN
    SELECT RAISE(ABORT, 'a posting is never changed');
END;

CREATE TABLE reference (                      -- given out before a payment can name it
    id     TEXT PRIMARY KEY,                  -- the IUV of a notice, the code of an order
    notice TEXT UNIQUE,                       -- the notice number; NULL for an order
    root   TEXT NOT NULL,                     -- the notice that an order pays, else id
    cents  INTEGER NOT NULL CHECK (cents > 0),
    at     TEXT NOT NULL                      -- when it was given out
) STRICT, WITHOUT ROWID;
CREATE INDEX reference_by_root ON reference (root);
CREATE TABLE share (                          -- what each account gets of a root's payment
    reference TEXT NOT NULL,
    account   TEXT NOT NULL,
    cents     INTEGER NOT NULL CHECK (cents > 0),
    PRIMARY KEY (reference, account)
) STRICT, WITHOUT ROWID;

CREATE TABLE payment (                        -- every payment that a door reported
    n         INTEGER PRIMARY KEY,
    channel   TEXT NOT NULL,
    external  TEXT NOT NULL,                  -- its id in its channel
    reference TEXT NOT NULL,                  -- as it came; it may be unknown
    cents     INTEGER NOT NULL CHECK (cents >= 0),
    paid_at   TEXT,                           -- as its channel states it
    at        TEXT NOT NULL,                  -- when it first came
    state     TEXT NOT NULL CHECK (state IN
        ('credited', 'parked', 'pending', 'failed', 'refunded', 'rejected')),
    reason    TEXT NOT NULL,                  -- why it is parked or failed; the office's words
    UNIQUE (channel, external)
) STRICT;
CREATE INDEX payment_by_reference ON payment (reference);
CREATE INDEX payment_open ON payment (n) WHERE state IN ('parked', 'pending');
CREATE TRIGGER payment_never_deleted BEFORE DELETE ON payment BEGIN
    SELECT RAISE(ABORT, 'a payment is never deleted');
END;
CREATE TRIGGER payment_never_changed
BEFORE UPDATE OF channel, external, reference, cents, paid_at, at ON payment BEGIN
    SELECT RAISE(ABORT, 'a payment is stored as it came and never changed');
END;
CREATE TRIGGER payment_decided_once BEFORE UPDATE OF state ON payment
WHEN OLD.state NOT IN ('parked', 'pending') BEGIN
    SELECT RAISE(ABORT, 'a payment that is decided stays so');
END;
CREATE TABLE arrival (                        -- every message that reported a payment, as it came
    n       INTEGER PRIMARY KEY,
    payment INTEGER NOT NULL,
    at      TEXT NOT NULL,
    sha256  TEXT NOT NULL,
    body    BLOB,                             -- NULL: an earlier arrival has the same bytes
    result  TEXT NOT NULL
) STRICT;
CREATE INDEX arrival_by_bytes ON arrival (sha256);
CREATE TRIGGER arrival_never_deleted BEFORE DELETE ON arrival BEGIN
    SELECT RAISE(ABORT, 'an arrival is never deleted');
END;
CREATE TABLE flow (                           -- settlement flows, each revision once
    id       TEXT NOT NULL,
    revision TEXT NOT NULL,                   -- the time that the flow states of itself
    day      TEXT NOT NULL,                   -- of the transfer to the treasury
    cents    INTEGER NOT NULL,
    at       TEXT NOT NULL,
    sha256   TEXT NOT NULL,
    PRIMARY KEY (id, revision)
) STRICT, WITHOUT ROWID;
CREATE TABLE flow_row (                       -- the rows of each flow's newest revision
    flow     TEXT NOT NULL,
    n        INTEGER NOT NULL,
    iuv      TEXT NOT NULL,
    external TEXT NOT NULL,                   -- the key that its receipt has
    cents    INTEGER NOT NULL CHECK (cents >= 0),
    outcome  TEXT NOT NULL CHECK (outcome IN ('paid', 'revoked')),
    day      TEXT NOT NULL,
    PRIMARY KEY (flow, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX flow_row_by_key ON flow_row (external);
CREATE INDEX flow_row_by_iuv ON flow_row (iuv);
CREATE TABLE treasury_sum (                   -- sums that arrived at the treasury
    year    INTEGER NOT NULL,
    number  TEXT NOT NULL,
    day     TEXT NOT NULL,
    cents   INTEGER NOT NULL,
    undone  INTEGER NOT NULL,                 -- 1: the treasury undid it
    reason  TEXT NOT NULL,                    -- without blanks: the treasury's programs add them
    PRIMARY KEY (year, number)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER arrival_never_changed BEFORE UPDATE ON arrival BEGIN
    SELECT RAISE(ABORT, 'an arrival is never changed');
END;
"""
