"""What every adapter of `provisioning.replicas.ports.Replication` keeps."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

import pytest
from temporalio.exceptions import ApplicationError

from controlplane.errors import ErrorType
from provisioning.memory import MemoryWorld
from provisioning.ports import Incarnation
from provisioning.replicas.memory import MemoryReplication
from provisioning.replicas.ports import Replication
from provisioning.replicas.types import CopyProgress, ReplicationState
from tests.engine import cell_view
from tests.pair import Pair
from tests.provisioning.replicas.tenancy import LAG, PATIENCE, Tenancy

pytestmark = pytest.mark.timeout(300)

SOON = timedelta(seconds=4)


class Replicas(Protocol):
    """One namespace, and two joined cells."""

    @property
    def replication(self) -> Replication: ...

    @property
    def here(self) -> Incarnation: ...

    @property
    def there(self) -> Incarnation: ...

    async def alone(self) -> None:
        """Let it be in the first cell alone."""
        ...

    async def in_both(self) -> None:
        """Let it be in both cells, active in the first."""
        ...

    async def begin(self, workflow: str) -> None:
        """Start a workflow where the namespace was first."""
        ...

    async def cut(self) -> None:
        """Let the second cell pull nothing from the first."""
        ...

    async def mend(self) -> None: ...


@dataclass(frozen=True)
class InMemory:
    replication: MemoryReplication
    here: Incarnation = field(default=Incarnation("orders.acme1", "uid", "c1"))
    there: Incarnation = field(default=Incarnation("orders.acme1", "uid", "c2"))

    async def alone(self) -> None:
        await self.begin("first")

    async def in_both(self) -> None:
        await self.alone()
        await self.replication.extend(self.here, self.there.cell)
        await self.replication.copy(self.here, self.there.cell, lambda _: None)

    async def begin(self, workflow: str) -> None:
        self.replication.start(self.here.namespace, self.here.cell, workflow)

    async def cut(self) -> None:
        self.replication.is_cut = True

    async def mend(self) -> None:
        self.replication.is_cut = False


@dataclass(frozen=True)
class Real:
    tenancy: Tenancy

    @property
    def replication(self) -> Replication:
        return self.tenancy.replication

    @property
    def here(self) -> Incarnation:
        return self.tenancy.here

    @property
    def there(self) -> Incarnation:
        return self.tenancy.there

    async def alone(self) -> None:
        await self.tenancy.register()

    async def in_both(self) -> None:
        await self.tenancy.replicate()
        await self.tenancy.start_at(self.tenancy.source, "first")

    async def begin(self, workflow: str) -> None:
        await self.tenancy.start_at(self.tenancy.source, workflow)

    async def cut(self) -> None:
        await self.tenancy.pair.cut(self.tenancy.source)

    async def mend(self) -> None:
        await self.tenancy.pair.mend(self.tenancy.source)


@pytest.fixture(params=["memory", "temporal"])
async def replicas(request: pytest.FixtureRequest, pair: Pair) -> Replicas:
    if request.param == "temporal":
        return Real(await Tenancy.of(pair))
    views = [cell_view("c1"), cell_view("c2")]
    return InMemory(MemoryReplication(MemoryWorld(known_cells=views)))


async def test_a_replica_is_added_filled_and_removed(replicas: Replicas) -> None:
    replication, here, there = replicas.replication, replicas.here, replicas.there
    await replicas.alone()
    assert await replication.observe(there) is None

    for _ in range(2):
        await replication.extend(here, there.cell)
    told: list[CopyProgress] = []
    copied = await replication.copy(here, there.cell, told.append)
    compared = await replication.compare(here, there.cell)

    assert copied == told[-1]
    assert copied.done == copied.of == 1
    assert compared.is_complete
    assert compared.source == compared.target == {"RUNNING": 1}
    for replica in (here, there):
        facts = await replication.observe(replica)
        assert facts is not None
        assert (facts.cell, facts.active, facts.state) == (
            replica.cell,
            here.cell,
            ReplicationState.NORMAL,
        )
        assert set(facts.cells) == {here.cell, there.cell}
    with pytest.raises(ApplicationError) as refused:
        await replication.withdraw(here, here.cell)
    assert refused.value.type == ErrorType.FAILED_PRECONDITION
    for _ in range(2):
        await replication.withdraw(here, there.cell)
    assert await replication.observe(there) is None
    left = await replication.observe(here)
    assert left is not None
    assert left.cells == (here.cell,)


async def test_the_active_one_changes_gracefully_or_by_force(replicas: Replicas) -> None:
    replication, here, there = replicas.replication, replicas.here, replicas.there
    await replicas.in_both()
    versions = [await failover_version(replication, here)]

    for _ in range(2):
        await replication.hand_over(here, there.cell, PATIENCE, LAG)
        for replica in (here, there):
            await replication.await_active(replica, there.cell, PATIENCE)
    versions.append(await failover_version(replication, there))
    for _ in range(2):
        await replication.force(here)
        for replica in (here, there):
            await replication.await_active(replica, here.cell, PATIENCE)
            await replication.settle(replica)
    versions.append(await failover_version(replication, here))

    assert versions == sorted(set(versions)), "each failover has a higher version, once"
    for replica in (here, there):
        facts = await replication.observe(replica)
        assert facts is not None
        assert (facts.active, facts.failover_version) == (here.cell, versions[-1])
        assert facts.state is ReplicationState.NORMAL
    with pytest.raises((TimeoutError, ApplicationError)):
        await replication.await_active(here, there.cell, timedelta(seconds=0.5))


async def test_a_handover_that_cannot_succeed_changes_nothing(replicas: Replicas) -> None:
    replication, here, there = replicas.replication, replicas.here, replicas.there
    await replicas.in_both()
    before = await replication.observe(here)
    await replicas.cut()
    try:
        await replicas.begin("not there yet")
        with pytest.raises(ApplicationError) as failed:
            await replication.hand_over(here, there.cell, SOON, LAG)
        assert failed.value.type == ErrorType.FAILED_PRECONDITION
        assert await replication.observe(here) == before
    finally:
        await replicas.mend()


async def test_a_cell_without_a_replica_does_not_become_the_active_one(replicas: Replicas) -> None:
    await replicas.alone()
    with pytest.raises(ApplicationError) as refused:
        await replicas.replication.force(replicas.there)
    assert refused.value.non_retryable
    await replicas.replication.await_active(replicas.here, replicas.here.cell, PATIENCE)


async def failover_version(replication: Replication, at: Incarnation) -> int:
    facts = await replication.observe(at)
    assert facts is not None
    return facts.failover_version
