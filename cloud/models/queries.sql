-- lock_models -- one change of what is champion at a time
SELECT pg_advisory_xact_lock(1885435681);

-- champion_of -- the best there is for a slot
SELECT model_id, package, version, sha256, release, content, weights FROM model
WHERE slot = %(slot)s AND state = 'champion';

-- taken_versions -- of a package
SELECT version, sha256 FROM model WHERE package = %(package)s AND state <> 'refused';

-- retire_champion -- another takes its place in this transaction
UPDATE model SET state = 'retired' WHERE slot = %(slot)s AND state = 'champion';

-- add_model -- with all that is known of it; the same refusal of the same upload is kept once
INSERT INTO model (package, version, slot, sha256, origin, state, release, content, weights, card,
    run_id, before_f1, after_f1, reason, detail, made_at, judged_at)
VALUES (%(package)s, %(version)s, %(slot)s, %(sha256)s, %(origin)s, %(state)s, %(release)s,
    %(content)s, %(weights)s, %(card)s, %(run_id)s, %(before_f1)s, %(after_f1)s, %(reason)s,
    %(detail)s, %(made_at)s, %(judged_at)s)
ON CONFLICT (package, version, sha256, reason) WHERE state = 'refused' AND origin = 'uploaded'
DO NOTHING RETURNING model_id;

-- list_models -- the newest first
SELECT package, version, slot, sha256, origin, state, octet_length(content) AS flash_bytes,
       run_id, before_f1::float8 AS macro_f1_before, after_f1::float8 AS macro_f1_after,
       reason, detail, made_at, judged_at
FROM model ORDER BY model_id DESC LIMIT %(limit)s;

-- models_of_version -- the one that took the version, else the last that was refused it
SELECT package, version, slot, sha256, origin, state, octet_length(content) AS flash_bytes,
       run_id, before_f1::float8 AS macro_f1_before, after_f1::float8 AS macro_f1_after,
       reason, detail, made_at, judged_at, card
FROM model WHERE package = %(package)s AND version = %(version)s
ORDER BY (state = 'refused'), model_id DESC LIMIT 1;
