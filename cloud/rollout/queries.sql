-- model_to_send -- what a rollout delivers, unless it was refused
SELECT model_id, slot FROM model
WHERE package = %(package)s AND version = %(version)s AND state <> 'refused';

-- add_rollout -- from now on
INSERT INTO rollout (rollout_id, model_id, slot, stage, run_id, started_at)
VALUES (%(rollout_id)s, %(model_id)s, %(slot)s, %(stage)s, %(run_id)s, %(now)s);

-- choose_collars -- those of a rollout that is not for all
INSERT INTO rollout_collar (rollout_id, collar_id, state)
SELECT %(rollout_id)s, collar_id, 'pending' FROM collar WHERE collar_id = ANY(%(collar_ids)s);

-- touch_all_sites -- every gateway has something to do; locked in one order
WITH touched AS (SELECT site_id FROM site ORDER BY site_id FOR NO KEY UPDATE)
UPDATE site SET version = version + 1 FROM touched WHERE site.site_id = touched.site_id;

-- touch_sites_of_rollout -- the gateways of its chosen collars have
WITH touched AS (
    SELECT site_id FROM site WHERE site_id IN (
        SELECT site_id FROM collar JOIN rollout_collar USING (collar_id)
        WHERE rollout_id = %(rollout_id)s)
    ORDER BY site_id FOR NO KEY UPDATE
)
UPDATE site SET version = version + 1 FROM touched WHERE site.site_id = touched.site_id;

-- deployments -- of each of the site's collars and slots the newest rollout
SELECT rollout_id, newest.slot, package, version, sha256, array_agg(collar_id::text ORDER BY collar_id)
FROM (
    SELECT DISTINCT ON (c.collar_id, r.slot) c.collar_id, r.slot, r.rollout_id, r.rollout_no,
           r.model_id
    FROM rollout r JOIN collar c ON c.site_id = %(site_id)s
    WHERE r.rollout_no >= coalesce((SELECT max(rollout_no) FROM rollout a
                                    WHERE a.slot = r.slot AND a.stage = 'all'), 0)
      AND (r.stage = 'all' OR EXISTS (
          SELECT 1 FROM rollout_collar rc
          WHERE rc.rollout_id = r.rollout_id AND rc.collar_id = c.collar_id))
    ORDER BY c.collar_id, r.slot, r.rollout_no DESC
) newest JOIN model USING (model_id)
GROUP BY rollout_no, rollout_id, newest.slot, package, version, sha256 ORDER BY rollout_no;

-- release_for -- a model, if a rollout sends it to a collar of the site
SELECT release, content FROM model JOIN rollout r USING (model_id)
WHERE sha256 = %(sha256)s AND EXISTS (
    SELECT 1 FROM collar c WHERE c.site_id = %(site_id)s AND (r.stage = 'all' OR EXISTS (
        SELECT 1 FROM rollout_collar rc
        WHERE rc.rollout_id = r.rollout_id AND rc.collar_id = c.collar_id)))
ORDER BY rollout_no DESC LIMIT 1;

-- list_rollouts -- that reach a collar of the caller's, the newest first; all for the operator
SELECT r.rollout_id, package, version, sha256, r.slot, r.stage, r.run_id, r.started_at,
       pending, receiving, installed, refused,
       EXISTS (SELECT 1 FROM rollout o WHERE o.slot = r.slot AND o.stage = 'all'
               AND o.rollout_no > r.rollout_no) AS superseded
FROM rollout r JOIN model USING (model_id) CROSS JOIN LATERAL (
    SELECT count(*) AS collars,
           count(*) FILTER (WHERE coalesce(rc.state, 'pending') = 'pending') AS pending,
           count(*) FILTER (WHERE rc.state = 'receiving') AS receiving,
           count(*) FILTER (WHERE rc.state = 'installed') AS installed,
           count(*) FILTER (WHERE rc.state = 'refused') AS refused
    FROM collar c JOIN site USING (site_id) JOIN household USING (household_id)
    LEFT JOIN rollout_collar rc ON rc.rollout_id = r.rollout_id AND rc.collar_id = c.collar_id
    WHERE (r.stage = 'all' OR rc.collar_id IS NOT NULL)
      AND (%(owner_id)s::text IS NULL OR owner_id = %(owner_id)s)
) counted
WHERE (%(rollout_id)s::text IS NULL OR r.rollout_id = %(rollout_id)s)
  AND (%(owner_id)s::text IS NULL OR counted.collars > 0)
ORDER BY rollout_no DESC LIMIT %(limit)s;

-- rollout_collars -- the caller's collars in a rollout, and how far each is
SELECT c.collar_id, coalesce(rc.state, 'pending'), rc.reason, coalesce(rc.detail, ''),
       rc.changed_at
FROM rollout r CROSS JOIN collar c JOIN site USING (site_id) JOIN household USING (household_id)
LEFT JOIN rollout_collar rc ON rc.rollout_id = r.rollout_id AND rc.collar_id = c.collar_id
WHERE r.rollout_id = %(rollout_id)s AND (r.stage = 'all' OR rc.collar_id IS NOT NULL)
  AND (%(owner_id)s::text IS NULL OR owner_id = %(owner_id)s)
ORDER BY c.collar_id;

-- known_collars -- those of the site among these
SELECT collar_id FROM collar WHERE site_id = %(site_id)s AND collar_id = ANY(%(collar_ids)s);

-- take_reports -- what changed last counts, in whatever order it was told
INSERT INTO rollout_collar AS rc (rollout_id, collar_id, state, reason, detail, changed_at)
SELECT DISTINCT ON (n.rollout_id, n.collar_id)
       n.rollout_id, n.collar_id, n.state, n.reason, n.detail, n.changed_at
FROM unnest(%(rollout_ids)s::text[], %(collar_ids)s::text[], %(states)s::text[],
            %(reasons)s::text[], %(details)s::text[], %(changed)s::timestamptz[])
     WITH ORDINALITY AS n (rollout_id, collar_id, state, reason, detail, changed_at, place)
JOIN rollout r ON r.rollout_id = n.rollout_id
WHERE r.stage = 'all' OR EXISTS (
    SELECT 1 FROM rollout_collar x
    WHERE x.rollout_id = n.rollout_id AND x.collar_id = n.collar_id)
ORDER BY n.rollout_id, n.collar_id, n.changed_at DESC, n.place DESC
ON CONFLICT (rollout_id, collar_id) DO UPDATE SET
    state = excluded.state, reason = excluded.reason, detail = excluded.detail,
    changed_at = excluded.changed_at
WHERE rc.changed_at IS NULL OR rc.changed_at <= excluded.changed_at;

-- rollouts_reaching -- which of these pairs are of a rollout
SELECT n.rollout_id, n.collar_id
FROM unnest(%(rollout_ids)s::text[], %(collar_ids)s::text[]) AS n (rollout_id, collar_id)
JOIN rollout r ON r.rollout_id = n.rollout_id
WHERE r.stage = 'all' OR EXISTS (
    SELECT 1 FROM rollout_collar x
    WHERE x.rollout_id = n.rollout_id AND x.collar_id = n.collar_id);
