-- site_facts -- version of the registry, and whose account the site's data is credited to
SELECT version, account_id
FROM site JOIN household USING (household_id) JOIN account USING (owner_id)
WHERE site_id = %(site_id)s;

-- collar_facts -- the site's collars among these, and who wore them
SELECT collar_id, public_key, assigned_at, until_at, pet_id
FROM collar LEFT JOIN assignment USING (collar_id)
WHERE site_id = %(site_id)s AND collar_id = ANY(%(collar_ids)s);

-- advance -- take the site's turn, if the facts the batch was checked against still hold
UPDATE site SET cursor = greatest(cursor, %(last_id)s)
WHERE site_id = %(site_id)s AND version = %(version)s RETURNING cursor;

-- held -- which of the batch's messages are stored already, and as what
SELECT m.collar_id, m.boot, m.seq, m.digest
FROM unnest(%(collar_ids)s::text[], %(boots)s::bigint[], %(firsts)s::bigint[],
            %(lasts)s::bigint[]) AS g (collar_id, boot, first_seq, last_seq)
JOIN message m ON m.collar_id = g.collar_id COLLATE "C" AND m.boot = g.boot
    AND m.seq BETWEEN g.first_seq AND g.last_seq;

-- stage_epoch -- where a batch's epochs wait
CREATE TEMP TABLE IF NOT EXISTS staged_epoch ON COMMIT DELETE ROWS AS
SELECT pet_id, observed_at, received_at, collar_id, boot, seq, grant_id, sealed, clock, period_s,
       ''::text AS seconds, odba_g, vedba_g, steps, anomaly, windows, windows_unsure, battery_pct,
       ''::bytea AS digest
FROM epoch WITH NO DATA;

-- store_epoch -- from there to where they stay
INSERT INTO epoch (stored_at, pet_id, observed_at, received_at, collar_id, boot, seq, grant_id,
    sealed, clock, period_s, seconds, odba_g, vedba_g, steps, anomaly, windows, windows_unsure,
    battery_pct)
SELECT %(now)s, pet_id, observed_at, received_at, collar_id, boot, seq, grant_id,
    sealed, clock, period_s, seconds::jsonb, odba_g, vedba_g, steps, anomaly, windows,
    windows_unsure, battery_pct
FROM staged_epoch;

-- stage_fix -- where a batch's fixes wait
CREATE TEMP TABLE IF NOT EXISTS staged_fix ON COMMIT DELETE ROWS AS
SELECT pet_id, observed_at, received_at, collar_id, boot, seq, grant_id, sealed, clock, precision_,
       lat_deg, lon_deg, cell_lat, cell_lon, accuracy_m, source, age_s, hdop, speed_mps,
       ''::bytea AS digest
FROM fix WITH NO DATA;

-- store_fix -- from there to where they stay
INSERT INTO fix (stored_at, pet_id, observed_at, received_at, collar_id, boot, seq, grant_id,
    sealed, clock, precision_, lat_deg, lon_deg, cell_lat, cell_lon, accuracy_m, source, age_s,
    hdop, speed_mps)
SELECT %(now)s, pet_id, observed_at, received_at, collar_id, boot, seq, grant_id,
    sealed, clock, precision_, lat_deg, lon_deg, cell_lat, cell_lon, accuracy_m, source, age_s,
    hdop, speed_mps
FROM staged_fix;

-- stage_event -- where a batch's events wait
CREATE TEMP TABLE IF NOT EXISTS staged_event ON COMMIT DELETE ROWS AS
SELECT pet_id, observed_at, received_at, collar_id, boot, seq, grant_id, sealed, clock, name,
       confidence, duration_s, package, ''::bytea AS digest
FROM event WITH NO DATA;

-- store_event -- from there to where they stay
INSERT INTO event (stored_at, pet_id, observed_at, received_at, collar_id, boot, seq, grant_id,
    sealed, clock, name, confidence, duration_s, package)
SELECT %(now)s, pet_id, observed_at, received_at, collar_id, boot, seq, grant_id,
    sealed, clock, name, confidence, duration_s, package
FROM staged_event;

-- stage_window -- where a batch's raw windows wait
CREATE TEMP TABLE IF NOT EXISTS staged_window ON COMMIT DELETE ROWS AS
SELECT pet_id, observed_at, received_at, collar_id, boot, seq, grant_id, sealed, clock, rate_hz,
       acc_g_per_lsb, gyr_dps_per_lsb, samples, label, confidence, choice,
       ''::bytea AS digest
FROM raw_window WITH NO DATA;

-- store_window -- from there to where they stay
INSERT INTO raw_window (stored_at, pet_id, observed_at, received_at, collar_id, boot, seq,
    grant_id, sealed, clock, rate_hz, acc_g_per_lsb, gyr_dps_per_lsb, samples, label, confidence,
    choice)
SELECT %(now)s, pet_id, observed_at, received_at, collar_id, boot, seq, grant_id,
    sealed, clock, rate_hz, acc_g_per_lsb, gyr_dps_per_lsb, samples, label, confidence, choice
FROM staged_window;

-- new_epoch -- which of the staged are new
INSERT INTO message (collar_id, boot, seq, digest)
SELECT collar_id, boot, seq, digest FROM staged_epoch ON CONFLICT DO NOTHING;

-- new_fix -- which of the staged are new
INSERT INTO message (collar_id, boot, seq, digest)
SELECT collar_id, boot, seq, digest FROM staged_fix ON CONFLICT DO NOTHING;

-- new_event -- which of the staged are new
INSERT INTO message (collar_id, boot, seq, digest)
SELECT collar_id, boot, seq, digest FROM staged_event ON CONFLICT DO NOTHING;

-- new_window -- which of the staged are new
INSERT INTO message (collar_id, boot, seq, digest)
SELECT collar_id, boot, seq, digest FROM staged_window ON CONFLICT DO NOTHING;

-- add_hours -- what the batch adds to the rollup
INSERT INTO activity_hour AS a (pet_id, hour, epochs, odba_sum_g, steps, windows, windows_unsure,
    anomaly_max)
SELECT * FROM unnest(%(pet_ids)s::text[], %(hours)s::timestamptz[], %(epochs)s::int[],
    %(odba)s::float8[], %(steps)s::bigint[], %(windows)s::bigint[], %(unsure)s::bigint[],
    %(anomaly)s::float8[])
ON CONFLICT (pet_id, hour) DO UPDATE SET
    epochs = a.epochs + excluded.epochs,
    odba_sum_g = a.odba_sum_g + excluded.odba_sum_g,
    steps = a.steps + excluded.steps,
    windows = a.windows + excluded.windows,
    windows_unsure = a.windows_unsure + excluded.windows_unsure,
    anomaly_max = greatest(a.anomaly_max, excluded.anomaly_max);

-- add_behaviours -- what the batch adds to the rollup by behaviour
INSERT INTO behaviour_hour AS b (pet_id, hour, behaviour, seconds)
SELECT * FROM unnest(%(pet_ids)s::text[], %(hours)s::timestamptz[], %(behaviours)s::text[],
    %(seconds)s::float8[])
ON CONFLICT (pet_id, hour, behaviour) DO UPDATE SET seconds = b.seconds + excluded.seconds;

-- add_refused -- what was not taken; a replay adds nothing
INSERT INTO refused (site_id, collar_id, boot, seq, reason, detail, refused_at)
SELECT %(site_id)s, collar_id, boot, seq, reason, detail, %(now)s
FROM unnest(%(collar_ids)s::text[], %(boots)s::bigint[], %(seqs)s::bigint[], %(reasons)s::text[],
            %(details)s::text[]) AS r (collar_id, boot, seq, reason, detail)
ON CONFLICT DO NOTHING;
