"""The databases of the fleet: the control plane's and one per cell, each with its own owner."""

import asyncio
from importlib.resources import files

from psycopg import AsyncConnection, sql
from psycopg.conninfo import make_conninfo

from controlplane.local.cells import CELLS, LocalCell
from controlplane.local.fleet_secrets import gatekeeper_database, read_text
from controlplane.local.home import FleetRecord
from controlplane.local.postgres import ensure_database, ensure_role
from controlplane.secrets.port import CONTROLPLANE_DATABASE, SecretStore, cell_database

CONTROLPLANE = "controlplane"


async def prepare_databases(
    record: FleetRecord, superuser: AsyncConnection, secrets: SecretStore
) -> None:
    """Create every role and database that is missing, with the schemas of the cells."""
    for maintenance in ("postgres", "template1"):
        # PostgreSQL lets everybody in there, tenants' roles too.
        await superuser.execute(
            sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(maintenance))
        )
    await ensure_role(superuser, CONTROLPLANE, await read_text(secrets, CONTROLPLANE_DATABASE))
    await ensure_database(superuser, CONTROLPLANE, CONTROLPLANE)
    for cell in CELLS:
        await ensure_role(
            superuser, cell.database, await read_text(secrets, cell_database(cell.id)), "CREATEROLE"
        )
        # Row-level security is for tenants; the gatekeeper judges all of them.
        await ensure_role(
            superuser,
            cell.gatekeeper_role,
            await read_text(secrets, gatekeeper_database(cell.id)),
            "BYPASSRLS",
        )
        await ensure_database(superuser, cell.database, cell.database)
    await asyncio.gather(*(_apply_schema(record, cell, secrets) for cell in CELLS))


async def controlplane_conninfo(record: FleetRecord, secrets: SecretStore) -> str:
    """Return the conninfo of the control plane's database, password included."""
    password = await read_text(secrets, CONTROLPLANE_DATABASE)
    return make_conninfo(record.database_url(CONTROLPLANE, CONTROLPLANE), password=password)


async def _apply_schema(record: FleetRecord, cell: LocalCell, secrets: SecretStore) -> None:
    schema = (files("cells.ingress") / "schema.sql").read_bytes()
    async with await AsyncConnection.connect(
        record.database_url(cell.database, cell.database),
        password=await read_text(secrets, cell_database(cell.id)),
    ) as owner:
        await owner.execute(schema)
        gatekeeper = sql.Identifier(cell.gatekeeper_role)
        await owner.execute(
            sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
                sql.Identifier(cell.database), gatekeeper
            )
        )
        await owner.execute(
            sql.SQL(
                "GRANT SELECT ON namespaces, peers, signing_keys, api_keys, api_key_revisions TO {}"
            ).format(gatekeeper)
        )
        # They may answer at other ports than when they were last up.
        for peer in CELLS:
            ingress = record.address(f"{peer.id}.ingress")
            await owner.execute(
                "UPDATE peers SET ingress = %s WHERE cell = %s AND ingress <> %s",
                (ingress, peer.id, ingress),
            )
