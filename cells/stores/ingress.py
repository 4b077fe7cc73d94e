"""The database that a cell's ingress reads: its roles, its schema, and who may read what."""

from importlib.resources import files

from psycopg import AsyncConnection, sql

from cells.stores.names import gatekeeper_role, ingress_database
from cells.stores.roles import ensure_database, ensure_role
from controlplane.errors import rejected
from controlplane.secrets.port import SecretStore, cell_database, cell_gatekeeper_database

_SEEN_BY_GATEKEEPERS = "namespaces, peers, signing_keys, api_keys, api_key_revisions"
_POLICY = "SELECT FROM pg_policies WHERE tablename = 'namespaces' AND policyname = 'gatekeeper'"


async def prepare_ingress_database(first: AsyncConnection, cell: str, secrets: SecretStore) -> None:
    """Make a cell's database and its roles, as the first role of the server."""
    owner = ingress_database(cell)
    await ensure_role(first, owner, await secret_text(secrets, cell_database(cell)), "CREATEROLE")
    password = await secret_text(secrets, cell_gatekeeper_database(cell))
    await ensure_role(first, gatekeeper_role(cell), password)
    await ensure_database(first, owner, owner)


async def apply_ingress_schema(owner: AsyncConnection, cell: str) -> None:
    """Bring a cell's database to its schema, as its owner, and let the gatekeeper read."""
    gatekeeper = sql.Identifier(gatekeeper_role(cell))
    async with owner.transaction():
        await owner.execute((files("cells.ingress") / "schema.sql").read_bytes())
        await owner.execute(
            sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
                sql.Identifier(ingress_database(cell)), gatekeeper
            )
        )
        await owner.execute(
            sql.SQL("GRANT SELECT ON {} TO {}").format(sql.SQL(_SEEN_BY_GATEKEEPERS), gatekeeper)
        )
        # Row-level security is for tenants; the gatekeeper judges all of them. No cloud gives away
        # the attribute BYPASSRLS.
        if await (await owner.execute(_POLICY)).fetchone() is None:
            await owner.execute(
                sql.SQL(
                    "CREATE POLICY gatekeeper ON namespaces FOR SELECT TO {} USING (true)"
                ).format(gatekeeper)
            )


async def secret_text(secrets: SecretStore, name: str) -> str:
    """Return a secret that must be there, as text."""
    value = await secrets.get(name)
    if value is None:
        raise rejected(f"the secret {name} is missing: it is made with the cell's stores")
    return value.decode()
