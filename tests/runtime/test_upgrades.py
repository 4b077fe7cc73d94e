"""Real servers under a cell, one after the other."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio import activity, workflow
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.worker import Worker

from cells.release import Software
from controlplane.local.waiting import answered_version
from tests.eventually import eventually
from tests.runtime.local_cell import RunningCell, running_cells

PATIENCE = 60
NAMESPACE = "upgrades"
QUEUE = "upgrades"


@activity.defn
async def double(number: int) -> int:
    return 2 * number


@workflow.defn(sandboxed=False)
class Hopping:
    """Ends when it was told `hops` numbers, with the sum of their doubles."""

    def __init__(self) -> None:
        self._told: list[int] = []

    @workflow.run
    async def run(self, hops: int) -> int:
        total = 0
        for hop in range(hops):
            await workflow.wait_condition(lambda: len(self._told) > hop)  # noqa: B023
            total += await workflow.execute_activity(
                double, self._told[hop], start_to_close_timeout=timedelta(seconds=30)
            )
            await workflow.sleep(0.1)
        return total

    @workflow.signal
    def tell(self, number: int) -> None:
        self._told.append(number)


async def connect(cell: RunningCell) -> Client:
    """Connect to a namespace of the cell, made if need be, that every worker can poll."""
    client = await Client.connect(cell.frontend)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace=NAMESPACE,
            is_global_namespace=True,
            workflow_execution_retention_period=Duration(seconds=86_400),
        )
    )
    in_namespace = await Client.connect(cell.frontend, namespace=NAMESPACE)

    async def known() -> bool:
        try:
            await in_namespace.count_workflows()
        except Exception:  # noqa: BLE001 - whatever it is: not yet
            return False
        return True

    await eventually(known, within=PATIENCE)
    return in_namespace


@pytest.mark.timeout(300)
async def test_open_workflows_complete_across_every_minor_version_and_one_back(
    tmp_path: Path,
) -> None:
    hops = ["1.31.2", "1.32.0", "1.31.2", "1.32.0"]
    async with running_cells(tmp_path / "home", "1.30.2") as [cell]:
        client = await connect(cell)
        async with Worker(client, task_queue=QUEUE, workflows=[Hopping], activities=[double]):
            open_throughout = [
                await client.start_workflow(
                    Hopping.run, len(hops), id=f"hopping-{uuid4()}", task_queue=QUEUE
                )
                for _ in range(10)
            ]
            for generation, version in enumerate(hops, start=1):
                deployed = await cell.runtime.deploy(
                    cell.id, cell.layout.spec, Software(version), generation
                )
                assert deployed.server_version == version
                assert await answered_version(cell.frontend) == version
                assert deployed.gap > timedelta(0)
                for handle in open_throughout:
                    await handle.signal(Hopping.tell, generation)
                begun_after = await client.start_workflow(
                    Hopping.run, 0, id=f"hopping-{uuid4()}", task_queue=QUEUE
                )
                assert await begun_after.result() == 0
            results = [await handle.result() for handle in open_throughout]
        assert results == [2 * (1 + 2 + 3 + 4)] * 10

        async def all_are_listed() -> bool:
            return (await client.count_workflows("ExecutionStatus='Completed'")).count == 14

        await eventually(all_are_listed, within=PATIENCE)
