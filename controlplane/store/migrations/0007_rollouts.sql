-- Operators run the fleet, for all accounts. The account that a deployment began with is theirs.
ALTER TABLE accounts ADD operator boolean NOT NULL DEFAULT false;
UPDATE accounts SET operator = true
WHERE id = (SELECT id FROM accounts ORDER BY created_at, id LIMIT 1);

-- PostgreSQL is the truth of releases. `body` is kept as it was written: jsonb would say 1e10 in
-- another way, and the digest would be another.
CREATE TABLE releases (
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    name text PRIMARY KEY,
    digest text NOT NULL,
    server_version text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    body json NOT NULL
);
CREATE INDEX releases_by_digest ON releases (digest);

CREATE FUNCTION refuse_to_change_what_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% takes new rows only: % is refused', TG_TABLE_NAME, TG_OP;
END
$$;
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON releases
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_what_stays();

-- A row without a view is a claim: a request that no rollout has taken up yet, and that nobody sees.
CREATE TABLE rollouts (
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    id text PRIMARY KEY,
    -- The operators' account in whose audit log its events are.
    account_id text NOT NULL REFERENCES accounts,
    -- What the caller asked for, to tell a repeated request from another one under the same id; and
    -- what was made of it. NULL for what did not come through the API.
    asked text,
    request json,
    release text,
    phase text,
    revision bigint NOT NULL DEFAULT 0,
    started_at timestamptz,
    -- What lists show: a view holds every cell of the fleet, and is read one at a time.
    summary jsonb,
    view jsonb
);
CREATE INDEX rollouts_not_ended ON rollouts (number) WHERE phase <> 'ended';

-- The disruption ledger's projection: one row.
CREATE TABLE ledger (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    revision bigint NOT NULL,
    view jsonb NOT NULL
);

-- The calendar's truth and its history: the last revision is the one that counts.
CREATE TABLE calendars (
    revision bigint PRIMARY KEY CHECK (revision > 0),
    calendar jsonb NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL,
    reason text NOT NULL
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON calendars
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_what_stays();

-- Where the replicas of each namespace are. A namespace lives in one cell so far.
CREATE VIEW namespace_replicas AS
    SELECT id AS namespace, cell, true AS active FROM namespaces
    WHERE life <> 'DELETED' AND cell IS NOT NULL;
