"""The tables of the books.

An account's balance is the sum of its postings and nothing else. The column `balance` moves in the
same transaction as a posting, and `canteen-central check` computes it again.

Entries are stored as they came, in a tree: an entry's parent is the entry whose hash it covers. So
a terminal's ledger is a path, a restored disk is a branch, and the same entry twice is one row.
"""

from agent.domain.ledger import SEQ_MAX

APPLICATION_ID = 0x43454E54  # "CENT"

MIGRATIONS: tuple[str, ...] = (
    f"""
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
    seq      INTEGER NOT NULL CHECK (seq BETWEEN 0 AND {SEQ_MAX}),
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
    seq      INTEGER NOT NULL CHECK (seq BETWEEN 1 AND {SEQ_MAX}),
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
""",
    """
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
""",
    """
-- meals that wait for a price, without reading every entry
CREATE INDEX entry_without_price ON entry (account) WHERE instr(reason, 'no_price') > 0;
""",
    """
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
""",
    """
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
""",
    """
-- Accounts of one family get one letter and one yearly statement.
ALTER TABLE account ADD COLUMN family TEXT;
CREATE INDEX account_by_family ON account (family) WHERE family IS NOT NULL;
""",
    """
-- The raw text of an old message may be removed, and nothing else of it.
DROP TRIGGER arrival_never_changed;
CREATE TRIGGER arrival_never_changed BEFORE UPDATE ON arrival
WHEN NEW.body IS NOT NULL OR (NEW.n, NEW.payment, NEW.at, NEW.sha256, NEW.result)
    IS NOT (OLD.n, OLD.payment, OLD.at, OLD.sha256, OLD.result) BEGIN
    SELECT RAISE(ABORT, 'an arrival is never changed');
END;
""",
)
