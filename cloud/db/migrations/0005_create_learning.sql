-- What models are made of and where they go: owners' labels, the part each pet plays in learning,
-- models with what was found of them, the runs that made them, and their way to the collars.

ALTER TABLE raw_window ADD COLUMN choice text;  -- why the collar sent it: `uncertain` or `random`

-- An owner's word. Ids are the gateway's own, so they are unique within a site only.
CREATE TABLE label (
    site_id   slug NOT NULL REFERENCES site,
    label_id  slug NOT NULL,
    pet_id    slug NOT NULL REFERENCES pet,
    grant_id  slug NOT NULL REFERENCES grant_,
    behaviour text COLLATE "C" NOT NULL,
    start_at  timestamptz NOT NULL,
    end_at    timestamptz NOT NULL,
    said_at   timestamptz NOT NULL,
    taken_at  timestamptz NOT NULL,
    PRIMARY KEY (site_id, label_id),
    CHECK (end_at > start_at)
);
CREATE INDEX label_pet ON label (pet_id, start_at);

-- Decided once: a judge that had been learned from would be no stranger to any later model.
CREATE TABLE pet_role (
    pet_id     slug PRIMARY KEY REFERENCES pet,
    role       text NOT NULL CHECK (role IN ('fit', 'judge')),
    decided_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE training_run (
    run_id     slug PRIMARY KEY,
    run_no     bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    slot       text COLLATE "C" NOT NULL,
    seed       bigint NOT NULL,
    state      text NOT NULL
               CHECK (state IN ('running', 'promoted', 'refused', 'failed', 'died')),
    started_at timestamptz NOT NULL,
    ended_at   timestamptz,
    reason     text,
    detail     text NOT NULL DEFAULT '',
    report     jsonb
);

-- `refused` ones may share a version: it was never taken. Their content may be missing.
CREATE TABLE model (
    model_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    package    text COLLATE "C" NOT NULL,
    version    text COLLATE "C" NOT NULL,
    slot       text COLLATE "C" NOT NULL,
    sha256     text COLLATE "C" NOT NULL,
    origin     text NOT NULL CHECK (origin IN ('shipped', 'trained', 'uploaded')),
    state      text NOT NULL CHECK (state IN ('candidate', 'champion', 'retired', 'refused')),
    release    bytea,  -- MessagePack, signed
    content    bytea,  -- the .tflite
    weights    bytea,  -- .npz: where the next training starts
    card       jsonb NOT NULL DEFAULT '{}',
    run_id     slug REFERENCES training_run,
    before_f1  real,  -- the champion's macro-F1 on the judges, when this one was judged
    after_f1   real,
    reason     text,
    detail     text NOT NULL DEFAULT '',
    made_at    timestamptz NOT NULL,
    judged_at  timestamptz,
    CHECK (state = 'refused' OR (release IS NOT NULL AND content IS NOT NULL))
);
CREATE UNIQUE INDEX model_version ON model (package, version) WHERE state <> 'refused';
CREATE UNIQUE INDEX model_champion ON model (slot) WHERE state = 'champion';
CREATE UNIQUE INDEX model_upload_refused ON model (package, version, sha256, reason)
    WHERE state = 'refused' AND origin = 'uploaded';
CREATE INDEX model_sha256 ON model (sha256);

-- Stage `all` means every collar, also one that is enrolled later; `chosen` those with a row below.
CREATE TABLE rollout (
    rollout_id slug PRIMARY KEY,
    rollout_no bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    model_id   bigint NOT NULL REFERENCES model,
    slot       text COLLATE "C" NOT NULL,
    stage      text NOT NULL CHECK (stage IN ('all', 'chosen')),
    run_id     slug REFERENCES training_run,
    started_at timestamptz NOT NULL
);
CREATE INDEX rollout_slot ON rollout (slot, rollout_no DESC);

CREATE TABLE rollout_collar (
    rollout_id slug NOT NULL REFERENCES rollout,
    collar_id  slug NOT NULL REFERENCES collar,
    state      text NOT NULL
               CHECK (state IN ('pending', 'receiving', 'installed', 'refused')),
    reason     text,
    detail     text NOT NULL DEFAULT '',
    changed_at timestamptz,  -- null: nothing was reported yet
    PRIMARY KEY (rollout_id, collar_id)
);
CREATE INDEX rollout_collar_collar ON rollout_collar (collar_id);
