-- What data earned. Scores are pseudonymous (an account, a digest, no pet and no collar) and kept
-- for ever, so every payment can be computed again after the data is erased. The ledger is double
-- entry in integer micro-tokens; both its laws are enforced here, whoever writes.

CREATE TABLE account (
    account_id slug PRIMARY KEY,
    owner_id   slug UNIQUE REFERENCES owner,  -- null: ours, or of an owner who left
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO account (account_id) VALUES ('emission');  -- tokens are issued from it: it is negative

CREATE TABLE emission_period (
    period_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    starts_at     timestamptz NOT NULL,
    ends_at       timestamptz NOT NULL,
    budget        bigint NOT NULL CHECK (budget >= 0),
    rate_per_unit bigint NOT NULL CHECK (rate_per_unit >= 0),
    settled_at    timestamptz,
    CHECK (ends_at >= starts_at),
    CONSTRAINT emission_period_overlap EXCLUDE USING gist (tstzrange(starts_at, ends_at) WITH &&)
);

CREATE TABLE score (
    score_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    period_id   bigint NOT NULL REFERENCES emission_period,
    account_id  text COLLATE "C" NOT NULL,
    digest      bytea NOT NULL,
    rows_new    integer NOT NULL CHECK (rows_new >= 0),
    quality_ppm integer NOT NULL CHECK (quality_ppm BETWEEN 0 AND 1000000),
    novelty_ppm integer NOT NULL CHECK (novelty_ppm BETWEEN 0 AND 1000000),
    units       bigint NOT NULL CHECK (units >= 0),
    reasons     text[] NOT NULL
);
CREATE INDEX score_period ON score (period_id, account_id);

CREATE TABLE ledger_transaction (
    transaction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    period_id      bigint REFERENCES emission_period,
    account_id     slug REFERENCES account,
    memo           text NOT NULL,
    reasons        jsonb NOT NULL DEFAULT '{}',
    made_at        timestamptz NOT NULL DEFAULT now(),
    UNIQUE (period_id, account_id)  -- an account is paid once for a period
);
CREATE INDEX ledger_transaction_account ON ledger_transaction (account_id, transaction_id DESC);

CREATE TABLE posting (
    transaction_id bigint NOT NULL REFERENCES ledger_transaction,
    account_id     slug NOT NULL REFERENCES account,
    amount         bigint NOT NULL CHECK (amount <> 0),
    PRIMARY KEY (transaction_id, account_id)
);
CREATE INDEX posting_account ON posting (account_id);

CREATE FUNCTION check_transaction_balances() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT coalesce(sum(amount), 0) <> 0 OR count(*) < 2
        FROM posting WHERE transaction_id = new.transaction_id) THEN
        RAISE EXCEPTION 'postings of transaction % do not sum to zero', new.transaction_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER posting_balances AFTER INSERT ON posting
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_transaction_balances();
CREATE CONSTRAINT TRIGGER transaction_balances AFTER INSERT ON ledger_transaction
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_transaction_balances();

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: write a transaction that corrects the other', tg_table_name
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER posting_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON posting
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transaction_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transaction
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER score_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON score
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
