"""The terminal's database, one readable constant a version, forward only.

Two tables carry the promises. `entry` is the ledger and the outbox at once: what the central has not booked is
`key > acked`. `record` holds the central's records whole, as they came: fields we do not know yet stay in the digest,
and no balance is ever updated in place. Balance shown = the record's balance + own entries after the record's `h`.
"""

APPLICATION_ID = 0x43414E54  # "CANT": sqlite3 shows it, and a file of another program is refused
PAGE_BYTES = 1024  # a tap writes a few pages: small ones are fewer bytes at the block device

# One text a version; migration n brings the file from n-1 to n, in one transaction.
MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE epoch (
    n         INTEGER PRIMARY KEY,          -- 1, 2, …: this file's lives in order
    id        TEXT NOT NULL UNIQUE,         -- n-<64 random bits>
    base_seq  INTEGER NOT NULL,             -- newest entry pruned, 0 if none
    base_hash TEXT NOT NULL                 -- its hash, at first the epoch's genesis: the kept chain starts from it
) STRICT;

CREATE TABLE entry (
    epoch    INTEGER NOT NULL REFERENCES epoch (n),
    seq      INTEGER NOT NULL CHECK (seq >= 1),
    kind     TEXT    NOT NULL CHECK (kind IN ('meal', 'storno', 'unknown_meal', 'refusal', 'closing')),
    account  TEXT,                          -- NULL: unknown card, unreadable card, closing
    card     TEXT,                          -- token
    service  TEXT,
    day      TEXT,                          -- the meal's day in the town's zone
    helping  INTEGER NOT NULL CHECK (helping >= 0),  -- 1: first meal of that account, service and day; 2: after a storno; 0: no meal
    cents    INTEGER NOT NULL CHECK (CASE kind WHEN 'meal' THEN cents <= 0 WHEN 'storno' THEN cents >= 0 ELSE cents = 0 END),
    at       TEXT    NOT NULL,
    reverses_epoch INTEGER,
    reverses_seq   INTEGER CHECK ((reverses_seq IS NULL) = (kind <> 'storno')),
    hash     TEXT    NOT NULL,
    body     TEXT    NOT NULL,              -- canonical JSON without the hash: what was hashed is what is sent
    PRIMARY KEY (epoch, seq)
) STRICT, WITHOUT ROWID;
-- Own entries after h, and meals of today, without reading the ledger.
CREATE INDEX entry_of_account ON entry (account, epoch, seq) WHERE account IS NOT NULL;
CREATE UNIQUE INDEX meal_once ON entry (coalesce(account, card), service, day, helping) WHERE helping > 0;
CREATE UNIQUE INDEX storno_once ON entry (reverses_epoch, reverses_seq) WHERE reverses_seq IS NOT NULL;
CREATE TRIGGER entry_never_changes BEFORE UPDATE ON entry BEGIN
    SELECT RAISE(ABORT, 'an entry is never changed');
END;
CREATE TRIGGER entry_goes_by_pruning BEFORE DELETE ON entry
WHEN (SELECT pruning FROM terminal) = 0 BEGIN
    SELECT RAISE(ABORT, 'an entry is only ever pruned');
END;

CREATE TABLE record (
    kind    TEXT NOT NULL,                  -- account, card, policy, service, or one this version cannot read
    id      TEXT NOT NULL,
    p       INTEGER NOT NULL,               -- the central's position at which it last changed
    h_epoch INTEGER NOT NULL,               -- a balance in it contains own entries up to (h_epoch, h_seq)
    h_seq   INTEGER NOT NULL,
    named   INTEGER NOT NULL,               -- the resynchronisation that named it last
    body    TEXT NOT NULL CHECK (json_valid(body)),  -- canonical JSON as the central sent it
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE note (                         -- the central's remarks on own entries
    epoch  INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (epoch, seq, status, reason)
) STRICT, WITHOUT ROWID;

CREATE TABLE set_aside (                    -- messages that could not be used, kept with the reason
    n       INTEGER PRIMARY KEY,
    at      TEXT NOT NULL,
    topic   TEXT NOT NULL,
    bytes   INTEGER NOT NULL,               -- length as received; the payload is cut to a limit
    payload BLOB NOT NULL,
    reason  TEXT NOT NULL
) STRICT;

CREATE TABLE incident (                     -- what a technician should know of later
    n      INTEGER PRIMARY KEY,
    at     TEXT NOT NULL,
    kind   TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

CREATE TABLE terminal (                     -- one row
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    town        TEXT NOT NULL,
    id          TEXT NOT NULL,
    acked_epoch INTEGER NOT NULL,           -- booked by the central up to here
    acked_seq   INTEGER NOT NULL,
    journal     TEXT,                       -- the central's life; NULL before its first message
    position    INTEGER NOT NULL,           -- its position reached
    resync      INTEGER NOT NULL,           -- number of the newest resynchronisation
    resyncing   INTEGER NOT NULL CHECK (resyncing IN (0, 1)),
    heard_at    TEXT,                       -- the central's time in its last answer
    order_done  TEXT,
    pruning     INTEGER NOT NULL CHECK (pruning IN (0, 1))  -- 1 only within the transaction that prunes
) STRICT;
""",
)
