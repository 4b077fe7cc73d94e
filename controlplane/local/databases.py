"""The databases of the fleet: the control plane's and one per cell, each with its own owner."""

import asyncio

from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from cells.stores.ingress import apply_ingress_schema, prepare_ingress_database
from cells.stores.roles import ensure_database, ensure_role, keep_everybody_out
from controlplane.local.cells import CELLS, LocalCell
from controlplane.local.fleet_secrets import read_text
from controlplane.local.home import FleetRecord
from controlplane.secrets.port import CONTROLPLANE_DATABASE, SecretStore, cell_database

CONTROLPLANE = "controlplane"


async def prepare_databases(
    record: FleetRecord, superuser: AsyncConnection, secrets: SecretStore
) -> None:
    """Create every role and database that is missing, with the schemas of the cells."""
    await keep_everybody_out(superuser)
    await ensure_role(superuser, CONTROLPLANE, await read_text(secrets, CONTROLPLANE_DATABASE))
    await ensure_database(superuser, CONTROLPLANE, CONTROLPLANE)
    for cell in CELLS:
        await prepare_ingress_database(superuser, cell.id, secrets)
    await asyncio.gather(*(_apply_schema(record, cell, secrets) for cell in CELLS))


async def controlplane_conninfo(record: FleetRecord, secrets: SecretStore) -> str:
    """Return the conninfo of the control plane's database, password included."""
    password = await read_text(secrets, CONTROLPLANE_DATABASE)
    return make_conninfo(record.database_url(CONTROLPLANE, CONTROLPLANE), password=password)


async def _apply_schema(record: FleetRecord, cell: LocalCell, secrets: SecretStore) -> None:
    async with await AsyncConnection.connect(
        record.database_url(cell.database, cell.database),
        password=await read_text(secrets, cell_database(cell.id)),
    ) as owner:
        await apply_ingress_schema(owner, cell.id)
        # They may answer at other ports than when they were last up.
        for peer in CELLS:
            ingress = record.address(f"{peer.id}.ingress")
            await owner.execute(
                "UPDATE peers SET ingress = %s WHERE cell = %s AND ingress <> %s",
                (ingress, peer.id, ingress),
            )
