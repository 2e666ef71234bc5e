-- The way back: what collars hold, models on their way to them, and what owners say of their pets.

-- The last message by which a collar told of its slots: the greatest key counts, not the arrival.
-- It can be told again from the messages, and is, for collars heard by an older version.
CREATE TABLE slots_word (
    collar_id TEXT PRIMARY KEY,
    boot      INTEGER NOT NULL,
    seq       INTEGER NOT NULL
);
CREATE TABLE collar_slot (
    collar_id TEXT    NOT NULL,
    slot      TEXT    NOT NULL,
    package   TEXT    NOT NULL,
    version   TEXT    NOT NULL,
    sha256    TEXT    NOT NULL,
    since_us  INTEGER NOT NULL,               -- observed_at of the message that first said so
    PRIMARY KEY (collar_id, slot)
) WITHOUT ROWID;

-- Signed models from the cloud by the hash of their bytes; without a body, why there is none yet.
CREATE TABLE package (
    sha256   TEXT PRIMARY KEY,
    body     BLOB,                            -- gateway.wire.uplink.ModelPackage
    size     INTEGER,                         -- of the model, in bytes
    tries    INTEGER NOT NULL DEFAULT 0,
    retry_us INTEGER NOT NULL DEFAULT 0,      -- not asked for again before
    why      TEXT    NOT NULL DEFAULT ''
);

-- Where each release stands on its way to each collar.
CREATE TABLE delivery (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    collar_id  TEXT    NOT NULL,
    rollout    TEXT    NOT NULL,
    slot       TEXT    NOT NULL,
    package    TEXT    NOT NULL,
    version    TEXT    NOT NULL,
    sha256     TEXT    NOT NULL,
    state      TEXT    NOT NULL DEFAULT 'pending', -- gateway.wire.messages.ModelState
    reason     TEXT,
    detail     TEXT    NOT NULL DEFAULT '',
    next_chunk INTEGER NOT NULL DEFAULT 0,    -- for people: the collar says it again when offered
    changed_us INTEGER NOT NULL,
    reported   INTEGER NOT NULL DEFAULT 0,    -- 1: the cloud knows
    seen_boot  INTEGER,                       -- what a collar says of its slots after this key
    seen_seq   INTEGER,                       -- may take an installed model back
    UNIQUE (collar_id, rollout)
);
CREATE INDEX delivery_open ON delivery (id) WHERE state IN ('pending', 'receiving');
CREATE INDEX delivery_unreported ON delivery (id) WHERE reported = 0;

-- An owner's word on what a pet did. All are kept, and of those that overlap the last said counts.
CREATE TABLE correction (
    correction_id TEXT    PRIMARY KEY,
    pet_id        TEXT    NOT NULL,
    start_us      INTEGER NOT NULL,
    end_us        INTEGER NOT NULL,
    behaviour     TEXT    NOT NULL,
    said_us       INTEGER NOT NULL,
    -- home; queued, sending, shared (under grant_id); refused by the cloud; or forgetting: deleted
    -- here, and still to be deleted there
    state         TEXT    NOT NULL,
    grant_id      TEXT,
    why           TEXT    NOT NULL DEFAULT ''
);
CREATE INDEX correction_by_pet ON correction (pet_id, start_us);
CREATE INDEX correction_to_sync ON correction (said_us)
    WHERE state IN ('queued', 'sending', 'forgetting');
