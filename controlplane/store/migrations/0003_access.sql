-- What callers may do, and how far the cells have heard of it. Whatever changes access locks the
-- account's row first; deletions and creations of namespaces change it by the triggers below, in
-- the transaction that makes them readable.

ALTER TABLE users ADD version bigint NOT NULL DEFAULT 1, ADD modified_at timestamptz;

CREATE TABLE service_accounts (
    id text PRIMARY KEY,
    account_id text NOT NULL REFERENCES accounts,
    name text NOT NULL,
    description text NOT NULL,
    role text NOT NULL,
    -- The only namespace that it is for, if it is for one.
    scope text,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    modified_at timestamptz,
    UNIQUE (account_id, name)
);
CREATE INDEX service_accounts_by_scope ON service_accounts (scope) WHERE scope IS NOT NULL;

-- What is allowed in single namespaces: to a user or a service account.
CREATE TABLE namespace_permissions (
    owner_id text NOT NULL,
    namespace text NOT NULL,
    account_id text NOT NULL REFERENCES accounts,
    permission text NOT NULL CHECK (permission IN ('admin', 'write', 'read')),
    PRIMARY KEY (owner_id, namespace)
);
CREATE INDEX namespace_permissions_by_namespace ON namespace_permissions (namespace);

-- Keys belong to users or to service accounts from here on.
ALTER TABLE api_keys DROP CONSTRAINT api_keys_owner_id_fkey;
ALTER TABLE api_keys
    ADD owner_type text NOT NULL DEFAULT 'user' CHECK (owner_type IN ('user', 'service-account')),
    ADD description text NOT NULL DEFAULT '',
    ADD version bigint NOT NULL DEFAULT 1,
    ADD modified_at timestamptz;
CREATE INDEX api_keys_by_account ON api_keys (account_id, id) WHERE revoked_at IS NULL;
CREATE INDEX api_keys_by_owner ON api_keys (owner_id) WHERE revoked_at IS NULL;

CREATE VIEW principals AS
    SELECT id, account_id, 'user' AS owner_type, role, NULL AS scope FROM users
    UNION ALL
    SELECT id, account_id, 'service-account', role, scope FROM service_accounts;

-- An operation that changes access has no namespace. `resource` is what it is about; with an
-- `access_revision` it is done once every cell enforces that revision of its account.
ALTER TABLE operations ALTER namespace DROP NOT NULL;
ALTER TABLE operations ADD resource text, ADD actor text, ADD access_revision bigint;
CREATE INDEX operations_not_everywhere ON operations (account_id, access_revision)
    WHERE state = 'IN_PROGRESS' AND access_revision IS NOT NULL;

-- access_revision rises with every change that a cell has to hear of.
ALTER TABLE accounts
    ADD access_revision bigint NOT NULL DEFAULT 1,
    ADD distributed_revision bigint NOT NULL DEFAULT 0;

-- The cells that hold keys of an account, and the revision that each is known to enforce.
CREATE TABLE account_cells (
    account_id text NOT NULL REFERENCES accounts,
    cell text NOT NULL,
    revision bigint NOT NULL DEFAULT 0,
    -- When somebody last needed the keys to be there, and when they were last written.
    needed_at timestamptz NOT NULL DEFAULT now(),
    written_at timestamptz NOT NULL DEFAULT '-infinity',
    -- Nobody takes it on before that.
    due_at timestamptz NOT NULL DEFAULT now(),
    failures integer NOT NULL DEFAULT 0,
    failure text NOT NULL DEFAULT '',
    PRIMARY KEY (account_id, cell)
);
CREATE INDEX accounts_not_everywhere ON accounts (id)
    WHERE distributed_revision < access_revision;

-- Signing keys are in the secret store; this number rises when they change there.
CREATE TABLE signing_key_revision (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    revision bigint NOT NULL
);
INSERT INTO signing_key_revision (revision) VALUES (1);

-- The public keys that each cell is known to have, and when they were last written.
CREATE TABLE cell_signing_keys (
    cell text PRIMARY KEY,
    fingerprint text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT '-infinity',
    due_at timestamptz NOT NULL DEFAULT now(),
    failures integer NOT NULL DEFAULT 0,
    failure text NOT NULL DEFAULT ''
);

CREATE FUNCTION touch_access(account text) RETURNS bigint LANGUAGE sql AS $$
    UPDATE accounts SET access_revision = access_revision + 1 WHERE id = account
    RETURNING access_revision
$$;

CREATE FUNCTION announce_access() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('access', '');
    RETURN NULL;
END $$;
CREATE TRIGGER announce_access AFTER UPDATE OF access_revision ON accounts
    FOR EACH ROW EXECUTE FUNCTION announce_access();
CREATE TRIGGER announce_signing_keys AFTER UPDATE ON signing_key_revision
    FOR EACH ROW EXECUTE FUNCTION announce_access();

-- Nothing that was allowed in a namespace outlives it: its name may be somebody else's tomorrow.
CREATE FUNCTION forget_namespace() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM touch_access(OLD.account_id);
    UPDATE api_keys SET revoked_at = now() FROM service_accounts s
    WHERE s.scope = OLD.id AND s.account_id = OLD.account_id AND api_keys.owner_id = s.id
      AND api_keys.revoked_at IS NULL;
    DELETE FROM service_accounts WHERE scope = OLD.id AND account_id = OLD.account_id;
    DELETE FROM namespace_permissions WHERE namespace = OLD.id AND account_id = OLD.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER forget_namespace AFTER UPDATE ON namespaces FOR EACH ROW
    WHEN (OLD.life <> 'DELETED' AND (NEW.life = 'DELETED' OR NEW.uid <> OLD.uid))
    EXECUTE FUNCTION forget_namespace();

-- Whoever asked for a namespace is its admin from the moment an entity has taken the request up:
-- earlier, the name might turn out to be another's; later, a crash might come in between.
CREATE FUNCTION grant_creator() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM accounts WHERE id = NEW.account_id FOR NO KEY UPDATE;
    INSERT INTO namespace_permissions (owner_id, namespace, account_id, permission)
    SELECT p.id, NEW.namespace, NEW.account_id, 'admin' FROM principals p
    WHERE p.id = NEW.actor AND p.account_id = NEW.account_id
      AND p.scope IS NULL AND p.role NOT IN ('owner', 'admin')
    ON CONFLICT (owner_id, namespace) DO UPDATE SET permission = 'admin';
    IF FOUND THEN
        PERFORM touch_access(NEW.account_id);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER grant_creator AFTER UPDATE ON operations FOR EACH ROW
    WHEN (NEW.kind = 'CreateNamespace' AND NEW.actor IS NOT NULL
          AND OLD.view IS NULL AND NEW.view IS NOT NULL)
    EXECUTE FUNCTION grant_creator();
