"""The central's database.

An account's balance is the sum of its postings and nothing else; the column that holds it moves in the same transaction
and `check` recomputes it. Entries are kept as they came, in a tree: an entry's parent is the one whose hash it covers, so
a terminal's ledger is a path, a restored disk a branch, and the same entry twice is the same row.
"""

APPLICATION_ID = 0x43454E54  # "CENT"

MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE central (                      -- one row
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    town     TEXT NOT NULL,
    zone     TEXT NOT NULL,
    generation  TEXT NOT NULL,                 -- random id of this life of the database
    position INTEGER NOT NULL,              -- counts every change of a record
    labels   INTEGER NOT NULL DEFAULT 0     -- 1 while the policy in effect lets names leave
) STRICT;
CREATE TABLE generation (                      -- lives of this database, and others' that terminals told us of
    id     TEXT PRIMARY KEY,
    since  TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE terminal (
    id          TEXT PRIMARY KEY,
    site        TEXT,                       -- NULL: retired, sees nothing
    orders      INTEGER NOT NULL DEFAULT 0, -- how many orders it has been given
    order_id    TEXT,
    order_do    TEXT,
    then_resync INTEGER NOT NULL DEFAULT 0, -- a resynchronisation gave way to that order and comes after it
    forked      INTEGER NOT NULL DEFAULT 0, -- two histories under one identity were seen
    hello_at    TEXT,
    hello       TEXT,                       -- its newest hello, as it came
    state       TEXT                        -- its newest state, as it came
) STRICT, WITHOUT ROWID;
CREATE TABLE chain (                        -- how far a terminal's present line of an epoch is booked
    terminal TEXT NOT NULL,
    epoch    TEXT NOT NULL,
    seq      INTEGER NOT NULL,
    hash     TEXT NOT NULL,
    oldest   INTEGER NOT NULL,              -- the first entry it still keeps, by its newest hello
    seen     INTEGER NOT NULL,              -- order in which epochs were first seen
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
    balance  INTEGER NOT NULL,              -- cents; the sum of its postings
    p        INTEGER NOT NULL
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
    body        TEXT NOT NULL,              -- the record's JSON without p
    double_meal TEXT NOT NULL CHECK (double_meal IN ('give_back', 'keep')),
    p           INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE service (
    site TEXT NOT NULL,
    id   TEXT NOT NULL,
    body TEXT NOT NULL,                     -- the record's JSON without p
    p    INTEGER NOT NULL,
    PRIMARY KEY (site, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE tombstone (                    -- what a site may no longer see
    site TEXT NOT NULL,
    kind TEXT NOT NULL,
    id   TEXT NOT NULL,
    p    INTEGER NOT NULL,
    PRIMARY KEY (site, kind, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstone_by_site ON tombstone (site, p);

CREATE TABLE entry (                        -- every entry of every terminal, none refused
    terminal TEXT NOT NULL,
    epoch    TEXT NOT NULL,
    seq      INTEGER NOT NULL,
    hash     TEXT NOT NULL,
    prev     TEXT NOT NULL,                 -- hash of its parent
    kind     TEXT NOT NULL,
    at       TEXT,
    boot     TEXT,
    mono_ms  INTEGER,
    clock    TEXT,
    service  TEXT,
    card     TEXT,
    true_at  TEXT,                          -- at, corrected when its clock was unset; NULL until that is possible
    true_day TEXT,
    account  TEXT,                          -- whom it was booked to
    cents    INTEGER,                       -- what was booked; NULL if nothing was
    undoes_epoch TEXT,                      -- a storno's meal
    undoes_seq   INTEGER,
    undoes_hash  TEXT,
    status   TEXT NOT NULL CHECK (status IN ('applied', 'flagged', 'set_aside')),
    reason   TEXT NOT NULL,
    body     TEXT NOT NULL,                 -- as it came
    PRIMARY KEY (terminal, epoch, seq, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_by_meal ON entry (account, true_day, service) WHERE account IS NOT NULL;
CREATE INDEX entry_by_undone ON entry (terminal, undoes_epoch, undoes_seq, undoes_hash) WHERE undoes_seq IS NOT NULL;
CREATE INDEX entry_by_unknown_card ON entry (card) WHERE kind = 'unknown_meal' AND account IS NULL;
CREATE INDEX entry_by_missing_account ON entry (body ->> '$.account') WHERE status = 'set_aside' AND kind = 'meal';
CREATE INDEX entry_by_unset_clock ON entry (terminal, boot) WHERE true_at IS NULL AND boot IS NOT NULL;
CREATE TRIGGER entry_stays BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'an entry is never deleted'); END;
CREATE TRIGGER entry_as_it_came BEFORE UPDATE OF terminal, epoch, seq, hash, prev, body ON entry BEGIN
    SELECT RAISE(ABORT, 'an entry is kept as it came');
END;

CREATE TABLE posting (                      -- every movement of every account
    n        INTEGER PRIMARY KEY,
    account  TEXT NOT NULL,
    cents    INTEGER NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('top_up', 'refund', 'adjustment', 'meal', 'storno', 'unknown_meal', 'double_meal')),
    at       TEXT NOT NULL,                 -- when the central booked it
    channel  TEXT,                          -- of a payment
    external TEXT,                          -- its id there: twice is once
    terminal TEXT,                          -- of an entry
    epoch    TEXT,
    seq      INTEGER,
    hash     TEXT,
    reason   TEXT NOT NULL
) STRICT;
CREATE INDEX posting_by_account ON posting (account, n);
CREATE UNIQUE INDEX posting_once ON posting (channel, external) WHERE external IS NOT NULL;
CREATE INDEX posting_by_entry ON posting (terminal, epoch, seq, hash) WHERE terminal IS NOT NULL;
CREATE TRIGGER posting_stays BEFORE DELETE ON posting BEGIN SELECT RAISE(ABORT, 'a posting is never deleted'); END;
CREATE TRIGGER posting_never_changes BEFORE UPDATE ON posting BEGIN SELECT RAISE(ABORT, 'a posting is never changed'); END;

CREATE TABLE set_aside (
    n       INTEGER PRIMARY KEY,
    at      TEXT NOT NULL,
    topic   TEXT NOT NULL,
    bytes   INTEGER NOT NULL,
    payload BLOB NOT NULL,
    reason  TEXT NOT NULL
) STRICT;
CREATE TABLE incident (
    n        INTEGER PRIMARY KEY,
    at       TEXT NOT NULL,
    terminal TEXT,
    kind     TEXT NOT NULL,
    detail   TEXT NOT NULL
) STRICT;
""",
    "CREATE INDEX posting_of_credit ON posting (account, n) WHERE kind = 'top_up';  -- the newest credit, without reading every meal\n",
)
