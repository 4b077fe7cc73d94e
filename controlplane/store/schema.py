"""The schema of the control plane's database, as numbered migrations."""

from importlib.resources import files
from importlib.resources.abc import Traversable

from psycopg import AsyncConnection

_LOCK = 0x636F6E74726F6C70  # Taken by whoever migrates: "controlp" in ASCII.


async def migrate(conninfo: str) -> None:
    """Bring the database to the schema of this version, all or nothing.

    Several processes may call this at once: one migrates, the others wait and find it done.
    """
    async with await AsyncConnection.connect(conninfo) as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations "
            "(name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        applied = await connection.execute("SELECT name FROM schema_migrations")
        names = {str(row[0]) for row in await applied.fetchall()}
        for migration in _migrations():
            if migration.name not in names:
                await connection.execute(migration.read_bytes())
                await connection.execute(
                    "INSERT INTO schema_migrations (name) VALUES (%s)", (migration.name,)
                )


def _migrations() -> list[Traversable]:
    folder = files("controlplane.store") / "migrations"
    found = [entry for entry in folder.iterdir() if entry.name.endswith(".sql")]
    return sorted(found, key=lambda entry: entry.name)
