"""Everything that changes access, at the same time: nothing blocks, nothing is left behind."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from controlplane.identity.keys import ApiKeys
from controlplane.identity.limits import AccountLimitsReader
from controlplane.identity.managed_keys import ApiKeySpec, ManagedKeys
from controlplane.identity.memory import MemoryCellKeys
from controlplane.identity.permissions import KeysInSight
from controlplane.identity.service_accounts import ServiceAccounts, ServiceAccountSpec
from controlplane.identity.types import Access, OwnerType, Permission, Role
from controlplane.store.operations import AccessChange, Claim, Claims
from controlplane.store.projections import Projections
from provisioning.types import NamespaceLife, OperationState
from tests.eventually import eventually
from tests.identity.cells import distribution_to, running
from tests.identity.people import Owner
from tests.store.views import CELL, cell_view, namespace_view, operation

NAMESPACES = 6
CELLS = (CELL, "aws-us-east-1-c2")


async def test_cells_end_up_with_what_is_true(keys: ApiKeys, owner: Owner) -> None:
    pool, account = keys.pool, owner.account
    limits, projections = AccountLimitsReader(pool), Projections(pool)
    machines, managed = ServiceAccounts(pool, limits), ManagedKeys(pool, keys.signer, limits)
    for cell in CELLS:
        await projections.publish_cell(cell_view(cell))
    names = [f"orders-{i}.{account}" for i in range(NAMESPACES)]

    def claim(kind: AccessChange) -> Claim:
        return Claim(account, str(uuid4()), kind.value, "", b"request", owner.user)

    developer = ServiceAccountSpec("dev", "", Access(Role.DEVELOPER), None)
    _, creator = await machines.create(claim(AccessChange.CREATE_SERVICE_ACCOUNT), developer)

    async def live(namespace: str) -> None:
        """Create the namespace as the developer, put a machine and keys on it, and delete it."""
        asked = operation(str(uuid4()))
        view = namespace_view(namespace, operations=(asked,))
        await Claims(pool).claim(
            Claim(account, asked.id, asked.kind.value, namespace, b"request", creator)
        )
        await projections.publish_namespace(view)
        await asyncio.gather(use(namespace), use(namespace), use(namespace))
        if namespace in names[::2]:
            gone = replace(view, revision=2, life=NamespaceLife.DELETED)
            await asyncio.gather(projections.publish_namespace(gone), use(namespace, fails=True))

    async def use(namespace: str, *, fails: bool = False) -> None:
        try:
            spec = ServiceAccountSpec(
                str(uuid4()),
                "",
                Access(Role.NONE, {namespace: Permission.WRITE}),
                namespace,
            )
            _, machine = await machines.create(claim(AccessChange.CREATE_SERVICE_ACCOUNT), spec)
            made = await managed.create(claim(AccessChange.CREATE_API_KEY), key_of(machine))
            await managed.create(claim(AccessChange.CREATE_API_KEY), key_of(machine))
            sight = KeysInSight(everybodys=True)
            await managed.delete(claim(AccessChange.DELETE_API_KEY), sight, made.id, "")
        except Exception as error:
            if not fails or "not found" not in str(error):
                raise

    cells = MemoryCellKeys()
    workers = [distribution_to(cells, pool, keys.signer) for _ in range(2)]
    async with running(workers[0]), running(workers[1]):
        await asyncio.gather(
            *map(live, names), *(workers[i].ensure(cell, account) for i, cell in enumerate(CELLS))
        )
        await eventually(lambda: everything_is_fulfilled(owner), within=30)

    revision, rows = await workers[0].outbox.snapshot(account)
    for cell in CELLS:
        copy = cells.copies[cell, account]
        assert copy.revision == revision
        assert copy.keys == {row.key_id: row for row in rows}
    left = {namespace for row in rows for namespace in row.namespaces}
    assert left == set(names[1::2])
    developer_now = await machines.get(account, creator)
    assert developer_now is not None
    assert set(developer_now.access.namespaces) == set(names[1::2])


def key_of(owner: str) -> ApiKeySpec:
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    return ApiKeySpec(owner, OwnerType.SERVICE_ACCOUNT, "ci", "", expires_at, disabled=False)


async def everything_is_fulfilled(owner: Owner) -> bool:
    async with owner.keys.pool.connection() as connection:
        rows = await connection.execute(
            "SELECT count(*) FROM operations WHERE state = %s AND access_revision IS NOT NULL",
            (OperationState.IN_PROGRESS.value,),
        )
        row = await rows.fetchone()
    assert row is not None
    return bool(row[0] == 0)
