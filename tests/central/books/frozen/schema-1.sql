PRAGMA application_id = 1128615508;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
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
INSERT INTO "account" VALUES('a-1','primaria','pupil','active','1A',NULL,NULL,901,36);
INSERT INTO "account" VALUES('a-2','primaria','pupil','active','1A',NULL,NULL,-332,26);
INSERT INTO "account" VALUES('a-3','primaria','pupil','active','1A',NULL,NULL,-366,24);
INSERT INTO "account" VALUES('a-4','media','pupil','active','1A',NULL,NULL,0,10);
INSERT INTO "account" VALUES('a-5','media','pupil','active','1A',NULL,NULL,-366,32);
CREATE TABLE card (
    token   TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    status  TEXT NOT NULL CHECK (status IN ('active', 'blocked', 'replaced')),
    p       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "card" VALUES('250dee2376267e367e2802371bc78585','a-5','active',33);
INSERT INTO "card" VALUES('403cc235d378648ba7d1832000c61cf2','a-2','blocked',27);
INSERT INTO "card" VALUES('7ee08677ec7a81f9cab37fee755cd83e','a-3','active',29);
INSERT INTO "card" VALUES('8400ccabc7c34dc9e1a576bf92fbcfaf','a-1','active',5);
INSERT INTO "card" VALUES('f44f8f36a88a40498d869ae52cddffc2','a-4','active',11);
INSERT INTO "card" VALUES('f5831b3b699e835b719e336dd0b97b01','a-3','replaced',28);
CREATE TABLE central (                        -- one row
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    town       TEXT NOT NULL,
    zone       TEXT NOT NULL,
    generation TEXT NOT NULL,                 -- the present generation of this database
    position   INTEGER NOT NULL,              -- counts every change of a record
    labels     INTEGER NOT NULL DEFAULT 0     -- 1 while the policy in effect sends labels
) STRICT;
INSERT INTO "central" VALUES(1,'borgofiorito','Europe/Rome','abababababababababababababababab',36,0);
CREATE TABLE chain (                          -- how far an epoch of a terminal is acknowledged
    terminal TEXT NOT NULL,
    epoch    TEXT NOT NULL,
    seq      INTEGER NOT NULL CHECK (seq BETWEEN 0 AND 8589934591),
    hash     TEXT NOT NULL,
    oldest   INTEGER NOT NULL,                -- the first entry it still keeps, by its newest hello
    seen     INTEGER NOT NULL,                -- the order in which epochs were first seen
    PRIMARY KEY (terminal, epoch)
) STRICT, WITHOUT ROWID;
INSERT INTO "chain" VALUES('t-1','1-000000d200000001',9,'1e5e4bfbd2fa6059e2033d6c492424e61b5db7bd7191c8df2e55caa95a7cc439',1,1);
INSERT INTO "chain" VALUES('t-2','1-000000d300000001',2,'29d8fefca98bec08925ac6814d5289a751e79cb15fca6011d8556e048fb79b06',1,1);
INSERT INTO "chain" VALUES('t-9','1-00000000000000aa',1,'65343fb7da83b0b5edb58df16688ded381456ab85f5cae543099213ba33e8613',1,1);
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
    true_at  TEXT,                            -- at; corrected, or NULL, if its clock was unset
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
INSERT INTO "entry" VALUES('t-1','1-000000d200000001',1,'f3ef88e878fd013526118f16cd93f5b8a7df72afb6e105d40244bb5b7c1aef1c','1de4a0f1deb35729bf844df72c0f08cff4ed81fe233dfaec10e21757c6896e59','meal','2026-11-23T11:05:00.000Z','boot-1',10000000,'synced','lunch','8400ccabc7c34dc9e1a576bf92fbcfaf','2026-11-23T11:05:00.000Z','2026-11-23','a-1',-366,NULL,NULL,NULL,'applied','','{"account":"a-1","assurance":"uid","at":"2026-11-23T11:05:00.000Z","boot":"boot-1","card":"8400ccabc7c34dc9e1a576bf92fbcfaf","cents":-366,"clock":"synced","day":"2026-11-23","how":"card","kind":"meal","mono_ms":10000000,"seq":1,"service":"lunch","hash":"f3ef88e878fd013526118f16cd93f5b8a7df72afb6e105d40244bb5b7c1aef1c"}');
INSERT INTO "entry" VALUES('t-1','1-000000d200000001',2,'bb1176b566af516f0ce356b4c16665f1784025445a302353c044751089a4d40d','f3ef88e878fd013526118f16cd93f5b8a7df72afb6e105d40244bb5b7c1aef1c','storno','2026-11-23T11:05:40.000Z','boot-1',10040000,'synced','lunch','8400ccabc7c34dc9e1a576bf92fbcfaf','2026-11-23T11:05:40.000Z','2026-11-23','a-1',366,'1-000000d200000001',1,'f3ef88e878fd013526118f16cd93f5b8a7df72afb6e105d40244bb5b7c1aef1c','applied','','{"account":"a-1","at":"2026-11-23T11:05:40.000Z","boot":"boot-1","card":"8400ccabc7c34dc9e1a576bf92fbcfaf","cents":366,"clock":"synced","day":"2026-11-23","how":"manual","kind":"storno","mono_ms":10040000,"reverses":{"epoch":"1-000000d200000001","hash":"f3ef88e878fd013526118f16cd93f5b8a7df72afb6e105d40244bb5b7c1aef1c","seq":1},"seq":2,"service":"lunch","hash":"bb1176b566af516f0ce356b4c16665f1784025445a302353c044751089a4d40d"}');
INSERT INTO "entry" VALUES('t-1','1-000000d200000001',3,'cc2caabf3ce9a9b5e79b476b1c83dfe1578ee74adbdb98eefc35e94aca723a01','bb1176b566af516f0ce356b4c16665f1784025445a302353c044751089a4d40d','meal','2026-11-23T11:06:20.000Z','boot-1',10080000,'synced','lunch','403cc235d378648ba7d1832000c61cf2','2026-11-23T11:06:20.000Z','2026-11-23','a-2',-366,NULL,NULL,NULL,'applied','','{"account":"a-2","assurance":"uid","at":"2026-11-23T11:06:20.000Z","boot":"boot-1","card":"403cc235d378648ba7d1832000c61cf2","cents":-366,"clock":"synced","day":"2026-11-23","how":"card","kind":"meal","mono_ms":10080000,"seq":3,"service":"lunch","hash":"cc2caabf3ce9a9b5e79b476b1c83dfe1578ee74adbdb98eefc35e94aca723a01"}');
INSERT INTO "entry" VALUES('t-1','1-000000d200000001',4,'4cfb90a175bed54bd05122b645f25d2841d7593b9fbcb54deb4c9061149d88ab','cc2caabf3ce9a9b5e79b476b1c83dfe1578ee74adbdb98eefc35e94aca723a01','unknown_meal','2026-11-23T11:07:00.000Z','boot-1',10120000,'synced','lunch','250dee2376267e367e2802371bc78585','2026-11-23T11:07:00.000Z','2026-11-23','a-5',-366,NULL,NULL,NULL,'applied','booked_later','{"assurance":"uid","at":"2026-11-23T11:07:00.000Z","boot":"boot-1","card":"250dee2376267e367e2802371bc78585","cents":0,"clock":"synced","day":"2026-11-23","how":"card","kind":"unknown_meal","mono_ms":10120000,"seq":4,"service":"lunch","hash":"4cfb90a175bed54bd05122b645f25d2841d7593b9fbcb54deb4c9061149d88ab"}');
INSERT INTO "entry" VALUES('t-1','1-000000d200000001',5,'56d13dede67c20e3d03cbcbd07a672de6c3fed33780f602f5e807cd3e414535c','4cfb90a175bed54bd05122b645f25d2841d7593b9fbcb54deb4c9061149d88ab','unknown_meal','2026-11-23T11:07:00.000Z','boot-1',10120000,'synced','lunch','fdc01df489e4487612ebba5e2d5bdeba','2026-11-23T11:07:00.000Z','2026-11-23',NULL,NULL,NULL,NULL,NULL,'set_aside','unknown_card','{"assurance":"uid","at":"2026-11-23T11:07:00.000Z","boot":"boot-1","card":"fdc01df489e4487612ebba5e2d5bdeba","cents":0,"clock":"synced","day":"2026-11-23","how":"card","kind":"unknown_meal","mono_ms":10120000,"seq":5,"service":"lunch","hash":"56d13dede67c20e3d03cbcbd07a672de6c3fed33780f602f5e807cd3e414535c"}');
INSERT INTO "entry" VALUES('t-1','1-000000d200000001',6,'579a2655b0b8c51ab690614ac37236aa37e523449a9b25f425d850d9d70074ac','56d13dede67c20e3d03cbcbd07a672de6c3fed33780f602f5e807cd3e414535c','meal','2026-11-23T11:07:40.000Z','boot-1',10160000,'synced','lunch','f5831b3b699e835b719e336dd0b97b01','2026-11-23T11:07:40.000Z','2026-11-23','a-3',-366,NULL,NULL,NULL,'applied','','{"account":"a-3","assurance":"uid","at":"2026-11-23T11:07:40.000Z","boot":"boot-1","card":"f5831b3b699e835b719e336dd0b97b01","cents":-366,"clock":"synced","day":"2026-11-23","flags":["on_credit"],"how":"card","kind":"meal","mono_ms":10160000,"seq":6,"service":"lunch","hash":"579a2655b0b8c51ab690614ac37236aa37e523449a9b25f425d850d9d70074ac"}');
INSERT INTO "entry" VALUES('t-1','1-000000d200000001',7,'ad25820872150698b2db794742bc1062f50f9aec7cde395898c7d1178e369046','579a2655b0b8c51ab690614ac37236aa37e523449a9b25f425d850d9d70074ac','refusal','2026-11-23T11:08:40.000Z','boot-1',10220000,'synced','lunch','f5831b3b699e835b719e336dd0b97b01','2026-11-23T11:08:40.000Z','2026-11-23',NULL,NULL,NULL,NULL,NULL,'applied','','{"account":"a-3","at":"2026-11-23T11:08:40.000Z","boot":"boot-1","card":"f5831b3b699e835b719e336dd0b97b01","cents":0,"clock":"synced","day":"2026-11-23","how":"card","kind":"refusal","mono_ms":10220000,"reason":"already_served","seq":7,"service":"lunch","hash":"ad25820872150698b2db794742bc1062f50f9aec7cde395898c7d1178e369046"}');
INSERT INTO "entry" VALUES('t-1','1-000000d200000001',8,'f305c35813838476ca9a14f43c74c491ad6f94cdf21eff7cd607b4a6ed528c77','ad25820872150698b2db794742bc1062f50f9aec7cde395898c7d1178e369046','meal','2026-11-23T11:08:45.000Z','boot-1',10225000,'synced','lunch',NULL,'2026-11-23T11:08:45.000Z','2026-11-20','a-1',-366,NULL,NULL,NULL,'applied','','{"account":"a-1","at":"2026-11-23T11:08:45.000Z","boot":"boot-1","cents":-366,"clock":"synced","day":"2026-11-20","how":"late","kind":"meal","mono_ms":10225000,"seq":8,"service":"lunch","hash":"f305c35813838476ca9a14f43c74c491ad6f94cdf21eff7cd607b4a6ed528c77"}');
INSERT INTO "entry" VALUES('t-1','1-000000d200000001',9,'1e5e4bfbd2fa6059e2033d6c492424e61b5db7bd7191c8df2e55caa95a7cc439','f305c35813838476ca9a14f43c74c491ad6f94cdf21eff7cd607b4a6ed528c77','closing','2026-11-23T11:08:45.000Z','boot-1',10225000,'synced','lunch',NULL,'2026-11-23T11:08:45.000Z','2026-11-23',NULL,NULL,NULL,NULL,NULL,'applied','','{"at":"2026-11-23T11:08:45.000Z","boot":"boot-1","cents":0,"clock":"synced","day":"2026-11-23","how":"manual","kind":"closing","mono_ms":10225000,"seq":9,"served":4,"service":"lunch","trays":5,"hash":"1e5e4bfbd2fa6059e2033d6c492424e61b5db7bd7191c8df2e55caa95a7cc439"}');
INSERT INTO "entry" VALUES('t-2','1-000000d300000001',1,'97f48522ce1a4c502ab82191fcb89cfb8146b9425cd264060afb3330835141e4','b83e4480b53858b533cdd79b7e2b55abd454b70a99b2bd83fcc3b23de7e14d57','meal','2026-11-23T11:08:40.000Z','boot-1',10220000,'synced','lunch','f5831b3b699e835b719e336dd0b97b01','2026-11-23T11:08:40.000Z','2026-11-23','a-3',-366,NULL,NULL,NULL,'flagged','already_served_elsewhere','{"account":"a-3","assurance":"uid","at":"2026-11-23T11:08:40.000Z","boot":"boot-1","card":"f5831b3b699e835b719e336dd0b97b01","cents":-366,"clock":"synced","day":"2026-11-23","flags":["on_credit"],"how":"card","kind":"meal","mono_ms":10220000,"seq":1,"service":"lunch","hash":"97f48522ce1a4c502ab82191fcb89cfb8146b9425cd264060afb3330835141e4"}');
INSERT INTO "entry" VALUES('t-2','1-000000d300000001',2,'29d8fefca98bec08925ac6814d5289a751e79cb15fca6011d8556e048fb79b06','97f48522ce1a4c502ab82191fcb89cfb8146b9425cd264060afb3330835141e4','meal','2026-11-23T13:59:05.000Z','boot-2',10225000,'unset','lunch','403cc235d378648ba7d1832000c61cf2',NULL,NULL,'a-2',-366,NULL,NULL,NULL,'applied','','{"account":"a-2","assurance":"uid","at":"2026-11-23T13:59:05.000Z","boot":"boot-2","card":"403cc235d378648ba7d1832000c61cf2","cents":-366,"clock":"unset","day":"2026-11-23","flags":["clock_unset","on_credit"],"how":"card","kind":"meal","mono_ms":10225000,"seq":2,"service":"lunch","hash":"29d8fefca98bec08925ac6814d5289a751e79cb15fca6011d8556e048fb79b06"}');
INSERT INTO "entry" VALUES('t-9','1-00000000000000aa',1,'65343fb7da83b0b5edb58df16688ded381456ab85f5cae543099213ba33e8613','0a46dfbf9d113dd1c01ccdbf773030f74b469bb07228044f596e3ace80e39338','meal','2026-11-23T11:02:05.331Z','b',9,'synced','lunch',NULL,'2026-11-23T11:02:05.331Z','2026-11-23','a-1',-1,NULL,NULL,NULL,'flagged','another_entry_has_this_number','{"kind": "meal", "account": "a-1", "cents": -1, "service": "lunch", "day": "2026-11-23", "at": "2026-11-23T11:02:05.331Z", "clock": "synced", "boot": "b", "mono_ms": 9, "how": "card", "seq": 1, "hash": "65343fb7da83b0b5edb58df16688ded381456ab85f5cae543099213ba33e8613"}');
INSERT INTO "entry" VALUES('t-9','1-00000000000000aa',1,'7227be9cac68f9938caa4a56e3d26417ac3abda49f38214c4f7c9473ebbd6a11','0a46dfbf9d113dd1c01ccdbf773030f74b469bb07228044f596e3ace80e39338','meal','2026-11-19T11:02:05.331Z','b',1,'synced','lunch',NULL,'2026-11-19T11:02:05.331Z','2026-11-19','a-1',-366,NULL,NULL,NULL,'applied','','{"kind": "meal", "account": "a-1", "cents": -366, "service": "lunch", "day": "2026-11-19", "at": "2026-11-19T11:02:05.331Z", "clock": "synced", "boot": "b", "mono_ms": 1, "how": "card", "seq": 1, "hash": "7227be9cac68f9938caa4a56e3d26417ac3abda49f38214c4f7c9473ebbd6a11"}');
INSERT INTO "entry" VALUES('t-9','1-00000000000000aa',2,'6634d26234edaef7f172cbed3966360b7cfac88d64fdd927c6078d1fa22f48c7','7227be9cac68f9938caa4a56e3d26417ac3abda49f38214c4f7c9473ebbd6a11','meal','2026-11-23T11:02:05.331Z','b',2,'synced','lunch',NULL,'2026-11-23T11:02:05.331Z','2026-11-23',NULL,NULL,NULL,NULL,NULL,'set_aside','unknown_account','{"kind": "meal", "account": "a-77", "cents": -366, "service": "lunch", "day": "2026-11-23", "at": "2026-11-23T11:02:05.331Z", "clock": "synced", "boot": "b", "mono_ms": 2, "how": "card", "seq": 2, "hash": "6634d26234edaef7f172cbed3966360b7cfac88d64fdd927c6078d1fa22f48c7"}');
INSERT INTO "entry" VALUES('t-9','1-00000000000000aa',3,'3cd9d7cff83a05a6f26869e4a1924f401c4388c3669dedd9a3a71482f8419560','6634d26234edaef7f172cbed3966360b7cfac88d64fdd927c6078d1fa22f48c7','unreadable',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'set_aside','not an entry: Invalid enum value ''feast'' - at `$.kind`','{"kind": "feast", "account": "a-1", "cents": -366, "service": "lunch", "day": "2026-11-23", "at": "2026-11-23T11:02:05.331Z", "clock": "synced", "boot": "b", "mono_ms": 3, "how": "card", "seq": 3, "hash": "3cd9d7cff83a05a6f26869e4a1924f401c4388c3669dedd9a3a71482f8419560"}');
INSERT INTO "entry" VALUES('t-9','1-00000000000000aa',4,'475208047f2d362831f6380a7073755c5273249d2a5890aa038d9afa65c355dc','3cd9d7cff83a05a6f26869e4a1924f401c4388c3669dedd9a3a71482f8419560','meal','2019-01-01T00:00:00.000Z','b2',4,'unset','lunch',NULL,NULL,NULL,'a-1',-366,NULL,NULL,NULL,'applied','','{"kind": "meal", "account": "a-1", "cents": -366, "service": "lunch", "day": "2026-11-18", "at": "2019-01-01T00:00:00.000Z", "clock": "unset", "boot": "b2", "mono_ms": 4, "how": "card", "seq": 4, "hash": "475208047f2d362831f6380a7073755c5273249d2a5890aa038d9afa65c355dc"}');
CREATE TABLE generation (                     -- of this database, and those that terminals named
    id     TEXT PRIMARY KEY,
    since  TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "generation" VALUES('00000000000000000000000000000001','2026-11-23T11:05:00.000Z','init');
INSERT INTO "generation" VALUES('abababababababababababababababab','2026-11-23T11:08:45.000Z','restored from a backup of 23 November');
CREATE TABLE incident (                       -- what the office or a technician should know
    n        INTEGER PRIMARY KEY,
    at       TEXT NOT NULL,
    terminal TEXT,
    epoch    TEXT,
    kind     TEXT NOT NULL,
    detail   TEXT NOT NULL
) STRICT;
INSERT INTO "incident" VALUES(1,'2026-11-23T11:08:45.000Z','t-9','1-00000000000000aa','fork','epoch 1-00000000000000aa: there are two entries 1; the terminal''s disk was restored or copied. Both are booked');
INSERT INTO "incident" VALUES(2,'2026-11-23T11:08:45.000Z',NULL,NULL,'new_generation','restored from a backup of 23 November');
CREATE TABLE policy (
    from_day    TEXT PRIMARY KEY,
    body        TEXT NOT NULL,                -- the record's JSON without k and p
    double_meal TEXT NOT NULL CHECK (double_meal IN ('give_back', 'keep')),
    p           INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "policy" VALUES('2026-09-01','{"from":"2026-09-01"}','give_back',2);
INSERT INTO "policy" VALUES('2027-01-01','{"floor":-500,"from":"2027-01-01"}','keep',3);
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
INSERT INTO "posting" VALUES(1,'a-1',2000,'top_up','2026-11-23T11:05:00.000Z','pos','p-1',NULL,NULL,NULL,NULL,'');
INSERT INTO "posting" VALUES(2,'a-2',500,'top_up','2026-11-23T11:05:00.000Z','pos','p-2',NULL,NULL,NULL,NULL,'');
INSERT INTO "posting" VALUES(3,'a-2',-100,'refund','2026-11-23T11:05:00.000Z','pos','r-1',NULL,NULL,NULL,NULL,'');
INSERT INTO "posting" VALUES(4,'a-1',-366,'meal','2026-11-23T11:05:40.000Z',NULL,NULL,'t-1','1-000000d200000001',1,'f3ef88e878fd013526118f16cd93f5b8a7df72afb6e105d40244bb5b7c1aef1c','');
INSERT INTO "posting" VALUES(5,'a-1',366,'storno','2026-11-23T11:06:20.000Z',NULL,NULL,'t-1','1-000000d200000001',2,'bb1176b566af516f0ce356b4c16665f1784025445a302353c044751089a4d40d','');
INSERT INTO "posting" VALUES(6,'a-2',-366,'meal','2026-11-23T11:07:00.000Z',NULL,NULL,'t-1','1-000000d200000001',3,'cc2caabf3ce9a9b5e79b476b1c83dfe1578ee74adbdb98eefc35e94aca723a01','');
INSERT INTO "posting" VALUES(7,'a-5',-366,'unknown_meal','2026-11-23T11:07:40.000Z',NULL,NULL,'t-1','1-000000d200000001',4,'4cfb90a175bed54bd05122b645f25d2841d7593b9fbcb54deb4c9061149d88ab','');
INSERT INTO "posting" VALUES(8,'a-3',-366,'meal','2026-11-23T11:08:40.000Z',NULL,NULL,'t-1','1-000000d200000001',6,'579a2655b0b8c51ab690614ac37236aa37e523449a9b25f425d850d9d70074ac','');
INSERT INTO "posting" VALUES(9,'a-3',-366,'meal','2026-11-23T11:08:40.000Z',NULL,NULL,'t-2','1-000000d300000001',1,'97f48522ce1a4c502ab82191fcb89cfb8146b9425cd264060afb3330835141e4','');
INSERT INTO "posting" VALUES(10,'a-3',366,'double_meal','2026-11-23T11:08:40.000Z',NULL,NULL,'t-2','1-000000d300000001',1,'97f48522ce1a4c502ab82191fcb89cfb8146b9425cd264060afb3330835141e4','lunch of 2026-11-23 is paid once');
INSERT INTO "posting" VALUES(11,'a-1',-366,'meal','2026-11-23T11:08:45.000Z',NULL,NULL,'t-1','1-000000d200000001',8,'f305c35813838476ca9a14f43c74c491ad6f94cdf21eff7cd607b4a6ed528c77','');
INSERT INTO "posting" VALUES(12,'a-2',-366,'meal','2026-11-23T11:08:45.000Z',NULL,NULL,'t-2','1-000000d300000001',2,'29d8fefca98bec08925ac6814d5289a751e79cb15fca6011d8556e048fb79b06','');
INSERT INTO "posting" VALUES(13,'a-1',-366,'meal','2026-11-23T11:08:45.000Z',NULL,NULL,'t-9','1-00000000000000aa',1,'7227be9cac68f9938caa4a56e3d26417ac3abda49f38214c4f7c9473ebbd6a11','');
INSERT INTO "posting" VALUES(14,'a-1',-366,'meal','2026-11-23T11:08:45.000Z',NULL,NULL,'t-9','1-00000000000000aa',4,'475208047f2d362831f6380a7073755c5273249d2a5890aa038d9afa65c355dc','');
INSERT INTO "posting" VALUES(15,'a-1',-1,'meal','2026-11-23T11:08:45.000Z',NULL,NULL,'t-9','1-00000000000000aa',1,'65343fb7da83b0b5edb58df16688ded381456ab85f5cae543099213ba33e8613','');
CREATE TABLE price (
    account  TEXT NOT NULL,
    service  TEXT NOT NULL,
    from_day TEXT NOT NULL,
    cents    INTEGER NOT NULL CHECK (cents >= 0),
    PRIMARY KEY (account, service, from_day)
) STRICT, WITHOUT ROWID;
INSERT INTO "price" VALUES('a-1','lunch','2026-09-01',366);
INSERT INTO "price" VALUES('a-2','lunch','2026-09-01',366);
INSERT INTO "price" VALUES('a-3','lunch','2026-09-01',366);
INSERT INTO "price" VALUES('a-4','lunch','2026-09-01',420);
INSERT INTO "price" VALUES('a-5','lunch','2026-09-01',366);
CREATE TABLE service (
    site TEXT NOT NULL,
    id   TEXT NOT NULL,
    body TEXT NOT NULL,                       -- the record's JSON without k and p
    p    INTEGER NOT NULL,
    PRIMARY KEY (site, id)
) STRICT, WITHOUT ROWID;
INSERT INTO "service" VALUES('primaria','lunch','{"closes":"14:15","id":"lunch","name":"Pranzo","opens":"12:00","weekdays":[1,2,3,4,5]}',1);
CREATE TABLE set_aside (                      -- messages that could not be used
    n       INTEGER PRIMARY KEY,
    at      TEXT NOT NULL,
    topic   TEXT NOT NULL,
    bytes   INTEGER NOT NULL,                 -- of the whole payload
    payload BLOB NOT NULL,                    -- its beginning
    reason  TEXT NOT NULL
) STRICT;
INSERT INTO "set_aside" VALUES(1,'2026-11-23T11:08:45.000Z','canteen/v1/borgofiorito/t/t-9/hello',12,X'7B2265706F6368223A20357D','not a message of this kind: Expected `str`, got `int` - at `$.epoch`');
INSERT INTO "set_aside" VALUES(2,'2026-11-23T11:08:45.000Z','canteen/v1/borgofiorito/t/t-9/entries',2,X'FF7B','not a message of this kind: ''utf-8'' codec can''t decode byte 0xff in position 0: invalid start byte');
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
INSERT INTO "terminal" VALUES('t-1','primaria',2,'o-abababab-2','resync',0,0,'2026-11-23T11:08:40.000Z','{"epoch":"1-000000d200000001","oldest":1,"last":6,"acked":5,"head":"579a2655b0b8c51ab690614ac37236aa37e523449a9b25f425d850d9d70074ac","acked_head":"56d13dede67c20e3d03cbcbd07a672de6c3fed33780f602f5e807cd3e414535c","generation":"00000000000000000000000000000001","position":17,"order_done":null,"software":"test","schema":1,"clock":"synced","at":"2026-11-23T11:08:40.000Z","boot":"boot-1","mono_ms":10220000,"nonce":"boot-1-10220000","before":null}','{"online":true,"at":"2026-11-23T11:08:40.000Z","software":"test","pending":1,"oldest_pending_at":"2026-11-23T11:07:40.000Z","last_contact_at":"2026-11-23T11:07:40.000Z","readers":{"counter":"down"},"set_aside":0,"incidents":0}');
INSERT INTO "terminal" VALUES('t-2','primaria',0,NULL,NULL,0,0,'2026-11-23T11:08:45.000Z','{"epoch":"1-000000d300000001","oldest":1,"last":2,"acked":1,"head":"29d8fefca98bec08925ac6814d5289a751e79cb15fca6011d8556e048fb79b06","acked_head":"97f48522ce1a4c502ab82191fcb89cfb8146b9425cd264060afb3330835141e4","generation":"00000000000000000000000000000001","position":24,"order_done":null,"software":"test","schema":1,"clock":"unset","at":"2026-11-23T13:59:05.000Z","boot":"boot-2","mono_ms":10225000,"nonce":"boot-2-10225000","before":null}','{"online":true,"at":"2026-11-23T13:59:05.000Z","software":"test","pending":1,"oldest_pending_at":"2026-11-23T13:59:05.000Z","last_contact_at":"2026-11-23T11:08:45.000Z","readers":{"counter":"down"},"set_aside":0,"incidents":0}');
INSERT INTO "terminal" VALUES('t-3',NULL,2,'o-abababab-2','wipe',0,0,NULL,NULL,NULL);
INSERT INTO "terminal" VALUES('t-9','primaria',2,'o-abababab-2','new_epoch',0,1,'2026-11-23T11:08:45.000Z','{"epoch":"1-00000000000000aa","oldest":1,"last":0,"acked":0,"head":"0a46dfbf9d113dd1c01ccdbf773030f74b469bb07228044f596e3ace80e39338","acked_head":"0a46dfbf9d113dd1c01ccdbf773030f74b469bb07228044f596e3ace80e39338","generation":null,"position":0,"order_done":null,"software":"other","schema":1,"clock":"synced","at":"2026-11-23T11:08:45.000Z","boot":null,"mono_ms":null,"nonce":null,"before":null}',NULL);
CREATE TABLE tombstone (                      -- records that a site must delete
    site TEXT NOT NULL,
    kind TEXT NOT NULL,
    id   TEXT NOT NULL,
    p    INTEGER NOT NULL,
    PRIMARY KEY (site, kind, id)
) STRICT, WITHOUT ROWID;
INSERT INTO "tombstone" VALUES('primaria','account','a-5',30);
INSERT INTO "tombstone" VALUES('primaria','card','250dee2376267e367e2802371bc78585',31);
INSERT INTO "tombstone" VALUES('primaria','account','a-77',35);
CREATE INDEX account_by_site ON account (site, p);
CREATE INDEX card_by_account ON card (account);
CREATE INDEX card_by_position ON card (p);
CREATE INDEX tombstone_by_site ON tombstone (site, p);
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
CREATE INDEX posting_by_account ON posting (account, n);
CREATE INDEX posting_of_credit ON posting (account, n) WHERE kind = 'top_up';
CREATE UNIQUE INDEX posting_once ON posting (channel, external) WHERE external IS NOT NULL;
CREATE INDEX posting_by_entry ON posting (terminal, epoch, seq, hash) WHERE terminal IS NOT NULL;
CREATE TRIGGER posting_never_deleted BEFORE DELETE ON posting BEGIN
    SELECT RAISE(ABORT, 'a posting is never deleted');
END;
CREATE TRIGGER posting_never_changed BEFORE UPDATE ON posting BEGIN
    SELECT RAISE(ABORT, 'a posting is never changed');
END;
COMMIT;
