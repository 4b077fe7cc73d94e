-- The cells in which a namespace is, but not active.
ALTER TABLE namespaces ADD passive text[] NOT NULL DEFAULT '{}';
CREATE INDEX namespaces_by_cell ON namespaces (cell) WHERE life <> 'DELETED';
CREATE INDEX namespaces_by_passive_cell ON namespaces USING gin (passive)
    WHERE life <> 'DELETED' AND passive <> '{}';

CREATE OR REPLACE VIEW namespace_replicas AS
    SELECT id AS namespace, cell, true AS active FROM namespaces
    WHERE life <> 'DELETED' AND cell IS NOT NULL
    UNION ALL
    SELECT id, unnest(passive), false FROM namespaces
    WHERE life <> 'DELETED' AND passive <> '{}';

-- As of rollouts: a row without a view is a claim, which nobody sees.
CREATE TABLE evacuations (
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    id text PRIMARY KEY,
    -- The operators' account in whose audit log its events are.
    account_id text NOT NULL REFERENCES accounts,
    -- What the caller asked for, to tell a repeated request from another one under the same id; and
    -- what was made of it. NULL for what did not come through the API.
    asked text,
    request json,
    cell text NOT NULL,
    revision bigint NOT NULL DEFAULT 0,
    -- What lists show: a view holds every namespace of the cell, and is read one at a time.
    summary jsonb,
    view jsonb
);
CREATE INDEX evacuations_by_cell ON evacuations (cell, number) WHERE view IS NOT NULL;

-- What is decided about failovers that nobody asked for: one row.
CREATE TABLE availability (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    revision bigint NOT NULL,
    view jsonb NOT NULL
);

-- How well each cell keeps up with each that it replicates from, as last looked at.
CREATE TABLE replication_links (
    cell text NOT NULL,
    peer text NOT NULL,
    seen_at timestamptz NOT NULL,
    view jsonb NOT NULL,
    PRIMARY KEY (cell, peer)
);
CREATE INDEX replication_links_by_peer ON replication_links (peer);
