-- The gateway's memory of a home. Instants are integer microseconds since 1970 UTC, named *_us.

-- Every keyed message a collar sent, as it was sent. `id` is the order of arrival, which plugins
-- and the consent filter follow with cursors of their own.
CREATE TABLE message (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    collar_id    TEXT    NOT NULL,
    boot         INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    kind         TEXT    NOT NULL,
    pet_id       TEXT,                       -- who wore the collar then; NULL: nobody
    observed_us  INTEGER NOT NULL,
    sent_us      INTEGER,
    received_us  INTEGER NOT NULL,
    content_type TEXT    NOT NULL,
    digest       BLOB    NOT NULL,
    payload      BLOB    NOT NULL,
    extra        BLOB,                       -- fields from a newer sender, as msgpack
    decided      INTEGER NOT NULL DEFAULT 0, -- 0 awaiting the consent filter, 1 withheld, 2 in the outbox
    UNIQUE (collar_id, boot, seq)
);
CREATE INDEX message_by_pet ON message (pet_id, kind, observed_us);
CREATE INDEX message_undecided ON message (id) WHERE decided = 0;
CREATE INDEX message_unread_seal ON message (id) WHERE decided = 0 AND kind = 'seal';

-- Boots whose birth promised seals: their messages wait for one.
CREATE TABLE sealing_boot (
    collar_id TEXT    NOT NULL,
    boot      INTEGER NOT NULL,
    PRIMARY KEY (collar_id, boot)
) WITHOUT ROWID;

-- Up to where a collar's messages are held without a gap: what is acknowledged to it.
CREATE TABLE contiguity (
    collar_id  TEXT PRIMARY KEY,
    next_boot  INTEGER NOT NULL,
    next_seq   INTEGER NOT NULL,
    acked_boot INTEGER,
    acked_seq  INTEGER,
    lost       INTEGER NOT NULL DEFAULT 0    -- messages the collar's flash had no room for
);

-- What was refused, kept for a look. Bounded: the oldest make room.
CREATE TABLE rejected (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    received_us  INTEGER NOT NULL,
    topic        TEXT    NOT NULL,
    collar_id    TEXT,
    boot         INTEGER,
    seq          INTEGER,
    reason       TEXT    NOT NULL,
    detail       TEXT    NOT NULL,
    bytes        INTEGER NOT NULL,
    payload      BLOB    NOT NULL             -- the first bytes of it
);
CREATE INDEX rejected_by_key ON rejected (collar_id, boot, seq);

-- Counts that outlive the rows they count.
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);

CREATE TABLE presence (
    collar_id TEXT PRIMARY KEY,
    state     TEXT    NOT NULL,
    boot      INTEGER NOT NULL,
    since_us  INTEGER NOT NULL
);

-- The last registry the cloud sent: the home goes on without the cloud.
CREATE TABLE registry (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    body     BLOB NOT NULL
);
-- Who wore which collar when: grows as the registry changes, so that a pet keeps its history.
CREATE TABLE assignment (
    collar_id TEXT    NOT NULL,
    pet_id    TEXT    NOT NULL,
    from_us   INTEGER NOT NULL,
    PRIMARY KEY (collar_id, from_us)
);
-- Shared by collar and gateway only: salts derive from it. It never leaves the home.
CREATE TABLE collar_secret (collar_id TEXT PRIMARY KEY, secret BLOB NOT NULL);

CREATE TABLE zone (
    zone_id  TEXT PRIMARY KEY,
    name     TEXT NOT NULL,
    lat_deg  REAL NOT NULL,
    lon_deg  REAL NOT NULL,
    radius_m REAL NOT NULL,
    pet_id   TEXT                             -- NULL: for every pet of the home
);

-- How far each plugin has seen, and what it remembers of each pet.
CREATE TABLE plugin_cursor (plugin_id TEXT PRIMARY KEY, message_id INTEGER NOT NULL);
CREATE TABLE plugin_state (
    plugin_id TEXT NOT NULL,
    pet_id    TEXT NOT NULL,
    state     BLOB NOT NULL,
    PRIMARY KEY (plugin_id, pet_id)
);
CREATE TABLE alert (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    plugin_id       TEXT    NOT NULL,
    pet_id          TEXT    NOT NULL,
    key             TEXT    NOT NULL,
    title           TEXT    NOT NULL,
    severity        TEXT    NOT NULL,
    confidence      REAL    NOT NULL,
    detail          TEXT    NOT NULL,         -- JSON
    observed_us     INTEGER NOT NULL,         -- when it happened
    raised_us       INTEGER NOT NULL,         -- when we knew
    cleared_us      INTEGER,
    acknowledged_us INTEGER,
    notified_us     INTEGER,                  -- NULL: history, nobody was disturbed
    latency_ms      REAL                      -- confirming message received -> notified
);
CREATE UNIQUE INDEX alert_open ON alert (plugin_id, pet_id, key) WHERE cleared_us IS NULL;
CREATE TABLE observation (
    plugin_id   TEXT NOT NULL,
    pet_id      TEXT NOT NULL,
    name        TEXT NOT NULL,
    label       TEXT NOT NULL,
    confidence  REAL NOT NULL,
    observed_us INTEGER NOT NULL,
    PRIMARY KEY (plugin_id, pet_id, name)
);

-- Verified seals whose messages may leave, with the hashes of those that may not.
CREATE TABLE sealed (
    message_id INTEGER PRIMARY KEY REFERENCES message (id),
    seal       BLOB NOT NULL,
    withheld   BLOB NOT NULL
);
-- What may leave the home, in the order in which it will. Only the consent filter writes here.
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id INTEGER NOT NULL UNIQUE REFERENCES message (id),
    collar_id  TEXT    NOT NULL,
    boot       INTEGER NOT NULL,
    stream     TEXT    NOT NULL,
    grant_id   TEXT    NOT NULL,
    sealed_id  INTEGER REFERENCES sealed (message_id),
    row        BLOB    NOT NULL,              -- gateway.wire.uplink.Row
    queued_us  INTEGER NOT NULL,
    state      TEXT    NOT NULL DEFAULT 'queued', -- queued, synced, withdrawn, refused
    reason     TEXT,
    settled_us INTEGER
);
CREATE INDEX outbox_queued ON outbox (id) WHERE state = 'queued';
