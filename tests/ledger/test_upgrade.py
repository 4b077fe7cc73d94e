"""A ledger that nobody asks anything moves to new code before the last old worker is gone."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.client import Client
from temporalio.common import VersioningBehavior
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker, WorkerDeploymentConfig, WorkerDeploymentVersion

from cells.ledger.activities import LedgerActivities
from cells.ledger.client import LedgerClient
from cells.ledger.memory import MemoryLedgerProjection
from cells.ledger.types import LEDGER_ID
from cells.ledger.workflow import LedgerWorkflow
from controlplane.queues import fleet_queue
from tests.engine import fresh_namespace
from tests.eventually import eventually
from tests.ledger.leases import asking

DEPLOYMENT = "ledger"


@pytest.mark.timeout(200)
async def test_an_idle_ledger_moves_to_new_code_and_keeps_its_leases(
    engine: WorkflowEnvironment,
) -> None:
    client = await fresh_namespace(engine.client)
    ledger = LedgerClient(client)

    async def runs_on_new_code() -> bool:
        run = await client.get_workflow_handle(LEDGER_ID).describe()
        versioning = run.raw_description.workflow_execution_info.versioning_info
        return versioning.deployment_version.build_id == "new"

    async with AsyncExitStack() as old, AsyncExitStack() as new:
        await old.enter_async_context(_worker(client, "old"))
        await _make_current(client, "old")
        assert (await ledger.acquire(asking("c1"))).granted
        await new.enter_async_context(_worker(client, "new"))
        await _make_current(client, "new")

        await eventually(runs_on_new_code, within=120, every=0.5)
        await old.aclose()

        async with asyncio.timeout(30):
            assert list(await ledger.leases()) == ["c1"]


def _worker(client: Client, build_id: str) -> Worker:
    return Worker(
        client,
        task_queue=fleet_queue(),
        workflows=[LedgerWorkflow],
        activities=[LedgerActivities(MemoryLedgerProjection()).publish_ledger],
        deployment_config=WorkerDeploymentConfig(
            version=WorkerDeploymentVersion(DEPLOYMENT, build_id),
            use_worker_versioning=True,
            default_versioning_behavior=VersioningBehavior.PINNED,
        ),
    )


async def _make_current(client: Client, build_id: str) -> None:
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace, deployment_name=DEPLOYMENT, build_id=build_id
    )

    async def accepted() -> bool:
        try:
            await client.workflow_service.set_worker_deployment_current_version(request)
        except RPCError:  # The server has not seen the worker of the new build poll yet.
            return False
        return True

    await eventually(accepted, within=20, every=0.2)
