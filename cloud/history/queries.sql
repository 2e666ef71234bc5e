-- last_epoch -- what the pet did last
SELECT observed_at, received_at, period_s, seconds, odba_g, steps, anomaly, battery_pct, sealed
FROM epoch WHERE pet_id = %(pet_id)s ORDER BY observed_at DESC LIMIT 1;

-- last_fix -- where the pet was last, as precisely as was granted
SELECT observed_at, received_at, precision_ AS precision, lat_deg, lon_deg, cell_lat, cell_lon,
       accuracy_m, source, sealed
FROM fix WHERE pet_id = %(pet_id)s ORDER BY observed_at DESC LIMIT 1;

-- last_event -- what a model saw last
SELECT observed_at, received_at, name, confidence, duration_s, package
FROM event WHERE pet_id = %(pet_id)s ORDER BY observed_at DESC LIMIT 1;

-- hours -- activity by the hour
SELECT hour, epochs, odba_sum_g / greatest(epochs, 1) AS odba_g, steps, windows, windows_unsure,
       anomaly_max,
       (SELECT coalesce(jsonb_object_agg(behaviour, seconds), '{}') FROM behaviour_hour b
        WHERE b.pet_id = a.pet_id AND b.hour = a.hour) AS seconds
FROM activity_hour a
WHERE pet_id = %(pet_id)s AND hour >= date_trunc('hour', %(since)s::timestamptz, 'UTC')
  AND hour < %(until)s
ORDER BY hour DESC LIMIT %(limit)s;

-- raw_windows -- how many of them were shared
SELECT count(*) AS windows FROM raw_window
WHERE pet_id = %(pet_id)s AND observed_at >= %(since)s AND observed_at < %(until)s;

-- fixes -- positions, the newest first
SELECT observed_at, precision_ AS precision, lat_deg, lon_deg, cell_lat, cell_lon, accuracy_m,
       source
FROM fix WHERE pet_id = %(pet_id)s AND observed_at >= %(since)s AND observed_at < %(until)s
ORDER BY observed_at DESC LIMIT %(limit)s;

-- events -- what models saw, the newest first
SELECT observed_at, name, confidence, duration_s, package
FROM event WHERE pet_id = %(pet_id)s AND observed_at >= %(since)s AND observed_at < %(until)s
ORDER BY observed_at DESC LIMIT %(limit)s;
