"""The terminal's database, one readable constant a version, forward only.

Two tables carry the promises. `entry` is the ledger and the outbox at once: what the central has not booked is
`n > acked`. `record` holds the central's records whole, as they came: fields we do not know yet stay in the digest,
and no balance is ever updated in place. Balance shown = the record's balance + own entries after the record's `h`.
"""

from agent.domain.ledger import SEQ_BITS, SEQ_MAX

APPLICATION_ID = 0x43414E54  # "CANT": sqlite3 shows it, and a file of another program is refused
PAGE_BYTES = 1024  # a tap writes a few pages: with small ones a lunch stays within the write-ahead log that is there already

# One text a version; migration n brings the file from n-1 to n, in one transaction.
MIGRATIONS: tuple[str, ...] = (
    f"""
CREATE TABLE epoch (
    n         INTEGER PRIMARY KEY,          -- 1, 2, …: this file's lives in order
    id        TEXT NOT NULL UNIQUE,         -- n-<64 random bits>
    base_seq  INTEGER NOT NULL,             -- newest entry pruned, 0 if none
    base_hash BLOB NOT NULL                 -- its hash, at first the epoch's genesis: the kept chain starts from it
) STRICT;

CREATE TABLE entry (
    n        INTEGER PRIMARY KEY,           -- its place in this file: epoch * 2^{SEQ_BITS} + seq. Appending writes at the end of the file's tree
    epoch    INTEGER NOT NULL GENERATED ALWAYS AS (n >> {SEQ_BITS}) VIRTUAL,
    seq      INTEGER NOT NULL GENERATED ALWAYS AS (n & {SEQ_MAX}) VIRTUAL CHECK (seq >= 1),
    kind     TEXT    NOT NULL CHECK (kind IN ('meal', 'storno', 'unknown_meal', 'refusal', 'closing')),
    eater    TEXT,                          -- account, or the token of a card whose account is not known here; NULL: unreadable, closing
    service  TEXT,
    day      TEXT,                          -- the meal's day in the town's zone
    meal_number  INTEGER NOT NULL CHECK (meal_number >= 0),  -- 1: first meal of that eater, service and day; 2: after a storno; 0: no meal
    cents    INTEGER NOT NULL CHECK (CASE kind WHEN 'meal' THEN cents <= 0 WHEN 'storno' THEN cents >= 0 ELSE cents = 0 END),
    reverses INTEGER CHECK ((reverses IS NULL) = (kind <> 'storno')),  -- the place of the meal a storno undoes
    hash     BLOB    NOT NULL CHECK (length(hash) = 32),
    body     TEXT    NOT NULL               -- canonical JSON without the hash: what was hashed is what is sent
) STRICT;
-- Own entries after h, and meals of today, without reading the ledger.
CREATE INDEX entry_with_cents ON entry (eater, n) WHERE cents <> 0;
CREATE UNIQUE INDEX meal_once ON entry (eater, day, service, meal_number) WHERE meal_number > 0;
CREATE UNIQUE INDEX storno_once ON entry (reverses) WHERE reverses IS NOT NULL;
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
    h       INTEGER NOT NULL,               -- a balance in it contains own entries up to this place
    named   INTEGER NOT NULL,               -- the resynchronisation that named it last
    body    TEXT NOT NULL CHECK (json_valid(body)),  -- canonical JSON as the central sent it
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE note (                         -- the central's remarks on own entries
    n      INTEGER NOT NULL,                -- of the entry
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (n, status, reason)
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
    acked       INTEGER NOT NULL,           -- booked by the central up to this place
    generation     TEXT,                       -- the central's life; NULL before its first message
    position    INTEGER NOT NULL,           -- its position reached
    resync      INTEGER NOT NULL,           -- number of the newest resynchronisation
    resyncing   INTEGER NOT NULL CHECK (resyncing IN (0, 1)),
    resync_to   INTEGER,                    -- where the central stood when it began to tell everything; NULL if it did not say
    last_contact_at    TEXT,                       -- the central's time in its last answer
    order_done  TEXT,
    pruning     INTEGER NOT NULL CHECK (pruning IN (0, 1))  -- 1 only within the transaction that prunes
) STRICT;
""",
)
