-- The consent filter looks four times a second, in the thread that commits messages: what can be
-- decided is found without reading what has to wait behind a gap, for a seal, for the time of day.

-- What waited long enough. (`id` told nothing of that: clocks are set back.)
DROP INDEX message_undecided;
CREATE INDEX message_undecided ON message (received_us) WHERE decided = 0;

-- What waits for nothing but its collar's run: no seal, and no date that its boot has to bear out.
CREATE INDEX message_decidable ON message (collar_id, boot, seq)
    WHERE decided = 0 AND kind != 'seal'
      AND (basis IS NOT 2 OR kind NOT IN ('epoch', 'fix', 'event', 'window'));
