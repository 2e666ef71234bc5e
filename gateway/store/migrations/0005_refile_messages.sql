-- What was reckoned from a boot's beginning is filed anew too, when that proves to be wrong.
DROP INDEX message_misdated;
CREATE INDEX message_misdated ON message (collar_id, boot) WHERE basis < 4;

-- What waits for its boot to tell the time: a seal waits for it.
CREATE INDEX message_claimed ON message (collar_id, boot) WHERE decided = 0 AND basis = 2;
