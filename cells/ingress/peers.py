"""Where the ingresses of other cells are, as a cell's database says it."""

from psycopg import AsyncConnection


async def write_peer(connection: AsyncConnection, cell: str, ingress: str) -> None:
    """Let the database say that the cell's ingress answers at `ingress`, `host:port`."""
    await connection.execute(
        "INSERT INTO peers AS known (cell, ingress) VALUES (%s, %s)"
        " ON CONFLICT (cell) DO UPDATE SET ingress = excluded.ingress"
        " WHERE known.ingress <> excluded.ingress",
        (cell, ingress),
    )


async def read_peer(connection: AsyncConnection, cell: str) -> str | None:
    """Return where the cell's ingress is said to answer."""
    rows = await connection.execute("SELECT ingress FROM peers WHERE cell = %s", (cell,))
    row = await rows.fetchone()
    return None if row is None else str(row[0])
