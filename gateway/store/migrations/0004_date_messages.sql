-- A collar's own clock may be wrong. What is known of its boots, and how each message came to its
-- date, outlives a restart: a message that is misdated must not pass for one that a grant covers.

-- When each boot began, by a clock that network or satellites had set: uptime counts from there.
CREATE TABLE boot_began (
    collar_id TEXT    NOT NULL,
    boot      INTEGER NOT NULL,
    began_us  INTEGER NOT NULL,
    PRIMARY KEY (collar_id, boot)
) WITHOUT ROWID;

-- gateway.ingest.dating.Basis; NULL: filed by a version that did not say.
ALTER TABLE message ADD COLUMN basis INTEGER;

-- What is filed anew once it is known when its boot began.
CREATE INDEX message_misdated ON message (collar_id, boot) WHERE basis < 3;
