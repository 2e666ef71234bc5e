-- Who there is: owners and their households, sites with their gateways, pets, collars, and which
-- pet wore which collar when. Ids are the lower-case slugs of the wire; collation "C" compares
-- them as bytes.

CREATE DOMAIN slug AS text COLLATE "C" CHECK (value ~ '^[a-z0-9][a-z0-9-]{0,31}$');

CREATE TABLE owner (
    owner_id      slug PRIMARY KEY,
    email         text NOT NULL,
    password_hash text NOT NULL,  -- argon2id, with its own parameters and salt
    created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX owner_email ON owner (lower(email));

CREATE TABLE session (
    token_hash bytea PRIMARY KEY,  -- sha256 of the token: the table opens no door
    owner_id   slug NOT NULL REFERENCES owner ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX session_expiry ON session (expires_at);

CREATE TABLE household (
    household_id slug PRIMARY KEY,
    owner_id     slug NOT NULL REFERENCES owner,
    name         text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX household_owner ON household (owner_id);

CREATE TABLE site (
    site_id            slug PRIMARY KEY,
    household_id       slug NOT NULL REFERENCES household,
    gateway_public_key bytea NOT NULL CHECK (octet_length(gateway_public_key) = 32),
    version            bigint NOT NULL DEFAULT 1,  -- of the registry; rises with every change
    cursor             bigint NOT NULL DEFAULT 0,  -- last outbox id of the gateway applied here
    created_at         timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);  -- updated with every batch: leave room on the page
CREATE INDEX site_household ON site (household_id);

CREATE TABLE pet (
    pet_id       slug PRIMARY KEY,
    household_id slug NOT NULL REFERENCES household,
    name         text NOT NULL,
    species      text NOT NULL DEFAULT 'dog',
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX pet_household ON pet (household_id);

CREATE TABLE collar (
    collar_id  slug PRIMARY KEY,
    collar_no  bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    site_id    slug NOT NULL REFERENCES site,
    public_key bytea CHECK (octet_length(public_key) = 32),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX collar_site ON collar (site_id);

-- A collar is worn by one pet at a time. The number as a range of one lets a plain GiST index
-- compare it, so no extension is needed.
CREATE TABLE assignment (
    collar_id   slug NOT NULL REFERENCES collar,
    collar_no   bigint NOT NULL,
    pet_id      slug NOT NULL REFERENCES pet,
    assigned_at timestamptz NOT NULL,
    until_at    timestamptz,
    PRIMARY KEY (collar_id, assigned_at),
    CHECK (until_at > assigned_at),
    CONSTRAINT assignment_overlap EXCLUDE USING gist (
        int8range(collar_no, collar_no, '[]') WITH &&,
        tstzrange(assigned_at, until_at) WITH &&
    )
);
CREATE INDEX assignment_pet ON assignment (pet_id, assigned_at);
