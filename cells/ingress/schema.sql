-- The database of one cell. Its owner role belongs to the control plane and may create roles; the
-- gatekeeper reads `namespaces`; each namespace has roles of its own that see its own rows only.
-- Applied by the owner, as often as one likes.

CREATE TABLE IF NOT EXISTS namespaces (
    namespace text PRIMARY KEY,
    uid text NOT NULL,
    -- The namespace's role, and which of its login roles (the same with ":a" or ":b" appended) has
    -- the current credential, made at rotated_at.
    role text NOT NULL UNIQUE,
    login text NOT NULL,
    rotated_at timestamptz NOT NULL DEFAULT now(),
    server_name text NOT NULL UNIQUE,
    admitted boolean NOT NULL DEFAULT false,
    client_ca text NOT NULL DEFAULT '',
    certificate_filters jsonb NOT NULL DEFAULT '[]',
    certificate_chain text NOT NULL DEFAULT '',
    sealed_key bytea NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE namespaces ADD COLUMN IF NOT EXISTS api_keys boolean NOT NULL DEFAULT false;
ALTER TABLE namespaces ADD COLUMN IF NOT EXISTS revoked_serials jsonb NOT NULL DEFAULT '[]';
ALTER TABLE namespaces ADD COLUMN IF NOT EXISTS requests_per_second integer NOT NULL DEFAULT 0;
-- The cell that requests are passed on to; empty where they are answered here.
ALTER TABLE namespaces ADD COLUMN IF NOT EXISTS active_cell text NOT NULL DEFAULT '';
ALTER TABLE namespaces ADD COLUMN IF NOT EXISTS forward_polls boolean NOT NULL DEFAULT true;

-- Where the ingresses of those cells answer, host:port. Tenants see none of it.
CREATE TABLE IF NOT EXISTS peers (
    cell text PRIMARY KEY,
    ingress text NOT NULL
);

-- Who may use API keys, as far as this cell is concerned: the public keys that sign them, and the
-- keys that are live, by account. Tenants see none of it.
CREATE TABLE IF NOT EXISTS signing_keys (
    kid text PRIMARY KEY,
    jwk jsonb NOT NULL
);

CREATE TABLE IF NOT EXISTS api_keys (
    key_id text PRIMARY KEY,
    account_id text NOT NULL,
    expires_at timestamptz NOT NULL,
    -- Whether it may use every namespace of the account.
    everywhere boolean NOT NULL,
    -- Otherwise its permission by namespace: {"orders.acme1": "admin" | "write" | "read"}.
    namespaces jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS api_keys_account ON api_keys (account_id);

CREATE TABLE IF NOT EXISTS api_key_revisions (
    account_id text PRIMARY KEY,
    revision bigint NOT NULL
);

CREATE TABLE IF NOT EXISTS usage (
    namespace text NOT NULL REFERENCES namespaces ON DELETE CASCADE,
    hour timestamptz NOT NULL,
    actions bigint NOT NULL,
    PRIMARY KEY (namespace, hour)
);

-- Which incarnations of namespaces were removed here in the last day: a call for one of them that
-- comes late must not bring it back.
CREATE TABLE IF NOT EXISTS removed (
    uid text PRIMARY KEY,
    removed_at timestamptz NOT NULL DEFAULT now()
);

-- Tenants have one group per database, so that a namespace more is a membership more and not an
-- entry more in the access list of every table.
DO $$
DECLARE
    tenants text := 'tenants:' || current_database();
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = tenants) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', tenants);
    END IF;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), tenants);
    EXECUTE format('GRANT SELECT ON usage TO %I', tenants);
    -- All but sealed_key.
    EXECUTE format(
        'GRANT SELECT (namespace, uid, role, login, rotated_at, server_name, admitted, client_ca,
                       certificate_filters, api_keys, revoked_serials, requests_per_second,
                       active_cell, forward_polls, certificate_chain, created_at, updated_at)
         ON namespaces TO %I', tenants);
END $$;

-- By name and not by membership: a constant to look up in the index, however many rows there are,
-- and no look at a role that another session is dropping just now.
ALTER TABLE namespaces ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_record ON namespaces;
CREATE POLICY own_record ON namespaces FOR SELECT
    USING (role = regexp_replace(current_user, ':[ab]$', '') COLLATE "default");
DROP POLICY IF EXISTS own_usage ON usage;
CREATE POLICY own_usage ON usage FOR SELECT
    USING (namespace = (SELECT n.namespace FROM namespaces n));

CREATE OR REPLACE FUNCTION announce_namespace() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('namespaces', coalesce(NEW.namespace, OLD.namespace));
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER announce_namespace AFTER INSERT OR UPDATE OR DELETE ON namespaces
    FOR EACH ROW EXECUTE FUNCTION announce_namespace();

CREATE OR REPLACE FUNCTION announce_peers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('peers', '');
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER announce_peers AFTER INSERT OR UPDATE OR DELETE ON peers
    FOR EACH STATEMENT EXECUTE FUNCTION announce_peers();

CREATE OR REPLACE FUNCTION announce_api_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('api_keys', coalesce(NEW.account_id, OLD.account_id));
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER announce_api_keys AFTER INSERT OR UPDATE OR DELETE ON api_keys
    FOR EACH ROW EXECUTE FUNCTION announce_api_keys();
CREATE OR REPLACE TRIGGER announce_api_keys AFTER INSERT OR UPDATE OR DELETE ON api_key_revisions
    FOR EACH ROW EXECUTE FUNCTION announce_api_keys();

CREATE OR REPLACE FUNCTION announce_signing_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('api_keys', '*');
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER announce_signing_keys AFTER INSERT OR UPDATE OR DELETE ON signing_keys
    FOR EACH STATEMENT EXECUTE FUNCTION announce_signing_keys();
