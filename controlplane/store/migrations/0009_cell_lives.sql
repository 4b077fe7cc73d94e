-- Cells that were asked for, and what each was given. Numbers and networks are given once, so rows
-- stay: of one that was withdrawn nothing was made, and its name is free again.
CREATE TABLE cell_blueprints (
    uid text PRIMARY KEY,
    -- Of operators; the operation's id is of their choice.
    account_id text NOT NULL REFERENCES accounts,
    operation text NOT NULL,
    -- What the caller asked for, to tell a repeated request from another one under the same id.
    asked text NOT NULL,
    requested_by text NOT NULL,
    cell text NOT NULL,
    failover_version integer NOT NULL UNIQUE,
    network cidr NOT NULL,
    blueprint json NOT NULL,
    withdrawn boolean NOT NULL DEFAULT false,
    EXCLUDE USING gist (network inet_ops WITH &&)
);
CREATE UNIQUE INDEX cell_blueprints_by_operation ON cell_blueprints (account_id, operation)
    WHERE NOT withdrawn;
CREATE UNIQUE INDEX cell_blueprints_by_cell ON cell_blueprints (cell) WHERE NOT withdrawn;

-- Those that are gone stay: a name is never used again.
CREATE TABLE cell_lives (
    cell text PRIMARY KEY,
    revision bigint NOT NULL,
    is_over boolean NOT NULL,
    view jsonb NOT NULL
);
