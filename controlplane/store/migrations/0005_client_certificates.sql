-- The client certificates that namespaces' managed CAs issued: public, and kept so that they can be
-- read again and revoked by serial. The operation that asked for one has one and no other.

CREATE TABLE client_certificates (
    number bigint GENERATED ALWAYS AS IDENTITY,
    namespace text NOT NULL,
    uid text NOT NULL,
    operation text NOT NULL,
    serial text NOT NULL,
    issued jsonb NOT NULL,
    PRIMARY KEY (namespace, uid, operation),
    UNIQUE (namespace, uid, number),
    UNIQUE (namespace, uid, serial)
);
