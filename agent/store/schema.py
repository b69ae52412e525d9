"""The terminal's database: one constant per schema version, forward only.

Two tables hold all that must not be lost. `entry` is the ledger, and the list of what must still be
sent: an entry is unacknowledged while `n > acked`. `record` holds the central's records whole, as
they came, so unknown fields stay in the digest. No balance is stored by the terminal itself: the
balance shown is the record's balance plus the own entries after the record's `h`.
"""

from agent.domain.ledger import SEQ_BITS, SEQ_MAX

APPLICATION_ID = 0x43414E54  # "CANT": shown by sqlite3; a file of another program is refused
PAGE_BYTES = 1024  # a tap changes a few pages; small pages keep a lunch within the reserved log

# Rows that promise something outside the hash chain, and their columns. `sum` of such a row is the
# CRC-32 of them: every flipped bit in it is noticed before the row is believed.
SUMMED = {
    "record": ("kind", "id", "p", "h", "named", "body"),
    "unread": ("kind", "id", "p", "h", "named", "body"),
    "note": ("n", "status", "reason"),
    "epoch": ("n", "id", "base_seq", "base_hash"),
    "terminal": (
        "singleton", "town", "id", "acked", "generation", "position", "resync", "resyncing",
        "resync_to", "last_contact_at", "order_done", "pruning", "wiped",
    ),
}  # fmt: skip
_KEYS = {"record": 2, "unread": 2, "note": 3, "epoch": 1, "terminal": 1}  # so many are its key


def sum_of(table: str, prefix: str = "") -> str:
    """Return the SQL expression of a row's sum. `database.py` gives SQLite the function crc32."""
    texts = (f"coalesce({prefix}{column}, '')" for column in SUMMED[table])
    return f"crc32(CAST({' || char(0) || '.join(texts)} AS BLOB))"


def is_whole(table: str) -> str:
    """Return the SQL condition that a row of the table is as it was written."""
    return f"({table}.sum IS {sum_of(table, f'{table}.')})"


def body_of(table: str) -> str:
    """Return the SQL expression of a record's body, NULL where the row is damaged.

    As bytes: a damaged body may not be valid text.
    """
    return f"iif({is_whole(table)}, CAST({table}.body AS BLOB), NULL)"


def _sums(table: str) -> str:
    """Return the part of a migration that adds the sums of a table."""
    key = " AND ".join(f"{column} = new.{column}" for column in SUMMED[table][: _KEYS[table]])
    seal = f"UPDATE {table} SET sum = {sum_of(table)}"
    triggers = "".join(
        f"""
CREATE TRIGGER {table}_{event.lower()}_sum AFTER {event} ON {table}
WHEN new.sum IS NOT {sum_of(table, "new.")} BEGIN
    {seal} WHERE {key};
END;"""
        for event in ("INSERT", "UPDATE")
    )
    return f"ALTER TABLE {table} ADD COLUMN sum INTEGER;\n{seal};{triggers}\n"


# One text per version. Migration n brings the file from version n-1 to n in one transaction.
MIGRATIONS: tuple[str, ...] = (
    f"""
CREATE TABLE epoch (
    n         INTEGER PRIMARY KEY,          -- 1, 2, …: epochs of this file in order
    id        TEXT NOT NULL UNIQUE,         -- n-<64 random bits>
    base_seq  INTEGER NOT NULL,             -- newest entry pruned, 0 if none
    base_hash BLOB NOT NULL                 -- its hash, or the genesis hash
) STRICT;

CREATE TABLE entry (
    n        INTEGER PRIMARY KEY,           -- place in this file: epoch number * 2^{SEQ_BITS} + seq
    epoch    INTEGER NOT NULL GENERATED ALWAYS AS (n >> {SEQ_BITS}) VIRTUAL,
    seq      INTEGER NOT NULL GENERATED ALWAYS AS (n & {SEQ_MAX}) VIRTUAL CHECK (seq >= 1),
    kind     TEXT    NOT NULL
        CHECK (kind IN ('meal', 'storno', 'unknown_meal', 'refusal', 'closing')),
    eater    TEXT,                          -- account, or token of a card without one
    service  TEXT,
    day      TEXT,                          -- day of the meal in the town's zone
    -- 1: first meal of eater, service and day; 2: after a storno; 0: no meal
    meal_number INTEGER NOT NULL CHECK (meal_number >= 0),
    cents    INTEGER NOT NULL CHECK (
        CASE kind WHEN 'meal' THEN cents <= 0 WHEN 'storno' THEN cents >= 0 ELSE cents = 0 END),
    -- place of the meal that a storno undoes
    reverses INTEGER CHECK ((reverses IS NULL) = (kind <> 'storno')),
    hash     BLOB    NOT NULL CHECK (length(hash) = 32),
    body     TEXT    NOT NULL               -- canonical JSON without the hash, as hashed
) STRICT;
-- Own entries after h, and meals of today, without a scan of the ledger.
CREATE INDEX entry_with_cents ON entry (eater, n) WHERE cents <> 0;
CREATE UNIQUE INDEX meal_once ON entry (eater, day, service, meal_number) WHERE meal_number > 0;
CREATE UNIQUE INDEX storno_once ON entry (reverses) WHERE reverses IS NOT NULL;
CREATE TRIGGER entry_never_changes BEFORE UPDATE ON entry BEGIN
    SELECT RAISE(ABORT, 'an entry is never changed');
END;
CREATE TRIGGER entry_only_pruned BEFORE DELETE ON entry
WHEN (SELECT pruning FROM terminal) = 0 BEGIN
    SELECT RAISE(ABORT, 'an entry is only removed by pruning');
END;

CREATE TABLE record (
    kind    TEXT NOT NULL,                  -- account, card, policy, service, or unknown
    id      TEXT NOT NULL,
    p       INTEGER NOT NULL,               -- the central's position at which it last changed
    h       INTEGER NOT NULL,               -- its balance contains own entries up to this place
    named   INTEGER NOT NULL,               -- number of the resynchronisation that last sent it
    -- canonical JSON as the central sent it
    body    TEXT NOT NULL CHECK (json_valid(body)),
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE note (                         -- the central's remarks on own entries
    n      INTEGER NOT NULL,                -- place of the entry
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (n, status, reason)
) STRICT, WITHOUT ROWID;

CREATE TABLE set_aside (                    -- messages that could not be used, with the reason
    n       INTEGER PRIMARY KEY,
    at      TEXT NOT NULL,
    topic   TEXT NOT NULL,
    bytes   INTEGER NOT NULL,               -- length as received; the payload is cut to a limit
    payload BLOB NOT NULL,
    reason  TEXT NOT NULL
) STRICT;

CREATE TABLE incident (                     -- what a technician should know
    n      INTEGER PRIMARY KEY,
    at     TEXT NOT NULL,
    kind   TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

CREATE TABLE terminal (                     -- one row
    singleton   INTEGER PRIMARY KEY CHECK (singleton = 1),
    town        TEXT NOT NULL,
    id          TEXT NOT NULL,
    acked       INTEGER NOT NULL,           -- booked by the central up to this place
    generation  TEXT,                       -- the central's; NULL before its first message
    position    INTEGER NOT NULL,           -- the central's position reached here
    resync      INTEGER NOT NULL,           -- number of the newest resynchronisation
    resyncing   INTEGER NOT NULL CHECK (resyncing IN (0, 1)),
    resync_to   INTEGER,                    -- the central's position when it began, if known
    last_contact_at TEXT,                   -- the central's time in its last answer
    order_done  TEXT,
    -- 1 only within the transaction that prunes
    pruning     INTEGER NOT NULL CHECK (pruning IN (0, 1))
) STRICT;
""",
    """
CREATE TABLE wrong_time (                   -- entries whose time was found to be wrong
    first INTEGER PRIMARY KEY,              -- place of the first one
    last  INTEGER NOT NULL CHECK (last >= first),
    boot  TEXT NOT NULL,                    -- in which they were made
    judged_in TEXT NOT NULL                 -- the boot that found it
) STRICT;
CREATE TABLE belief (                       -- at most one row: the confirmed time of a boot
    singleton  INTEGER PRIMARY KEY CHECK (singleton = 1),
    boot       TEXT NOT NULL,
    source     TEXT NOT NULL,
    zero_at    TEXT NOT NULL,               -- the time at the beginning of the boot
    doubt      TEXT NOT NULL,               -- what contradicts it, empty if nothing does
    doubted_ms INTEGER NOT NULL,            -- since when, in milliseconds of the boot
    witnessed  INTEGER NOT NULL CHECK (witnessed IN (0, 1))
) STRICT;
-- The newest form of records that this version cannot read; `record` keeps the last that it could.
CREATE TABLE unread (
    kind  TEXT NOT NULL,
    id    TEXT NOT NULL,
    p     INTEGER NOT NULL,
    h     INTEGER NOT NULL,
    named INTEGER NOT NULL,
    body  TEXT NOT NULL CHECK (json_valid(body)),
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
-- 1: wiped, and takes no record until it is given work again
ALTER TABLE terminal ADD COLUMN wiped INTEGER NOT NULL DEFAULT 0 CHECK (wiped IN (0, 1));
""",
    # The sums are set by triggers, so no statement can forget them.
    "".join(map(_sums, SUMMED)),
)
