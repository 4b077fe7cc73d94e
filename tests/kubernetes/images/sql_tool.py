"""`temporal-sql-tool` as the image `temporalio/admin-tools` has it, without the schemas.

It connects to the real PostgreSQL, and keeps there the tables of versions that the real one keeps,
`schema_version` and `schema_update_history`. It makes no others.
"""

import argparse
import os
import sys

import psycopg
from psycopg.conninfo import make_conninfo

_LATEST = {
    (1, 30): {"temporal": "1.18", "visibility": "1.13"},
    (1, 31): {"temporal": "1.19", "visibility": "1.14"},
    (1, 32): {"temporal": "1.19", "visibility": "1.14"},
}
"""By the server's minor version: the schema versions that its tools bring, as do later ones."""
_SCHEMAS = {f"postgresql/v12/{name}": name for name in ("temporal", "visibility")}

_TABLES = """
CREATE TABLE IF NOT EXISTS schema_version (
  version_partition int NOT NULL,
  db_name varchar(255) NOT NULL,
  creation_time timestamp,
  curr_version varchar(64),
  min_compatible_version varchar(64),
  PRIMARY KEY (version_partition, db_name)
);
CREATE TABLE IF NOT EXISTS schema_update_history (
  version_partition int NOT NULL,
  year int NOT NULL,
  month int NOT NULL,
  update_time timestamp NOT NULL,
  description varchar(255),
  manifest_md5 varchar(64),
  new_version varchar(64),
  old_version varchar(64),
  PRIMARY KEY (version_partition, year, month, update_time)
);
"""


class Refused(Exception):
    """What the tool was asked cannot be done."""


def main() -> None:
    arguments = _arguments()
    try:
        with psycopg.connect(_conninfo(arguments), connect_timeout=10) as connection:
            if arguments.command == "setup-schema":
                _set_up(connection, arguments.version)
            else:
                _update(connection, _SCHEMAS[arguments.schema_name], arguments.version)
    except (psycopg.Error, Refused) as error:
        sys.exit(f"error: {error}".strip())


def _arguments() -> argparse.Namespace:
    env = os.environ
    parser = argparse.ArgumentParser("temporal-sql-tool", allow_abbrev=False)
    parser.add_argument("--endpoint", "--ep", default=env.get("SQL_HOST", "127.0.0.1"))
    parser.add_argument("--port", "-p", default=env.get("SQL_PORT", "5432"))
    parser.add_argument("--user", "-u", default=env.get("SQL_USER"))
    parser.add_argument("--password", "--pw", default=env.get("SQL_PASSWORD"))
    parser.add_argument("--database", "--db", default=env.get("SQL_DATABASE"))
    parser.add_argument("--plugin", "--pl", default=env.get("SQL_PLUGIN"))
    parser.add_argument("--tls", action="store_true", default=env.get("SQL_TLS") == "true")
    parser.add_argument("--tls-ca-file", default=env.get("SQL_TLS_CA_FILE"))
    parser.add_argument("--tls-server-name", default=env.get("SQL_TLS_SERVER_NAME"))
    commands = parser.add_subparsers(dest="command", required=True)
    set_up = commands.add_parser("setup-schema", allow_abbrev=False)
    set_up.add_argument("--version", "-v", required=True)
    update = commands.add_parser("update-schema", allow_abbrev=False)
    update.add_argument("--schema-name", "-s", choices=_SCHEMAS, required=True)
    update.add_argument("--version", "-v", default="")
    arguments = parser.parse_args()
    if arguments.plugin not in {"postgres12", "postgres12_pgx"}:
        parser.error(f"unknown plugin {arguments.plugin!r}")
    return arguments


def _conninfo(arguments: argparse.Namespace) -> str:
    tls = {"sslmode": "verify-full", "sslrootcert": arguments.tls_ca_file or "system"}
    return make_conninfo(
        host=arguments.endpoint,
        port=arguments.port,
        user=arguments.user,
        password=arguments.password,
        dbname=arguments.database,
        **(tls if arguments.tls else {"sslmode": "disable"}),
    )


def _set_up(connection: psycopg.Connection, version: str) -> None:
    """Make the tables of versions; a store with a later version is left alone."""
    connection.execute(_TABLES)
    connection.execute(
        "INSERT INTO schema_version VALUES (0, current_database(), now(), %s, %s)"
        " ON CONFLICT DO NOTHING",
        [version, version],
    )


def _update(connection: psycopg.Connection, schema: str, version: str) -> None:
    server = _order(os.environ["NODE_VERSION"])
    latest = _LATEST[max(known for known in _LATEST if known <= server)][schema]
    wanted = version or latest
    row = connection.execute(
        "SELECT curr_version FROM schema_version WHERE version_partition = 0 FOR UPDATE"
    ).fetchone()
    if row is None:
        raise Refused("the store has no schema version: run setup-schema")
    if _order(wanted) > _order(latest):
        raise Refused(f"version dir not found in target dir: v{wanted}; the latest is v{latest}")
    if _order(wanted) <= _order(row[0]):
        print(f"found zero updates from current version {row[0]}")
        return
    connection.execute(
        "UPDATE schema_version SET curr_version = %s, min_compatible_version = %s,"
        " creation_time = now()",
        [wanted, wanted],
    )
    connection.execute(
        "INSERT INTO schema_update_history VALUES (0, extract(year from now())::int,"
        " extract(month from now())::int, now(), 'no statements', '', %s, %s)",
        [wanted, row[0]],
    )


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.removeprefix("v").split("."))


if __name__ == "__main__":
    main()
