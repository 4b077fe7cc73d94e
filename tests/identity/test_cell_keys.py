"""Keys brought to a real cell: its database, its gatekeeper, and the ingress before it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from cells.ingress.enforcement import Gatekeepers
from cells.ingress.keys import KeyRow
from cells.ingress.records import AdmissionRules
from cells.types import CellAddresses
from controlplane.identity.cell_keys import GatekeeperKeys
from controlplane.identity.distribution import KeyDistribution
from controlplane.identity.keys import ApiKeys, IssuedKey
from controlplane.identity.outbox import Outbox
from controlplane.identity.signing_keys import retire_signing_key, rotate_signing_key
from controlplane.local.ports import LOOPBACK, free_port
from controlplane.secrets.memory import MemorySecretStore
from controlplane.secrets.port import cell_database
from controlplane.store.projections import Projections
from provisioning.connections import CellConnections
from tests.cells.ingress.small_cell import (
    CELL,
    SmallCell,
    Tenant,
    new_tenant,
    prepared_cell,
    small_cell,
)
from tests.cells.ingress.wire import HEALTH, keyed_channel
from tests.eventually import eventually
from tests.identity.cells import running
from tests.identity.people import Owner
from tests.postgres import RunningPostgres
from tests.provisioning.cell_databases import Directory
from tests.store.views import REGION, cell_view

ADMITTED = grpc.StatusCode.UNAVAILABLE
"""Of a request that gets through the ingress of a cell whose Temporal service is not there."""
REFUSED = grpc.StatusCode.UNAUTHENTICATED


@dataclass(frozen=True)
class World:
    cell: SmallCell
    distribution: KeyDistribution
    owner: Owner
    tenant: Tenant
    secrets: MemorySecretStore

    async def answer_to(self, token: str) -> grpc.StatusCode:
        async with keyed_channel(self.cell, self.tenant, token) as channel:
            return (await channel.call(HEALTH, b"")).code

    async def is_answered(self, key: IssuedKey, code: grpc.StatusCode) -> bool:
        return await self.answer_to(key.token) is code


def addresses(cell: SmallCell) -> CellAddresses:
    return CellAddresses(
        frontend=cell.ingress.frontend,
        ingress=cell.ingress.listen,
        ingress_admin=cell.ingress.admin,
        gatekeeper=cell.gatekeeper.health_listen,
        database=cell.database.url,
    )


@pytest.fixture
async def world(
    postgres: RunningPostgres,
    tmp_path: Path,
    keys: ApiKeys,
    owner: Owner,
    signing_secrets: MemorySecretStore,
) -> AsyncIterator[World]:
    """A cell with one namespace that takes API keys, of an account that has none yet."""
    await Projections(keys.pool).publish_cell(cell_view(CELL))
    async with small_cell(postgres, tmp_path, f"{LOOPBACK}:{free_port()}") as cell:
        directory, secrets = Directory({CELL: addresses(cell)}), MemorySecretStore()
        await secrets.put(cell_database(CELL), cell.database.password.encode())
        connections = CellConnections(directory, secrets)
        gatekeepers = Gatekeepers(within=60)
        cells = GatekeeperKeys(directory, connections, gatekeepers)
        conninfo = keys.pool.conninfo
        assert isinstance(conninfo, str)
        outbox = Outbox(keys.pool, [REGION])
        distribution = KeyDistribution(keys.pool, keys.signer, cells, outbox, conninfo)
        tenant = new_tenant(f"orders.{owner.account}")
        await cell.enforce(cell.record(tenant, rules=AdmissionRules(api_keys=True)))
        async with running(distribution):
            yield World(cell, distribution, owner, tenant, signing_secrets)
        await gatekeepers.close()
        await connections.close()


async def test_an_api_key_opens_its_namespaces_endpoint_until_it_is_revoked(world: World) -> None:
    key = await world.owner.key()
    assert await world.answer_to(key.token) is REFUSED

    await world.distribution.ensure(CELL, world.owner.account)
    assert await world.answer_to(key.token) is ADMITTED

    await world.owner.keys.revoke(world.owner.account, key.id)
    await eventually(lambda: world.is_answered(key, REFUSED))


async def test_a_rotation_of_the_signing_key_cuts_nobody_off_until_the_old_one_is_retired(
    world: World,
) -> None:
    conninfo, signer = world.distribution.conninfo, world.owner.keys.signer
    old, before = await world.owner.key(), signer.key_id
    await world.distribution.ensure(CELL, world.owner.account)

    await rotate_signing_key(conninfo, world.secrets)
    async with world.owner.keys.pool.connection() as connection:
        await signer.refresh(connection)
    new = await world.owner.key()
    await world.distribution.ensure(CELL, world.owner.account)

    assert signer.key_id != before
    assert await world.answer_to(old.token) is ADMITTED
    assert await world.answer_to(new.token) is ADMITTED
    await retire_signing_key(conninfo, world.secrets, before)
    await eventually(lambda: world.is_answered(old, REFUSED))
    assert await world.answer_to(new.token) is ADMITTED


async def test_a_gatekeeper_that_is_away_is_named(
    postgres: RunningPostgres, tmp_path: Path, owner: Owner
) -> None:
    async with prepared_cell(postgres, tmp_path, f"{LOOPBACK}:{free_port()}") as cell:
        directory, secrets = Directory({CELL: addresses(cell)}), MemorySecretStore()
        await secrets.put(cell_database(CELL), cell.database.password.encode())
        connections = CellConnections(directory, secrets)
        gatekeepers = Gatekeepers(within=0.3)
        cells = GatekeeperKeys(directory, connections, gatekeepers)
        key = KeyRow("k1", (await owner.key()).expires_at, True)

        with pytest.raises(TimeoutError) as late:
            await cells.write(CELL, owner.account, 7, [key])

        assert str(late.value) == (
            f"the gatekeeper of cell {CELL} at {cell.gatekeeper.health_listen} does not enforce "
            f"api_keys/{owner.account}@7 after 0.3 s"
        )
        await gatekeepers.close()
        await connections.close()
