-- What an account may have beyond, or short of, the documented defaults: a row is an exception.
CREATE TABLE account_limits (
    account_id text NOT NULL REFERENCES accounts,
    name text NOT NULL,
    value bigint NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, name)
);

-- A creation that was given a place among its account's namespaces, before there is a row of the
-- namespace that says so.
ALTER TABLE operations ADD COLUMN placed boolean NOT NULL DEFAULT false;
CREATE INDEX operations_open ON operations (account_id)
    WHERE state IS NULL OR state IN ('PENDING', 'IN_PROGRESS');

-- The entry is canonical JSON and holds everything, the hash of the entry before it included; the
-- hash is the SHA-256 of that text. The other columns repeat what is searched by.
CREATE TABLE audit_log (
    account_id text NOT NULL,
    sequence bigint NOT NULL,
    emitted_at timestamptz NOT NULL,
    source text NOT NULL,
    number bigint NOT NULL,
    entry text NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (account_id, sequence),
    UNIQUE (account_id, source, number)
);
CREATE INDEX audit_log_by_time ON audit_log (account_id, emitted_at);

CREATE FUNCTION refuse_to_change_the_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only: % is refused', TG_OP;
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_the_audit_log();
