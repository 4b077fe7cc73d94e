-- Projections: the entities own the truth, these rows are what is read. A row carries its entity's
-- revision, and an older revision never overwrites a newer one.

CREATE TABLE cells (
    id text PRIMARY KEY,
    revision bigint NOT NULL,
    view jsonb NOT NULL
);

-- A deleted namespace stays as a tombstone: without it, a late view of the deleted incarnation
-- would bring the namespace back.
CREATE TABLE namespaces (
    id text PRIMARY KEY,
    account_id text NOT NULL,
    name text COLLATE "C" NOT NULL,
    uid text NOT NULL,
    revision bigint NOT NULL,
    life text NOT NULL,
    cell text,
    view jsonb NOT NULL
);
CREATE INDEX namespaces_by_account ON namespaces (account_id, name) WHERE life <> 'DELETED';

-- An operation is known by its caller's id. A row without a view is a claim: a request that no
-- entity has taken up yet, and that nobody sees.
CREATE TABLE operations (
    account_id text NOT NULL,
    id text NOT NULL,
    namespace text NOT NULL,
    kind text NOT NULL,
    request bytea,
    state text,
    view jsonb,
    claimed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, id)
);
CREATE INDEX operations_by_namespace ON operations (namespace);
