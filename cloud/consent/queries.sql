-- give -- a permission
INSERT INTO grant_ (grant_id, pet_id, stream, purpose, recipient, precision_, valid_from, expires_at)
VALUES (%(grant_id)s, %(pet_id)s, %(stream)s, %(purpose)s, %(recipient)s, %(precision)s,
        %(valid_from)s, %(expires_at)s);

-- lock_pets -- those of the pets that are the owner's, so that none leaves meanwhile
SELECT pet_id, household_id FROM pet JOIN household USING (household_id)
WHERE pet_id = ANY(%(pet_ids)s) AND owner_id = %(owner_id)s
FOR SHARE OF pet;

-- list_grants -- the owner's, the newest first
SELECT grant_id, pet_id, stream, purpose, recipient, precision_ AS precision, valid_from,
       expires_at, withdrawn_at
FROM grant_ JOIN pet USING (pet_id) JOIN household USING (household_id)
WHERE owner_id = %(owner_id)s AND (%(pet_id)s::text IS NULL OR pet_id = %(pet_id)s)
ORDER BY grant_.created_at DESC, grant_id;

-- withdraw -- at once; again changes nothing
UPDATE grant_ SET withdrawn_at = coalesce(withdrawn_at, %(now)s)
FROM pet JOIN household USING (household_id)
WHERE grant_.pet_id = pet.pet_id AND grant_id = %(grant_id)s AND owner_id = %(owner_id)s
RETURNING household_id;

-- grants_by_id -- those that rows claim to rest on
SELECT grant_id, pet_id, stream, purpose, recipient, precision_ AS precision, valid_from,
       expires_at, withdrawn_at
FROM grant_ WHERE grant_id = ANY(%(grant_ids)s);

-- held_grants_by_id -- the same, and no withdrawal until the transaction ends
SELECT grant_id, pet_id, stream, purpose, recipient, precision_ AS precision, valid_from,
       expires_at, withdrawn_at
FROM grant_ WHERE grant_id = ANY(%(grant_ids)s) ORDER BY grant_id FOR SHARE;
