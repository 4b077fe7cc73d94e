"""Replicas of namespaces on a real fleet: real replication, under the load of a tenant."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from temporalio.api.cloud.cloudservice.v1 import GetNamespaceRequest
from temporalio.api.cloud.namespace.v1 import Namespace
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from provisioning.client import NamespaceClient
from provisioning.types import FailoverMode, MigrateNamespace
from tests.e2e.greeting import Greeting, greet
from tests.fleet import RunningFleet
from tests.load.outcomes import Count
from tests.load.process import Plan
from tests.load.running import RunningLoad, running_load
from tests.load.stage import entrance, write_identity
from tests.load.traffic import TASK_QUEUE
from tests.replicas import Replicas
from tests.tenant import Tenant
from tests.traces import engine_of, traces

pytestmark = pytest.mark.timeout(600)

EAST, WEST, CENTRAL = "aws-us-east-1", "aws-us-west-2", "gcp-us-central1"
INTERVAL_SECONDS = 0.5
RECONNECT_EVERY_SECONDS = 5.0
BEFORE = 20
"""Workflows that were completed before there was a replica."""


@dataclass
class HighlyAvailable:
    """A namespace with replicas in two clouds, workers at both, and a client that starts work."""

    tenant: Tenant
    name: str
    replicas: Replicas
    load: RunningLoad

    async def namespace(self) -> Namespace:
        request = GetNamespaceRequest(namespace=self.tenant.id(self.name))
        return (await self.tenant.cloud.cloud_service.get_namespace(request)).namespace

    async def during_failover(self, region: str, mode: FailoverMode) -> Count:
        begin = time.monotonic()
        await asyncio.sleep(1)
        await self.replicas.fail_over(self.name, region, mode)
        await asyncio.sleep(3)
        return await self.load.count(begin, time.monotonic())


@pytest.fixture
async def available(
    fleet: RunningFleet, tenant: Tenant, tmp_path: Path
) -> AsyncIterator[HighlyAvailable]:
    name, replicas = "available", Replicas(tenant)
    async with AsyncExitStack() as closing:
        closing.push_async_callback(tenant.deleted, name)
        await tenant.created(name, EAST)
        await complete_some(await tenant.connect(name, EAST))
        await replicas.add(name, CENTRAL)
        way_in = entrance(tenant, name, EAST, identity_file=str(tmp_path / "worker.pem"))
        write_identity(way_in, tenant.ca)
        load = await closing.enter_async_context(
            running_load(tmp_path, Plan((way_in,), INTERVAL_SECONDS, RECONNECT_EVERY_SECONDS))
        )
        elsewhere = await tenant.connect(name, CENTRAL)
        await closing.enter_async_context(
            Worker(elsewhere, task_queue=TASK_QUEUE, workflows=[Greeting], activities=[greet])
        )
        yield HighlyAvailable(tenant, name, replicas, load)
    left = await traces(fleet, tenant.id(name))
    assert left.is_empty, left


async def complete_some(client: Client) -> None:
    async with Worker(client, task_queue="before", workflows=[Greeting], activities=[greet]):
        await asyncio.gather(
            *(
                client.execute_workflow(
                    Greeting.run, str(number), id=f"before-{number}", task_queue="before"
                )
                for number in range(BEFORE)
            )
        )


async def count_of_before(client: Client) -> int:
    return (await client.count_workflows("WorkflowId STARTS_WITH 'before-'")).count


def tell(what: str, counted: Count) -> None:
    """Report it: pytest shows it with the durations of the tests."""
    print(
        f"{what}: {counted.completed} of {counted.due} workflows completed, median "
        f"{counted.median:.2f} s, slowest {counted.slowest:.2f} s, {len(counted.errors)} errors"
    )


async def test_a_namespace_fails_over_without_loss_and_survives_the_loss_of_its_cell(
    fleet: RunningFleet, tenant: Tenant, available: HighlyAvailable
) -> None:
    counted = await available.during_failover(CENTRAL, FailoverMode.GRACEFUL)
    tell(f"to {CENTRAL}, gracefully", counted)
    assert (await available.namespace()).active_region == CENTRAL
    assert counted.due > 0
    assert (counted.failed, counted.errors) == (0, ())
    assert await count_of_before(await tenant.connect(available.name, CENTRAL)) == BEFORE

    # The cell in which it is active dies.
    await fleet.stop(f"{CENTRAL}-c1.temporal")
    try:
        counted = await available.during_failover(EAST, FailoverMode.GRACEFUL_THEN_FORCED)
    finally:
        await fleet.start(f"{CENTRAL}-c1.temporal")
    tell("from a lost cell", counted)
    assert (await available.namespace()).active_region == EAST
    assert counted.failed == 0


async def test_a_namespace_moves_to_another_cell_while_it_is_used(
    fleet: RunningFleet, tenant: Tenant
) -> None:
    name, replicas = "moving", Replicas(tenant)
    await tenant.created(name, EAST)
    client = await tenant.connect(name, EAST)
    await complete_some(client)
    move = MigrateNamespace("move", region=WEST, confirmed=True)
    await NamespaceClient(await engine_of(fleet)).migrate(tenant.id(name), move)
    await replicas.fulfilled("move")

    moved = await tenant.connect(name, WEST)
    assert await count_of_before(moved) == BEFORE
    with pytest.raises((RPCError, RuntimeError)):
        await tenant.connect(name, EAST)
    found = await traces(fleet, tenant.id(name))
    assert len(found.records) == len(found.registrations) == 1
    await tenant.deleted(name)
    assert (await traces(fleet, tenant.id(name))).is_empty
