"""Record histories and carried states for the replay test: `python -m tests.histories.record`.

Record anew, beside the old files, before a workflow's code changes; keep the old ones for as long
as entities that began on that code may be running.
"""

import asyncio
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from temporalio.testing import WorkflowEnvironment

from cells.types import Reserve
from controlplane.errors import rejected
from controlplane.payloads import data_converter
from provisioning.types import (
    DEMAND,
    CreateNamespace,
    DeleteNamespace,
    InspectNamespace,
    IssueClientCertificate,
    RenameSearchAttribute,
    RevokeCertificate,
    SearchAttributeType,
    SetRequestLimit,
    Step,
    UpdateNamespace,
    UpdateTags,
)
from tests.engine import (
    CELL,
    NO_ATTACHED_QUERIES,
    Entities,
    cell_spec,
    namespace_spec,
    running_engine,
    working,
)
from tests.eventually import eventually

HERE = Path(__file__).parent


async def main() -> None:
    async with (
        await WorkflowEnvironment.start_local(
            data_converter=data_converter,
            dev_server_existing_path=str(Path(sys.executable).with_name("temporal")),
            dev_server_extra_args=list(NO_ATTACHED_QUERIES),
        ) as environment,
        working(environment.client) as entities,
    ):
        await _record_cell(entities)
        await _record_creation_and_deletion(entities)
        await _record_failed_creation(entities)
        await _record_changes(entities)
    # This engine makes entities roll over early.
    async with running_engine() as environment, working(environment.client) as entities:
        await _record_carried_states(entities)


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


async def _record_changes(entities: Entities) -> None:
    name = "billing.acme1"
    namespaces = entities.namespaces
    customer = {"Customer": SearchAttributeType.KEYWORD}
    spec = replace(namespace_spec(), search_attributes=customer)
    await namespaces.create(name, CreateNamespace("op1", spec))
    await _operation_ends(entities, name, "op1")
    await namespaces.rename_search_attribute(
        name, RenameSearchAttribute("op2", "", "Customer", "Buyer")
    )
    await _operation_ends(entities, name, "op2")
    renamed = replace(spec, search_attributes={"Buyer": SearchAttributeType.KEYWORD})
    managed = replace(renamed, client_ca="", managed_ca=True, api_keys=True)
    await namespaces.update(name, UpdateNamespace("op3", "", managed))
    await namespaces.tag(name, UpdateTags("op4", {"team": "payments"}, ()))
    await namespaces.set_request_limit(name, SetRequestLimit("op5", 100))
    await namespaces.revoke(name, RevokeCertificate("op6", "a1"))
    await _operation_ends(entities, name, "op6")
    await namespaces.issue(name, IssueClientCertificate("op7", "no CSR", timedelta(days=1)))
    await _operation_ends(entities, name, "op7")
    entities.world.published.clear()
    await namespaces.inspect(name, InspectNamespace("op8"))
    await _operation_ends(entities, name, "op8")
    entities.world.faults[Step.REGISTER] = [rejected("no longer than that")]
    longer = replace(managed, retention=timedelta(days=90))
    await namespaces.update(name, UpdateNamespace("op9", "", longer))
    await _operation_ends(entities, name, "op9")
    await _write(entities, f"namespace/{name}", "namespace_changed_in_every_way")


async def _record_carried_states(entities: Entities) -> None:
    name = "orders.acme1"
    await entities.namespaces.create(name, CreateNamespace("op1", namespace_spec()))
    await entities.cells.register(CELL, cell_spec())
    for n in range(20):
        await entities.cells.reserve(CELL, Reserve(f"n{n}.acme1", f"uid-{n}", DEMAND))
    for workflow_id, kind in ((f"namespace/{name}", "namespace"), (f"cell/{CELL}", "cell")):
        await eventually(partial(_rolled_over, entities, workflow_id), within=30)
        handle = entities.temporal.get_workflow_handle(workflow_id)
        started = (await handle.fetch_history()).events[0]
        carried = started.workflow_execution_started_event_attributes.input.payloads[0].data
        state = json.dumps(json.loads(carried), indent=2)
        (HERE.parent / "golden" / f"{kind}_state_{today()}.json").write_text(state + "\n")


async def _rolled_over(entities: Entities, workflow_id: str) -> bool:
    run = await entities.temporal.get_workflow_handle(workflow_id).describe()
    return run.run_id != run.raw_description.workflow_execution_info.first_run_id


async def _operation_ends(entities: Entities, name: str, operation: str) -> None:
    async def ended() -> bool:
        view = entities.world.views.get(name)
        return view is not None and any(
            op.id == operation and op.finished_at for op in view.operations
        )

    await eventually(ended, within=30)


async def _write(entities: Entities, workflow_id: str, scenario: str) -> None:
    history = await entities.temporal.get_workflow_handle(workflow_id).fetch_history()
    (HERE / f"{scenario}_{today()}.json").write_text(history.to_json())


def today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


if __name__ == "__main__":
    asyncio.run(main())
