-- What pets did, as far as it was granted. `message` decides what is new (a hypertable's unique
-- key would have to contain the time, and a re-dated copy would slip through); the time tables
-- hold the content, without foreign keys, as their rows come by the thousand and every one was
-- checked against registry and grants. A column is null where its leaf was withheld.

CREATE TABLE message (
    collar_id text COLLATE "C" NOT NULL,
    boot      bigint NOT NULL,
    seq       bigint NOT NULL,
    digest    bytea NOT NULL,  -- of what was sealed, or shown: the same key may not say two things
    PRIMARY KEY (collar_id, boot, seq)
);

CREATE TABLE epoch (
    stored_at      timestamptz NOT NULL,
    pet_id         text COLLATE "C" NOT NULL,
    observed_at    timestamptz NOT NULL,
    received_at    timestamptz NOT NULL,
    collar_id      text COLLATE "C" NOT NULL,
    boot           bigint NOT NULL,
    seq            bigint NOT NULL,
    grant_id       text COLLATE "C" NOT NULL,
    sealed         boolean NOT NULL,
    clock          text,
    period_s       real,
    seconds        jsonb,
    odba_g         real,
    vedba_g        real,
    steps          integer,
    anomaly        real,
    windows        integer,
    windows_unsure integer,
    battery_pct    real
);
CREATE INDEX epoch_pet ON epoch (pet_id, observed_at DESC);
CREATE INDEX epoch_stored ON epoch USING brin (stored_at);

CREATE TABLE fix (
    stored_at   timestamptz NOT NULL,
    pet_id      text COLLATE "C" NOT NULL,
    observed_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    collar_id   text COLLATE "C" NOT NULL,
    boot        bigint NOT NULL,
    seq         bigint NOT NULL,
    grant_id    text COLLATE "C" NOT NULL,
    sealed      boolean NOT NULL,
    clock       text,
    precision_  text NOT NULL,
    lat_deg     double precision,
    lon_deg     double precision,
    cell_lat    integer,  -- floor(degrees * cells per degree of the precision)
    cell_lon    integer,
    accuracy_m  real,
    source      text,
    age_s       double precision,
    hdop        real,
    speed_mps   real
);
CREATE INDEX fix_pet ON fix (pet_id, observed_at DESC);
CREATE INDEX fix_stored ON fix USING brin (stored_at);

CREATE TABLE event (
    stored_at   timestamptz NOT NULL,
    pet_id      text COLLATE "C" NOT NULL,
    observed_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    collar_id   text COLLATE "C" NOT NULL,
    boot        bigint NOT NULL,
    seq         bigint NOT NULL,
    grant_id    text COLLATE "C" NOT NULL,
    sealed      boolean NOT NULL,
    clock       text,
    name        text,
    confidence  real,
    duration_s  double precision,
    package     text
);
CREATE INDEX event_pet ON event (pet_id, observed_at DESC);
CREATE INDEX event_stored ON event USING brin (stored_at);

CREATE TABLE raw_window (
    stored_at       timestamptz NOT NULL,
    pet_id          text COLLATE "C" NOT NULL,
    observed_at     timestamptz NOT NULL,
    received_at     timestamptz NOT NULL,
    collar_id       text COLLATE "C" NOT NULL,
    boot            bigint NOT NULL,
    seq             bigint NOT NULL,
    grant_id        text COLLATE "C" NOT NULL,
    sealed          boolean NOT NULL,
    clock           text,
    rate_hz         double precision,
    acc_g_per_lsb   double precision,
    gyr_dps_per_lsb double precision,
    samples         bytea,
    label           text,
    confidence      real
);
CREATE INDEX raw_window_pet ON raw_window (pet_id, observed_at DESC);
CREATE INDEX raw_window_stored ON raw_window USING brin (stored_at);

-- What was not taken, and why; never the content, as that may be just what was not granted.
CREATE TABLE refused (
    site_id    text COLLATE "C" NOT NULL,
    collar_id  text COLLATE "C" NOT NULL,
    boot       bigint NOT NULL,
    seq        bigint NOT NULL,
    reason     text NOT NULL,
    detail     text NOT NULL,
    refused_at timestamptz NOT NULL,
    PRIMARY KEY (site_id, collar_id, boot, seq, reason)
);

-- Rollups of our own, kept in the transaction that stores, so that deletion reaches them.
CREATE TABLE activity_hour (
    pet_id         text COLLATE "C" NOT NULL,
    hour           timestamptz NOT NULL,
    epochs         integer NOT NULL,
    odba_sum_g     double precision NOT NULL,
    steps          bigint NOT NULL,
    windows        bigint NOT NULL,
    windows_unsure bigint NOT NULL,
    anomaly_max    double precision NOT NULL,
    PRIMARY KEY (pet_id, hour)
) WITH (fillfactor = 70);

CREATE TABLE behaviour_hour (
    pet_id    text COLLATE "C" NOT NULL,
    hour      timestamptz NOT NULL,
    behaviour text COLLATE "C" NOT NULL,
    seconds   double precision NOT NULL,
    PRIMARY KEY (pet_id, hour, behaviour)
) WITH (fillfactor = 70);
