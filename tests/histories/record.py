"""Record histories for the replay test: `python -m tests.histories.record`.

Record anew, beside the old files, before a workflow's code changes; keep the old ones for as long
as entities that began on that code may be running.
"""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from controlplane.errors import rejected
from provisioning.types import CreateNamespace, DeleteNamespace, Step
from tests.engine import CELL, Entities, cell_spec, namespace_spec, working
from tests.eventually import eventually

HERE = Path(__file__).parent


async def main() -> None:
    async with (
        await WorkflowEnvironment.start_local(
            data_converter=pydantic_data_converter,
            dev_server_existing_path=str(Path(sys.executable).with_name("temporal")),
        ) as environment,
        working(environment.client) as entities,
    ):
        await _record_cell(entities)
        await _record_creation_and_deletion(entities)
        await _record_failed_creation(entities)


async def _record_cell(entities: Entities) -> None:
    await entities.cells.register(CELL, cell_spec())

    async def observed() -> bool:
        return "Ready" in (await entities.cells.describe(CELL)).conditions

    await eventually(observed)
    await entities.cells.cordon(CELL, reason="leaking disk", by="sre")
    await entities.cells.uncordon(CELL)


async def _record_creation_and_deletion(entities: Entities) -> None:
    name = "orders.acme1"
    entities.world.faults[Step.REGISTER] = [ConnectionError("not yet")] * 4
    await entities.namespaces.create(name, CreateNamespace("op1", namespace_spec()))
    await _operation_ends(entities, name, "op1")
    await entities.namespaces.delete(name, DeleteNamespace("op2", ""))
    await entities.namespaces.handle(name).result()
    await _write(entities, f"namespace/{name}", "namespace_created_then_deleted")
    await _write(entities, f"cell/{CELL}", "cell_registered_and_cordoned")


async def _record_failed_creation(entities: Entities) -> None:
    name = "payments.acme1"
    entities.world.faults[Step.PROVE] = [rejected("no canary sang")]
    await entities.namespaces.create(name, CreateNamespace("op1", namespace_spec()))
    await entities.namespaces.handle(name).result()
    await _write(entities, f"namespace/{name}", "namespace_creation_failed")


async def _operation_ends(entities: Entities, name: str, operation: str) -> None:
    async def ended() -> bool:
        operations = (await entities.namespaces.describe(name)).operations
        return any(op.id == operation and op.finished_at for op in operations)

    await eventually(ended, within=30)


async def _write(entities: Entities, workflow_id: str, scenario: str) -> None:
    history = await entities.temporal.get_workflow_handle(workflow_id).fetch_history()
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    (HERE / f"{scenario}_{today}.json").write_text(history.to_json())


if __name__ == "__main__":
    asyncio.run(main())
