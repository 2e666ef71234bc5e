-- household_pets -- those of the pets that live in the site's household
SELECT pet_id FROM pet JOIN site USING (household_id)
WHERE site_id = %(site_id)s AND pet_id = ANY(%(pet_ids)s);

-- put -- the label, or its newer version; said before, it changes nothing
INSERT INTO label AS l (site_id, label_id, pet_id, grant_id, behaviour, start_at, end_at, said_at,
    taken_at)
VALUES (%(site_id)s, %(label_id)s, %(pet_id)s, %(grant_id)s, %(behaviour)s, %(start_at)s,
    %(end_at)s, %(said_at)s, %(now)s)
ON CONFLICT (site_id, label_id) DO UPDATE SET
    pet_id = excluded.pet_id, grant_id = excluded.grant_id, behaviour = excluded.behaviour,
    start_at = excluded.start_at, end_at = excluded.end_at, said_at = excluded.said_at,
    taken_at = excluded.taken_at
WHERE l.said_at < excluded.said_at;

-- forget -- the owner took it back
DELETE FROM label WHERE site_id = %(site_id)s AND label_id = %(label_id)s;

-- list_labels -- the caller's, the newest first; all for the operator
SELECT label_id, site_id, pet_id, behaviour, start_at, end_at, said_at, grant_id
FROM label JOIN pet USING (pet_id) JOIN household USING (household_id)
WHERE (%(owner_id)s::text IS NULL OR owner_id = %(owner_id)s)
  AND (%(pet_id)s::text IS NULL OR pet_id = %(pet_id)s)
  AND (%(since)s::timestamptz IS NULL OR end_at > %(since)s)
  AND (%(until)s::timestamptz IS NULL OR start_at < %(until)s)
ORDER BY said_at DESC, label_id LIMIT %(limit)s;
