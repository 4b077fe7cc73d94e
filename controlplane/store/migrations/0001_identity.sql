-- Who may call. PostgreSQL is the truth here: there are no entities behind these tables.

CREATE TABLE accounts (
    id text PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users (
    id text PRIMARY KEY,
    account_id text NOT NULL REFERENCES accounts,
    email text NOT NULL,
    role text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account_id, email)
);

-- The token itself is nowhere: it is signed, and its row says whether it still counts.
CREATE TABLE api_keys (
    id text PRIMARY KEY,
    account_id text NOT NULL REFERENCES accounts,
    owner_id text NOT NULL REFERENCES users,
    display_name text NOT NULL,
    expires_at timestamptz NOT NULL,
    disabled boolean NOT NULL DEFAULT false,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
