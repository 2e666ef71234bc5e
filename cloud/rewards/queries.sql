-- current_period -- kept open until the transaction ends
SELECT period_id FROM emission_period
WHERE starts_at <= %(now)s AND ends_at > %(now)s AND settled_at IS NULL
FOR SHARE;

-- begin_period -- from the end of the last one to the next full period
INSERT INTO emission_period (starts_at, ends_at, budget, rate_per_unit)
SELECT greatest(%(floor)s, max(ends_at) FILTER (WHERE ends_at <= %(now)s)), %(ceiling)s,
       %(budget)s, %(rate_per_unit)s
FROM emission_period
ON CONFLICT DO NOTHING;

-- add_scores -- of one batch, a row for each group
INSERT INTO score (period_id, account_id, digest, rows_new, quality_ppm, novelty_ppm, units, reasons)
SELECT %(period_id)s, %(account_id)s, digest, rows_new, quality, novelty, units,
       string_to_array(reasons, ',')
FROM unnest(%(digests)s::bytea[], %(rows)s::int[], %(quality)s::int[], %(novelty)s::int[],
            %(units)s::bigint[], %(reasons)s::text[])
    AS s (digest, rows_new, quality, novelty, units, reasons);

-- close_current -- end the running period now
UPDATE emission_period SET ends_at = greatest(%(now)s, starts_at)
WHERE ends_at > %(now)s AND settled_at IS NULL;

-- period_to_settle -- the first that has ended; who has scores in flight is waited for
SELECT period_id, budget, rate_per_unit FROM emission_period
WHERE ends_at <= %(now)s AND settled_at IS NULL
ORDER BY starts_at LIMIT 1 FOR UPDATE;

-- period_scores -- what each account has earned in a period
SELECT account_id, sum(units)::bigint AS units, count(*) AS groups
FROM score WHERE period_id = %(period_id)s GROUP BY account_id ORDER BY account_id COLLATE "C";

-- period_reasons -- how many groups each reason held for
SELECT account_id, reason, count(*) FROM score, unnest(reasons) AS reason
WHERE period_id = %(period_id)s GROUP BY account_id, reason ORDER BY account_id, reason;

-- end_period -- nothing is added to it any more
UPDATE emission_period SET settled_at = %(now)s WHERE period_id = %(period_id)s;

-- settled_periods -- all that were paid
SELECT period_id, budget, rate_per_unit FROM emission_period
WHERE settled_at IS NOT NULL ORDER BY period_id;

-- period_payments -- what was paid for a period
SELECT t.account_id, amount FROM ledger_transaction t
JOIN posting p ON p.transaction_id = t.transaction_id AND p.account_id = t.account_id
WHERE period_id = %(period_id)s;

-- write_transaction -- the head of a ledger entry
INSERT INTO ledger_transaction (period_id, account_id, memo, reasons)
VALUES (%(period_id)s, %(account_id)s, %(memo)s, %(reasons)s) RETURNING transaction_id;

-- write_posting -- one side of it
INSERT INTO posting (transaction_id, account_id, amount)
VALUES (%(transaction_id)s, %(account_id)s, %(amount)s);

-- account_of -- an owner's
SELECT account_id FROM account WHERE owner_id = %(owner_id)s;

-- balance -- of an account
SELECT coalesce(sum(amount), 0)::bigint FROM posting WHERE account_id = %(account_id)s;

-- entries -- an account's last ones
SELECT t.transaction_id, made_at, t.period_id, amount, memo, reasons, starts_at, ends_at
FROM posting p JOIN ledger_transaction t USING (transaction_id)
LEFT JOIN emission_period e ON e.period_id = t.period_id
WHERE p.account_id = %(account_id)s ORDER BY t.transaction_id DESC LIMIT %(limit)s;

-- pending_units -- scored and not yet paid
SELECT coalesce(sum(units), 0)::bigint FROM score JOIN emission_period USING (period_id)
WHERE account_id = %(account_id)s AND settled_at IS NULL;

-- unbalanced -- transactions whose postings do not sum to zero: there are none
SELECT transaction_id FROM posting GROUP BY transaction_id HAVING sum(amount) <> 0;
