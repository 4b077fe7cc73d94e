"""A running entity moves to new code by continuing as new on it."""

from contextlib import AsyncExitStack
from functools import partial

from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from controlplane.worker import DEPLOYMENT, build_workers
from provisioning.memory import MemoryWorld
from provisioning.replicas.memory import MemoryReplication
from tests.engine import (
    CELL,
    REGION,
    Entities,
    MemoryCells,
    all_activities,
    cell_spec,
    cell_view,
    fresh_namespace,
    memory_activities,
)
from tests.eventually import eventually


async def test_a_running_cell_upgrades_once_something_wakes_it(
    engine: WorkflowEnvironment,
) -> None:
    client = await fresh_namespace(engine.client)
    parts, world = MemoryCells(), MemoryWorld(known_cells=[cell_view()])
    cells = Entities(client, world, parts, MemoryReplication(world)).cells

    async def runs_on(build_id: str) -> bool:
        await cells.uncordon(CELL)
        run = await cells.handle(CELL).describe()
        versioning = run.raw_description.workflow_execution_info.versioning_info
        return versioning.deployment_version.build_id == build_id

    async with AsyncExitStack() as running:
        for build_id in ("old", "new"):
            for worker in build_workers(
                client,
                all_activities(client, parts, memory_activities(world)),
                [REGION],
                build_id=build_id,
            ):
                await running.enter_async_context(worker)
            await _make_current(client, build_id)
            if build_id == "old":
                await cells.register(CELL, cell_spec())
            await eventually(partial(runs_on, build_id), every=0.5)


async def _make_current(client: Client, build_id: str) -> None:
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace, deployment_name=DEPLOYMENT, build_id=build_id
    )

    async def accepted() -> bool:
        try:
            await client.workflow_service.set_worker_deployment_current_version(request)
        except RPCError:  # The server has not seen every worker of the new build poll yet.
            return False
        return True

    await eventually(accepted, within=100, every=0.2)
