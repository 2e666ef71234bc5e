-- Days of settled rows stay in the outbox. Without these, forgetting the oldest (every second) and
-- finding a seal's other rows (every upload) read them all, in the thread that commits messages.
CREATE INDEX outbox_settled ON outbox (settled_us) WHERE settled_us IS NOT NULL;
CREATE INDEX outbox_of_seal ON outbox (sealed_id, id) WHERE sealed_id IS NOT NULL;
