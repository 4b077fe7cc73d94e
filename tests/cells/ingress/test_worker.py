"""Ordinary clients and workers, with the SDK's default settings, through the ingress."""

import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from cells.ingress.envoy import ConnectionLimits
from cells.ingress.records import AdmissionRules
from tests.cells.ingress.conftest import ORDERS
from tests.cells.ingress.pair import WEST, joined_cells
from tests.cells.ingress.small_cell import SmallCell, Tenant, new_tenant, small_cell
from tests.cells.ingress.wire import HEALTH, raw_channel
from tests.eventually import eventually
from tests.postgres import RunningPostgres

LARGE = 1_900_000
"""Bytes; a payload may have 2 MiB."""


@activity.defn
async def measure(text: str) -> int:
    return len(text)


@workflow.defn
class MeasureText:
    @workflow.run
    async def run(self, text: str) -> int:
        timeout = timedelta(seconds=10)
        return await workflow.execute_activity(measure, text, start_to_close_timeout=timeout)


async def run_workflow(client: Client, queue: str, text: str) -> int:
    return await client.execute_workflow(
        MeasureText.run, text, id=f"measure-{uuid4()}", task_queue=queue
    )


def worker(client: Client, queue: str) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        workflows=[MeasureText],
        activities=[measure],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("hello", id="small"),
        pytest.param("x" * LARGE, id="large, repetitive"),
        pytest.param(random.Random(1).randbytes(LARGE // 2).hex(), id="large, random"),  # noqa: S311
    ],
)
async def test_a_worker_completes_a_workflow_with_an_activity(
    cell: SmallCell, orders: Tenant, text: str
) -> None:
    client, queue = await cell.connect(orders), str(uuid4())

    async with worker(client, queue):
        assert await run_workflow(client, queue, text) == len(text)


async def test_a_client_may_not_say_it_is_another_namespace(
    cell: SmallCell, orders: Tenant, pay: Tenant
) -> None:
    client = await cell.connect(orders, namespace=pay.namespace)

    with pytest.raises(Exception, match="RBAC: access denied"):
        await run_workflow(client, "nobody", "hello")


async def test_connections_that_reach_their_age_are_replaced_without_an_error(
    postgres: RunningPostgres, frontend: str, orders: Tenant, tmp_path: Path
) -> None:
    brief_lives = ConnectionLimits(age=timedelta(seconds=1))
    async with small_cell(postgres, tmp_path, frontend, brief_lives) as brief:
        tenant = new_tenant(orders.namespace)
        await brief.enforce(brief.record(tenant))
        client, queue = await brief.connect(tenant), str(uuid4())

        async with worker(client, queue):
            while await brief.envoy_statistic("ext_authz.gatekeeper.ok") < 5:
                assert await run_workflow(client, queue, "hello") == 5


async def test_a_worker_where_its_namespace_is_passive_does_the_work_of_where_it_is_active(
    postgres: RunningPostgres, frontend: str, tmp_path: Path
) -> None:
    """Nothing answers behind the ingress that both connect to."""
    async with joined_cells(postgres, tmp_path, east="127.0.0.1:1", west=frontend) as cells:
        east, west = cells
        tenant = new_tenant(ORDERS)
        rules = AdmissionRules(client_ca=tenant.authority.pem)
        await west.enforce(west.record(tenant, rules=rules))
        await east.enforce(east.record(tenant, rules=replace(rules, active_cell=WEST)))
        async with raw_channel(east, tenant) as channel:

            async def passed_on() -> bool:
                return (await channel.call(HEALTH, b"")).code.name == "OK"

            await eventually(passed_on)
        client, queue = await east.connect(tenant), str(uuid4())

        async with worker(client, queue):
            for text in ("hello", "x" * LARGE, random.Random(1).randbytes(LARGE // 2).hex()):  # noqa: S311
                assert await run_workflow(client, queue, text) == len(text)
        assert await west.envoy_statistic("ext_authz.gatekeeper.ok") >= 1
