-- lock_training -- one run at a time; the lock ends with the connection, however that ends
SELECT pg_try_advisory_lock(1885435762);

-- mark_dead -- we hold the lock, so whoever wrote these does not run any more
UPDATE training_run SET state = 'died', ended_at = %(now)s,
    detail = 'the trainer ended without a word; nothing of this run was kept'
WHERE state = 'running' RETURNING run_id;

-- begin_run -- it is seen from now on
INSERT INTO training_run (run_id, slot, seed, state, started_at)
VALUES (%(run_id)s, %(slot)s, %(seed)s, 'running', %(now)s);

-- end_run -- with its verdict
UPDATE training_run SET state = %(state)s, ended_at = %(now)s, reason = %(reason)s,
    detail = %(detail)s, report = %(report)s
WHERE run_id = %(run_id)s;

-- labelled_windows -- sealed ones wholly within the owner's last word on that time, the newest
SELECT pet_id, grant_id, label_grant_id, behaviour, choice, rate_hz, acc_g_per_lsb,
       gyr_dps_per_lsb, samples
FROM (
    SELECT w.*, word.behaviour, word.grant_id AS label_grant_id,
           row_number() OVER (PARTITION BY w.pet_id
                              ORDER BY w.observed_at DESC, w.collar_id, w.boot, w.seq) AS place
    FROM (
        SELECT raw_window.*, observed_at
               + octet_length(samples) / 12 / rate_hz * interval '1 second' AS ends_at
        FROM raw_window
        WHERE sealed AND samples IS NOT NULL AND rate_hz IS NOT NULL
          AND acc_g_per_lsb IS NOT NULL AND gyr_dps_per_lsb IS NOT NULL
    ) w
    JOIN grant_ g ON g.grant_id = w.grant_id AND g.pet_id = w.pet_id
        AND g.stream = 'raw' AND g.purpose = %(purpose)s AND g.valid_from <= w.observed_at
        AND (g.withdrawn_at IS NULL OR g.withdrawn_at > %(now)s)
        AND (g.expires_at IS NULL OR g.expires_at > %(now)s)
    CROSS JOIN LATERAL (
        SELECT l.behaviour, l.start_at, l.end_at, l.grant_id
        FROM label l JOIN grant_ lg ON lg.grant_id = l.grant_id AND lg.pet_id = l.pet_id
            AND lg.stream = 'raw' AND lg.purpose = %(purpose)s AND lg.valid_from <= l.start_at
            AND (lg.withdrawn_at IS NULL OR lg.withdrawn_at > %(now)s)
            AND (lg.expires_at IS NULL OR lg.expires_at > %(now)s)
        WHERE l.pet_id = w.pet_id AND l.start_at < w.ends_at AND l.end_at > w.observed_at
          AND l.start_at > w.observed_at - %(longest_s)s * interval '1 second'
        ORDER BY l.said_at DESC, l.site_id, l.label_id LIMIT 1
    ) word
    WHERE word.start_at <= w.observed_at AND word.end_at >= w.ends_at
) found
WHERE place <= %(most)s ORDER BY pet_id, observed_at, collar_id, boot, seq;

-- roles -- decided ones, with the species that quotas are counted by
SELECT pet_id, species, role FROM pet_role JOIN pet USING (pet_id);

-- species -- of pets
SELECT pet_id, species FROM pet WHERE pet_id = ANY(%(pet_ids)s);

-- decide_roles -- for ever
INSERT INTO pet_role (pet_id, role)
SELECT * FROM unnest(%(pet_ids)s::text[], %(roles)s::text[]);

-- grants_that_hold -- those that still allow it; none is withdrawn before the transaction ends
SELECT grant_id FROM grant_
WHERE grant_id = ANY(%(grant_ids)s)
  AND (withdrawn_at IS NULL OR withdrawn_at > %(now)s)
  AND (expires_at IS NULL OR expires_at > %(now)s)
ORDER BY grant_id FOR SHARE;

-- list_runs -- the newest first; one that nobody works on any more has died
SELECT run_id, slot, seed, started_at, ended_at, reason, detail, report,
       CASE WHEN state = 'running' AND NOT EXISTS (
           SELECT 1 FROM pg_locks
           WHERE locktype = 'advisory' AND objsubid = 1 AND classid = 0 AND objid = 1885435762
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
       ) THEN 'died' ELSE state END AS state
FROM training_run
WHERE %(run_id)s::text IS NULL OR run_id = %(run_id)s
ORDER BY run_no DESC LIMIT %(limit)s;

-- owned -- an owner's pets and grants: what of a run's report is theirs to see
SELECT pet_id, grant_id FROM household JOIN pet USING (household_id)
LEFT JOIN grant_ USING (pet_id) WHERE owner_id = %(owner_id)s;
