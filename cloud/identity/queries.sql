-- add_owner -- someone who can sign in
INSERT INTO owner (owner_id, email, password_hash)
VALUES (%(owner_id)s, %(email)s, %(password_hash)s);

-- add_account -- where an owner's tokens go; its id says nothing of whose it is
INSERT INTO account (account_id, owner_id) VALUES (%(account_id)s, %(owner_id)s);

-- password_of -- what a sign-in is checked against
SELECT owner_id, password_hash FROM owner WHERE lower(email) = lower(%(email)s);

-- add_session -- a token, as its hash
INSERT INTO session (token_hash, owner_id, expires_at)
VALUES (%(token_hash)s, %(owner_id)s, %(expires_at)s);

-- owner_of_session -- whose token this is, while it is valid
SELECT owner_id FROM session WHERE token_hash = %(token_hash)s AND expires_at > %(now)s;

-- end_session -- sign out
DELETE FROM session WHERE token_hash = %(token_hash)s;

-- forget_expired -- sessions that are over
DELETE FROM session WHERE expires_at <= %(now)s;

-- add_household -- of one owner
INSERT INTO household (household_id, owner_id, name)
VALUES (%(household_id)s, %(owner_id)s, %(name)s)
RETURNING household_id, owner_id, name;

-- list_households -- the caller's; all for the operator
SELECT household_id, owner_id, name FROM household
WHERE %(owner_id)s::text IS NULL OR owner_id = %(owner_id)s ORDER BY household_id;

-- own_household -- if it is the caller's
SELECT household_id, owner_id, name FROM household
WHERE household_id = %(household_id)s
  AND (%(owner_id)s::text IS NULL OR owner_id = %(owner_id)s);

-- add_site -- a gateway and its key
INSERT INTO site (site_id, household_id, gateway_public_key)
VALUES (%(site_id)s, %(household_id)s, %(gateway_public_key)s)
RETURNING site_id, household_id, version;

-- change_gateway_key -- the gateway was replaced
UPDATE site SET gateway_public_key = %(gateway_public_key)s
WHERE site_id = %(site_id)s AND household_id = %(household_id)s
RETURNING site_id, household_id, version;

-- list_sites -- the caller's; all for the operator
SELECT site_id, household_id, version FROM site JOIN household USING (household_id)
WHERE %(owner_id)s::text IS NULL OR owner_id = %(owner_id)s ORDER BY site_id;

-- sites_of_household -- where a collar can be when it is not said
SELECT site_id FROM site WHERE household_id = %(household_id)s ORDER BY site_id;

-- gateway_of -- what a gateway's signature is checked with
SELECT gateway_public_key, version, cursor FROM site WHERE site_id = %(site_id)s;

-- touch_sites -- the registry of the household's sites has changed
UPDATE site SET version = version + 1 WHERE household_id = %(household_id)s;

-- registry_collars -- who is worn by whom at a site now
SELECT collar_id, pet_id, pet.name AS pet_name, species, public_key, assigned_at
FROM collar JOIN assignment USING (collar_id) JOIN pet USING (pet_id)
WHERE site_id = %(site_id)s AND until_at IS NULL ORDER BY collar_id;

-- registry_grants -- what is allowed of the pets of a site's household, now or later
SELECT grant_id, pet_id, stream, purpose, recipient, precision_ AS precision, valid_from,
       expires_at, withdrawn_at
FROM grant_ JOIN pet USING (pet_id) JOIN site USING (household_id)
WHERE site_id = %(site_id)s AND withdrawn_at IS NULL
  AND (expires_at IS NULL OR expires_at > now()) ORDER BY grant_id;

-- add_pet -- to a household
INSERT INTO pet (pet_id, household_id, name, species)
VALUES (%(pet_id)s, %(household_id)s, %(name)s, %(species)s);

-- list_pets -- the caller's, with the collar each wears; all for the operator
SELECT pet_id, household_id, pet.name, species,
       (SELECT max(collar_id COLLATE "C") FROM assignment a
        WHERE a.pet_id = pet.pet_id AND until_at IS NULL) AS collar_id
FROM pet JOIN household USING (household_id)
WHERE %(owner_id)s::text IS NULL OR owner_id = %(owner_id)s ORDER BY pet_id;

-- own_pet -- if it is the caller's
SELECT pet_id, household_id, pet.name, species,
       (SELECT max(collar_id COLLATE "C") FROM assignment a
        WHERE a.pet_id = pet.pet_id AND until_at IS NULL) AS collar_id
FROM pet JOIN household USING (household_id)
WHERE pet_id = %(pet_id)s AND (%(owner_id)s::text IS NULL OR owner_id = %(owner_id)s);

-- add_collar -- at a site
INSERT INTO collar (collar_id, site_id, public_key)
VALUES (%(collar_id)s, %(site_id)s, %(public_key)s);

-- own_collar -- if it is the caller's
SELECT collar_id, site_id, household_id FROM collar JOIN site USING (site_id)
JOIN household USING (household_id)
WHERE collar_id = %(collar_id)s AND (%(owner_id)s::text IS NULL OR owner_id = %(owner_id)s)
FOR UPDATE OF collar;

-- list_collars -- the caller's, with their pets; all for the operator
SELECT collar_id, site_id, encode(public_key, 'hex') AS public_key, pet_id, assigned_at
FROM collar JOIN site USING (site_id) JOIN household USING (household_id)
LEFT JOIN assignment a USING (collar_id)
WHERE a.until_at IS NULL
  AND (%(owner_id)s::text IS NULL OR owner_id = %(owner_id)s) ORDER BY collar_id;

-- end_assignment -- the collar comes off whoever wears it
UPDATE assignment SET until_at = %(at)s WHERE collar_id = %(collar_id)s AND until_at IS NULL;

-- assign -- the pet wears the collar from then on
INSERT INTO assignment (collar_id, collar_no, pet_id, assigned_at)
SELECT collar_id, collar_no, %(pet_id)s, %(at)s FROM collar WHERE collar_id = %(collar_id)s;

-- enrol_pets -- many at once
INSERT INTO pet (pet_id, household_id, name, species)
SELECT pet_id, %(household_id)s, name, species
FROM unnest(%(pet_ids)s::text[], %(names)s::text[], %(species)s::text[]) AS new (pet_id, name, species);

-- enrol_collars -- many at once, each on its pet
WITH new AS (
    SELECT * FROM unnest(%(collar_ids)s::text[], %(pet_ids)s::text[], %(keys)s::bytea[],
                         %(assigned)s::timestamptz[]) AS n (collar_id, pet_id, public_key, at)
), added AS (
    INSERT INTO collar (collar_id, site_id, public_key)
    SELECT collar_id, %(site_id)s, public_key FROM new RETURNING collar_id, collar_no
)
INSERT INTO assignment (collar_id, collar_no, pet_id, assigned_at)
SELECT collar_id, collar_no, pet_id, at FROM new JOIN added USING (collar_id);
