import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from cells.placement import Placement
from controlplane.identity.distribution import KeyDistribution
from controlplane.identity.keys import ApiKeys
from controlplane.identity.memory import MemoryCellKeys
from controlplane.identity.signing_keys import rotate_signing_key
from controlplane.secrets.memory import MemorySecretStore
from controlplane.store.projections import Projections
from controlplane.store.queries import ReadModel
from provisioning.types import (
    NamespaceLife,
    PassiveReplica,
    ReplicaChange,
    ReplicaChangeKind,
)
from tests.eventually import eventually
from tests.identity.cells import distribution_to, running
from tests.identity.people import Owner
from tests.store.views import CELL, NOW, cell_view, namespace_view

OTHER_CELL = "aws-us-east-1-c2"


@pytest.fixture
async def cells(keys: ApiKeys) -> MemoryCellKeys:
    for cell in (CELL, OTHER_CELL):
        await Projections(keys.pool).publish_cell(cell_view(cell))
    return MemoryCellKeys()


@pytest.fixture
async def distribution(keys: ApiKeys, cells: MemoryCellKeys) -> AsyncIterator[KeyDistribution]:
    distribution = distribution_to(cells, keys.pool, keys.signer)
    async with running(distribution):
        yield distribution


def keys_in(cells: MemoryCellKeys, cell: str, account: str) -> set[str]:
    copy = cells.copies.get((cell, account))
    return set() if copy is None else set(copy.keys)


async def test_a_cell_has_the_accounts_keys_once_they_are_ensured(
    distribution: KeyDistribution, cells: MemoryCellKeys, owner: Owner
) -> None:
    key = await owner.key()

    await distribution.ensure(CELL, owner.account)

    row = cells.copies[CELL, owner.account].keys[key.id]
    assert (row.everywhere, row.namespaces, row.expires_at) == (True, {}, key.expires_at)
    assert owner.keys.signer.key_id in cells.signing_keys[CELL]


async def test_a_cell_that_nobody_needs_the_keys_in_never_hears_of_them(
    distribution: KeyDistribution, cells: MemoryCellKeys, owner: Owner
) -> None:
    await distribution.ensure(CELL, owner.account)

    await owner.key()

    await eventually(lambda: has_keys(cells, CELL, owner, 1))
    assert keys_in(cells, OTHER_CELL, owner.account) == set()


async def has_keys(cells: MemoryCellKeys, cell: str, owner: Owner, count: int) -> bool:
    return len(keys_in(cells, cell, owner.account)) == count


async def test_revoked_disabled_and_expired_keys_leave_the_cells(
    distribution: KeyDistribution, cells: MemoryCellKeys, owner: Owner
) -> None:
    revoked, disabled, kept = await owner.key(), await owner.key(), await owner.key()
    await distribution.ensure(CELL, owner.account)
    assert len(keys_in(cells, CELL, owner.account)) == 3

    await owner.keys.revoke(owner.account, revoked.id)
    await owner.keys.set_disabled(owner.account, disabled.id, True)
    await eventually(lambda: has_keys(cells, CELL, owner, 1))
    assert keys_in(cells, CELL, owner.account) == {kept.id}

    await owner.keys.set_disabled(owner.account, disabled.id, False)
    await eventually(lambda: has_keys(cells, CELL, owner, 2))
    assert keys_in(cells, CELL, owner.account) == {kept.id, disabled.id}


async def test_a_cell_that_cannot_be_reached_holds_up_no_other_and_hears_of_it_later(
    distribution: KeyDistribution, cells: MemoryCellKeys, owner: Owner
) -> None:
    for cell in (CELL, OTHER_CELL):
        await distribution.ensure(cell, owner.account)
    cells.unreachable.add(CELL)

    await owner.key()

    await eventually(lambda: has_keys(cells, OTHER_CELL, owner, 1))
    assert await is_distributed(owner) is False
    cells.unreachable.clear()
    await eventually(lambda: has_keys(cells, CELL, owner, 1))
    await eventually(lambda: is_distributed(owner))


async def is_distributed(owner: Owner) -> bool:
    async with owner.keys.pool.connection() as connection:
        rows = await connection.execute(
            "SELECT distributed_revision = access_revision FROM accounts WHERE id = %s",
            (owner.account,),
        )
        row = await rows.fetchone()
    assert row is not None
    return bool(row[0])


async def test_a_cell_that_left_the_fleet_is_not_waited_for(
    distribution: KeyDistribution, cells: MemoryCellKeys, owner: Owner
) -> None:
    await distribution.ensure(CELL, owner.account)
    cells.unreachable.add(CELL)
    await owner.key()

    async with owner.keys.pool.connection() as connection:
        await connection.execute("DELETE FROM cells WHERE id = %s", (CELL,))

    await eventually(lambda: is_distributed(owner))


async def test_ensuring_while_the_account_changes_leaves_the_latest(
    distribution: KeyDistribution, cells: MemoryCellKeys, owner: Owner
) -> None:
    issued, *_ = await asyncio.gather(
        *(owner.key() for _ in range(5)),
        *(distribution.ensure(CELL, owner.account) for _ in range(5)),
        *(distribution.ensure(OTHER_CELL, owner.account) for _ in range(5)),
    )
    assert issued is not None

    await eventually(lambda: is_distributed(owner))

    for cell in (CELL, OTHER_CELL):
        assert len(keys_in(cells, cell, owner.account)) == 5


async def test_an_older_snapshot_never_overwrites_a_newer_one(
    distribution: KeyDistribution, cells: MemoryCellKeys, owner: Owner
) -> None:
    revision, keys = await distribution.outbox.snapshot(owner.account)
    await owner.key()
    await distribution.ensure(CELL, owner.account)

    await cells.write(CELL, owner.account, revision, keys)

    assert len(keys_in(cells, CELL, owner.account)) == 1


async def test_what_a_cell_lost_is_written_again_in_time(
    distribution: KeyDistribution, cells: MemoryCellKeys, owner: Owner
) -> None:
    await owner.key()
    await distribution.ensure(CELL, owner.account)
    cells.copies.clear()

    async with owner.keys.pool.connection() as connection:
        await connection.execute("UPDATE account_cells SET written_at = now() - interval '61 min'")

    await eventually(lambda: has_keys(cells, CELL, owner, 1))


async def test_an_account_without_namespaces_in_a_cell_is_forgotten_there_after_an_hour(
    distribution: KeyDistribution, owner: Owner
) -> None:
    namespace = f"orders.{owner.account}"
    await distribution.ensure(CELL, owner.account)
    await distribution.ensure(OTHER_CELL, owner.account)
    await Projections(owner.keys.pool).publish_namespace(namespace_view(namespace, cell=CELL))
    async with owner.keys.pool.connection() as connection:
        await connection.execute("UPDATE account_cells SET needed_at = now() - interval '59 min'")
        await distribution.outbox.prune()
        assert await cells_told_of(owner) == {CELL, OTHER_CELL}

        await connection.execute("UPDATE account_cells SET needed_at = now() - interval '61 min'")
        await distribution.outbox.prune()
        assert await cells_told_of(owner) == {CELL}

    await Projections(owner.keys.pool).publish_namespace(
        namespace_view(namespace, cell=CELL, life=NamespaceLife.DELETED, revision=2)
    )
    await distribution.outbox.prune()
    assert await cells_told_of(owner) == set()


async def test_a_cell_goes_on_hearing_of_an_account_that_has_a_replica_there_or_soon_will(
    distribution: KeyDistribution, owner: Owner
) -> None:
    namespace = f"orders.{owner.account}"
    adding = ReplicaChange("1", ReplicaChangeKind.ADD, "op-1", "", OTHER_CELL, "aws-us-east-1", NOW)
    there = PassiveReplica("aws-us-east-1", Placement("aws-us-east-1", OTHER_CELL, ()), 1, NOW)
    view = namespace_view(namespace, cell=CELL)
    await distribution.ensure(OTHER_CELL, owner.account)

    async def told(revision: int, **change: object) -> bool:
        published = replace(view, revision=revision, **change)  # type: ignore[arg-type]
        await Projections(owner.keys.pool).publish_namespace(published)
        async with owner.keys.pool.connection() as connection:
            await connection.execute(
                "UPDATE account_cells SET needed_at = now() - interval '1 day'"
            )
        await distribution.outbox.prune()
        return OTHER_CELL in await cells_told_of(owner)

    assert await told(2, change=adding)
    assert await told(3, passive={OTHER_CELL: there})
    assert not await told(4)


async def cells_told_of(owner: Owner) -> set[str]:
    async with owner.keys.pool.connection() as connection:
        rows = await connection.execute(
            "SELECT cell FROM account_cells WHERE account_id = %s", (owner.account,)
        )
        return {str(cell) for (cell,) in await rows.fetchall()}


async def test_every_cell_gets_the_signing_keys_and_each_change_of_them(
    distribution: KeyDistribution,
    cells: MemoryCellKeys,
    keys: ApiKeys,
    signing_secrets: MemorySecretStore,
) -> None:
    before = keys.signer.key_id

    async def known(kid: str) -> bool:
        return all(kid in cells.signing_keys.get(cell, {}) for cell in (CELL, OTHER_CELL))

    await eventually(lambda: known(before))

    after = await rotate_signing_key(distribution.conninfo, signing_secrets)

    await eventually(lambda: known(after))
    assert await known(before)


async def test_the_distribution_survives_the_loss_of_its_connections(
    distribution: KeyDistribution, cells: MemoryCellKeys, owner: Owner
) -> None:
    await distribution.ensure(CELL, owner.account)
    async with owner.keys.pool.connection() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    await owner.key(timedelta(hours=2))

    await eventually(lambda: has_keys(cells, CELL, owner, 1))
    assert await ReadModel(owner.keys.pool).cell(CELL) is not None
