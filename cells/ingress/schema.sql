-- The database of one cell. Its owner role belongs to the control plane; the gatekeeper reads
-- `namespaces`; each namespace has a role of its own that sees its own rows only.

CREATE TABLE IF NOT EXISTS namespaces (
    namespace text PRIMARY KEY,
    uid text NOT NULL,
    role text NOT NULL,
    server_name text NOT NULL UNIQUE,
    admitted boolean NOT NULL DEFAULT false,
    client_ca text NOT NULL DEFAULT '',
    certificate_filters jsonb NOT NULL DEFAULT '[]',
    certificate_chain text NOT NULL DEFAULT '',
    sealed_key bytea NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS usage (
    namespace text NOT NULL REFERENCES namespaces ON DELETE CASCADE,
    hour timestamptz NOT NULL,
    actions bigint NOT NULL,
    PRIMARY KEY (namespace, hour)
);

-- A namespace's login roles are members of the role its record names.
ALTER TABLE namespaces ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_record ON namespaces;
CREATE POLICY own_record ON namespaces FOR SELECT
    USING (pg_has_role(current_user, role::name, 'MEMBER'));
DROP POLICY IF EXISTS own_usage ON usage;
CREATE POLICY own_usage ON usage FOR SELECT
    USING (EXISTS (SELECT 1 FROM namespaces n
                   WHERE n.namespace = usage.namespace
                     AND pg_has_role(current_user, n.role::name, 'MEMBER')));

CREATE OR REPLACE FUNCTION announce_namespace() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('namespaces', coalesce(NEW.namespace, OLD.namespace));
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER announce_namespace AFTER INSERT OR UPDATE OR DELETE ON namespaces
    FOR EACH ROW EXECUTE FUNCTION announce_namespace();
