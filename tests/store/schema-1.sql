PRAGMA application_id = 1128353364;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE entry (
    n        INTEGER PRIMARY KEY,           -- place in this file: epoch number * 2^33 + seq
    epoch    INTEGER NOT NULL GENERATED ALWAYS AS (n >> 33) VIRTUAL,
    seq      INTEGER NOT NULL GENERATED ALWAYS AS (n & 8589934591) VIRTUAL CHECK (seq >= 1),
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
INSERT INTO "entry" VALUES(8589934612,'meal','a-6','lunch','2026-11-23',1,-366,NULL,X'59CAA10C44CE879DC8DC29256AEB5360C66BB235257678578520EAC2F7606480','{"account":"a-6","at":"2026-11-23T11:00:18.000Z","boot":"b","card":"00000000000000000000000000000006","cents":-366,"clock":"synced","day":"2026-11-23","how":"card","kind":"meal","mono_ms":18,"seq":20,"service":"lunch"}');
INSERT INTO "entry" VALUES(8589934613,'meal','a-7','lunch','2026-11-23',1,-366,NULL,X'922B80F65C330D9C99C2D99C8C3EF5F0C6A442A3A4D68CBDD138818523855970','{"account":"a-7","at":"2026-11-23T11:00:19.000Z","boot":"b","card":"00000000000000000000000000000007","cents":-366,"clock":"synced","day":"2026-11-23","how":"card","kind":"meal","mono_ms":19,"seq":21,"service":"lunch"}');
INSERT INTO "entry" VALUES(8589934614,'meal','a-8','lunch','2026-11-23',1,-366,NULL,X'5B1A65072060DF6D60C8118DB2132E99AC8A8951A23BFACCA59A269F4781CED3','{"account":"a-8","at":"2026-11-23T11:00:20.000Z","boot":"b","card":"00000000000000000000000000000008","cents":-366,"clock":"synced","day":"2026-11-23","how":"card","kind":"meal","mono_ms":20,"seq":22,"service":"lunch"}');
INSERT INTO "entry" VALUES(8589934615,'meal','a-9','lunch','2026-11-23',1,-366,NULL,X'DA71EA44C3480ED8747C4AC225A7B4AA1D82C828C687BB3D9F2E4B60BFD95994','{"account":"a-9","at":"2026-11-23T11:00:21.000Z","boot":"b","card":"00000000000000000000000000000009","cents":-366,"clock":"synced","day":"2026-11-23","how":"card","kind":"meal","mono_ms":21,"seq":23,"service":"lunch"}');
INSERT INTO "entry" VALUES(8589934616,'meal','a-10','lunch','2026-11-23',1,-366,NULL,X'70635C0BD21B2260DBE37405687ED9C604B8F86E662F650C12E16B72932D2FBD','{"account":"a-10","at":"2026-11-23T11:00:22.000Z","boot":"b","card":"0000000000000000000000000000000a","cents":-366,"clock":"synced","day":"2026-11-23","how":"card","kind":"meal","mono_ms":22,"seq":24,"service":"lunch"}');
INSERT INTO "entry" VALUES(8589934617,'meal','a-11','lunch','2026-11-23',1,-366,NULL,X'76E455E814BFE72B2CE1AC2A10C20D36F9FE1FBC1D3E8120CD2F6D2084021A55','{"account":"a-11","at":"2026-11-23T11:00:23.000Z","boot":"b","card":"0000000000000000000000000000000b","cents":-366,"clock":"synced","day":"2026-11-23","how":"card","kind":"meal","mono_ms":23,"seq":25,"service":"lunch"}');
INSERT INTO "entry" VALUES(8589934618,'meal','a-0','lunch','2026-11-23',1,-366,NULL,X'51A33CF2043FE5A735D90EFBE2BBDFFBA8568F564A59E244D27087E77E7A4322','{"account":"a-0","at":"2026-11-23T11:00:24.000Z","boot":"b","card":"00000000000000000000000000000000","cents":-366,"clock":"synced","day":"2026-11-23","how":"card","kind":"meal","mono_ms":24,"seq":26,"service":"lunch"}');
INSERT INTO "entry" VALUES(17179869185,'meal','a-1','lunch','2026-11-24',1,-366,NULL,X'18AEE5F8C34413A31A51502F1AC66401FEECDCAE16D737E8E42040248E0A2020','{"account":"a-1","at":"2026-11-23T11:00:25.000Z","boot":"b","card":"00000000000000000000000000000001","cents":-366,"clock":"synced","day":"2026-11-24","how":"card","kind":"meal","mono_ms":25,"seq":1,"service":"lunch"}');
INSERT INTO "entry" VALUES(17179869186,'meal','a-2','lunch','2026-11-24',1,-366,NULL,X'D5FD3D64A9AA0F1DAFAF53EE4060BD5719D1CBAA3191C25535FC7658A17B597A','{"account":"a-2","at":"2026-11-23T11:00:26.000Z","boot":"b","card":"00000000000000000000000000000002","cents":-366,"clock":"synced","day":"2026-11-24","how":"card","kind":"meal","mono_ms":26,"seq":2,"service":"lunch"}');
INSERT INTO "entry" VALUES(17179869187,'meal','a-3','lunch','2026-11-24',1,-366,NULL,X'0B4C81EB85CC0D9FCEFDD7026B68BEF51A520A1E6F71417456769072456A338B','{"account":"a-3","at":"2026-11-23T11:00:27.000Z","boot":"b","card":"00000000000000000000000000000003","cents":-366,"clock":"synced","day":"2026-11-24","how":"card","kind":"meal","mono_ms":27,"seq":3,"service":"lunch"}');
INSERT INTO "entry" VALUES(17179869188,'meal','a-4','lunch','2026-11-24',1,-366,NULL,X'A5C20996EBD4E1FD22995D6DDBB1D2D2869811E494576D7BEFC8D22D886B7140','{"account":"a-4","at":"2026-11-23T11:00:28.000Z","boot":"b","card":"00000000000000000000000000000004","cents":-366,"clock":"synced","day":"2026-11-24","how":"card","kind":"meal","mono_ms":28,"seq":4,"service":"lunch"}');
INSERT INTO "entry" VALUES(17179869189,'meal','a-5','lunch','2026-11-24',1,-366,NULL,X'BAC4B1605978EB606ED2E94B341128671E07F3D2717B6AC71F7AB353D3AC2FD0','{"account":"a-5","at":"2026-11-23T11:00:29.000Z","boot":"b","card":"00000000000000000000000000000005","cents":-366,"clock":"synced","day":"2026-11-24","how":"card","kind":"meal","mono_ms":29,"seq":5,"service":"lunch"}');
INSERT INTO "entry" VALUES(17179869190,'meal','a-6','lunch','2026-11-24',1,-366,NULL,X'AE84DC6857065B38561C5C0507B638FAAF50B76EB6BA7E8B425959651B205757','{"account":"a-6","at":"2026-11-23T11:00:30.000Z","boot":"b","card":"00000000000000000000000000000006","cents":-366,"clock":"synced","day":"2026-11-24","how":"card","kind":"meal","mono_ms":30,"seq":6,"service":"lunch"}');
INSERT INTO "entry" VALUES(17179869191,'storno','a-6','lunch','2026-11-24',0,366,17179869190,X'58D31EDB52B5919495280D12AB626B94D0CF44AD3CCE10003BCF89BBC7CADF49','{"account":"a-6","at":"2026-11-23T11:00:31.000Z","boot":"b","card":"00000000000000000000000000000006","cents":366,"clock":"synced","day":"2026-11-24","how":"manual","kind":"storno","mono_ms":31,"reverses":{"epoch":"2-ffffffffffffffff","hash":"ae84dc6857065b38561c5c0507b638faaf50b76eb6ba7e8b425959651b205757","seq":6},"seq":7,"service":"lunch"}');
INSERT INTO "entry" VALUES(17179869192,'meal','a-7','lunch','2026-11-25',1,-366,NULL,X'BD2DFF5F00CB4735061C108429F13DFD9675B6C70DBADE673ECD639E689A6B94','{"account":"a-7","at":"2026-11-23T11:00:31.000Z","boot":"b","card":"00000000000000000000000000000007","cents":-366,"clock":"synced","day":"2026-11-25","how":"card","kind":"meal","mono_ms":31,"seq":8,"service":"lunch"}');
INSERT INTO "entry" VALUES(17179869193,'meal','a-8','lunch','2026-11-25',1,-366,NULL,X'B6CF0954F663A25C4A06F5F1F08A06B466896FFA8421C2ED81BA67C2F4E7D552','{"account":"a-8","at":"2026-11-23T11:00:32.000Z","boot":"b","card":"00000000000000000000000000000008","cents":-366,"clock":"synced","day":"2026-11-25","how":"card","kind":"meal","mono_ms":32,"seq":9,"service":"lunch"}');
INSERT INTO "entry" VALUES(17179869194,'meal','a-9','lunch','2026-11-25',1,-366,NULL,X'39EF852ACAFB7299EC5A71F45B9535B7F5FCFFBE3F1AC32A67576A2CCFFDE1E5','{"account":"a-9","at":"2026-11-23T11:00:33.000Z","boot":"b","card":"00000000000000000000000000000009","cents":-366,"clock":"synced","day":"2026-11-25","how":"card","kind":"meal","mono_ms":33,"seq":10,"service":"lunch"}');
CREATE TABLE epoch (
    n         INTEGER PRIMARY KEY,          -- 1, 2, …: epochs of this file in order
    id        TEXT NOT NULL UNIQUE,         -- n-<64 random bits>
    base_seq  INTEGER NOT NULL,             -- newest entry pruned, 0 if none
    base_hash BLOB NOT NULL                 -- its hash, or the genesis hash
) STRICT;
INSERT INTO "epoch" VALUES(1,'1-0123456789abcdef',19,X'070B961C39857925E1FD0232D64B064B1876134AE1CBAE2037451F1533994010');
INSERT INTO "epoch" VALUES(2,'2-ffffffffffffffff',0,X'BFF026EB94DE2C0DDD711D65FDA86EBCC6C6CFDE0EE46C42CA87D297C7464238');
CREATE TABLE incident (                     -- what a technician should know
    n      INTEGER PRIMARY KEY,
    at     TEXT NOT NULL,
    kind   TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
INSERT INTO "incident" VALUES(1,'2026-11-23T11:01:00.000Z','digest','a difference');
CREATE TABLE note (                         -- the central's remarks on own entries
    n      INTEGER NOT NULL,                -- place of the entry
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (n, status, reason)
) STRICT, WITHOUT ROWID;
INSERT INTO "note" VALUES(8589934593,'flagged','x');
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
INSERT INTO "record" VALUES('account','a-0',34,8589934618,3,'{"balance":34,"id":"a-0","k":"account","p":34}');
INSERT INTO "record" VALUES('account','a-1',35,8589934618,3,'{"balance":35,"id":"a-1","k":"account","p":35}');
INSERT INTO "record" VALUES('account','a-2',30,8589934616,3,'{"balance":30,"id":"a-2","k":"account","p":30}');
INSERT INTO "record" VALUES('account','a-3',31,8589934616,3,'{"balance":31,"id":"a-3","k":"account","p":31}');
INSERT INTO "record" VALUES('account','a-4',32,8589934616,3,'{"balance":32,"id":"a-4","k":"account","p":32}');
INSERT INTO "record" VALUES('account','a-5',33,8589934616,3,'{"balance":33,"id":"a-5","k":"account","p":33}');
CREATE TABLE set_aside (                    -- messages that could not be used, with the reason
    n       INTEGER PRIMARY KEY,
    at      TEXT NOT NULL,
    topic   TEXT NOT NULL,
    bytes   INTEGER NOT NULL,               -- length as received; the payload is cut to a limit
    payload BLOB NOT NULL,
    reason  TEXT NOT NULL
) STRICT;
INSERT INTO "set_aside" VALUES(1,'2026-11-23T11:00:00.000Z','topic',1,X'7B','why');
INSERT INTO "set_aside" VALUES(2,'2026-11-23T11:00:00.000Z','topic',1,X'7B','why');
INSERT INTO "set_aside" VALUES(3,'2026-11-23T11:00:00.000Z','topic',1,X'7B','why');
INSERT INTO "set_aside" VALUES(4,'2026-11-23T11:00:00.000Z','topic',1,X'7B','why');
INSERT INTO "set_aside" VALUES(5,'2026-11-23T11:00:00.000Z','topic',1,X'7B','why');
INSERT INTO "set_aside" VALUES(6,'2026-11-23T11:00:00.000Z','topic',1,X'7B','why');
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
INSERT INTO "terminal" VALUES(1,'borgo','t-1',17179869184,'c0ffeec0ffeec0ffeec0ffee',35,3,0,NULL,'2026-11-23T11:00:00.000Z','o-1',0);
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
COMMIT;
