-- What owners allow. A grant is never changed but by its withdrawal, and never deleted: what was
-- stored rests on it.

CREATE TABLE grant_ (
    grant_id     slug PRIMARY KEY,
    pet_id       slug NOT NULL REFERENCES pet,
    stream       text NOT NULL CHECK (stream IN ('activity', 'position', 'events', 'raw')),
    purpose      text NOT NULL,
    recipient    text NOT NULL,
    precision_   text NOT NULL CHECK (precision_ IN ('exact', '100m', '1km', '10km')),
    valid_from   timestamptz NOT NULL,
    expires_at   timestamptz,
    withdrawn_at timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CHECK (expires_at > valid_from)
);
CREATE INDEX grant_pet ON grant_ (pet_id);
