"""Whatever a worker dies in, a change of replicas ends whole or undone, and leaves nothing."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from cells.client import CellClient
from provisioning.replicas.memory import MemoryReplication
from tests.engine import fresh_namespace
from tests.eventually import eventually
from tests.faults.deadly import Faults
from tests.provisioning.replica_changes.changing import (
    PATIENCE,
    Tenancy,
    activities_of_the_latest_change,
    assert_everything_replays,
    three_cells,
)
from tests.provisioning.replica_changes.kinds import KINDS
from tests.provisioning.replica_changes.serving import CopiedWhole, serving
from tests.provisioning.replica_changes.working import ports_of

BY_THE_NAMESPACE = {
    "add": ("route_requests.1", "admit.1", "prove.1"),
    "graceful": ("prove.1",),
}
"""Activities of the namespace's own workflow meanwhile, beside those of the change's."""


class Death(NamedTuple):
    kind: str
    activity: str
    when: str


@pytest.mark.timeout(900)
async def test_a_worker_that_dies_in_any_activity_of_a_change_leaves_it_whole_or_undone(
    engine: WorkflowEnvironment, tmp_path: Path
) -> None:
    client = await fresh_namespace(engine.client)
    world, faults = three_cells(), Faults(tmp_path / "faults")
    faults.folder.mkdir()
    replication = MemoryReplication(world)
    ports = ports_of(client, world, replication)
    ports["replication"] = CopiedWhole(replication)

    def tenancy(name: str) -> Tenancy:
        return Tenancy(f"{name}.acme1", client, world, replication)

    async with serving(ports) as at:
        async with _worker(client, faults, at, dies=True):
            for cell in world.known_cells:
                await CellClient(client).register(cell.id, cell.spec)
            deaths = await _rehearsed({kind: tenancy(f"{kind}-rehearsed") for kind in KINDS})
            tenancies = [tenancy(f"{death.kind}-{n}") for n, death in enumerate(deaths)]
            await _prepared(tenancies, deaths)
            for each, death in zip(tenancies, deaths, strict=True):
                faults.plan(each.id, death.activity, "kill", death.when)
            changes = [
                asyncio.create_task(KINDS[death.kind].make(each), name=f"{death}")
                for each, death in zip(tenancies, deaths, strict=True)
            ]

            async def all_hang() -> bool:
                return not faults.planned()

            await eventually(all_hang, within=PATIENCE)
        async with _worker(client, faults, at):
            ended = [await change for change in changes]
            for each, death, state in zip(tenancies, deaths, ended, strict=True):
                kind = KINDS[death.kind]
                assert kind.may_end(state, each.view.cells), (death, state, each.view.cells)
                await each.assert_whole()
    for each in tenancies:
        await assert_everything_replays(each)


async def _rehearsed(tenancies: dict[str, Tenancy]) -> list[Death]:
    """Make each change once without any death, and return where it could be met by one."""

    async def one(kind: str) -> list[Death]:
        each, change = tenancies[kind], KINDS[kind]
        await change.prepare(each)
        assert await change.make(each) == change.ends
        assert each.view.cells == change.after
        await each.assert_whole()
        activities = await activities_of_the_latest_change(each)
        first = activities.index(f"{change.begins_with}.1") if change.begins_with else 0
        of_change = [f"ReplicaChangeWorkflow.{activity}" for activity in activities[first:]]
        meanwhile = [f"NamespaceWorkflow.{name}" for name in BY_THE_NAMESPACE.get(kind, ())]
        # After it took effect and before anybody knew is where most can go wrong. To die before an
        # activity is to die after the one that came before it, but for what is tried only once.
        return [
            *(Death(kind, activity, "after") for activity in (*of_change, *meanwhile)),
            *(Death(kind, activity, "before") for activity in of_change if "hand_over" in activity),
        ]

    return [death for deaths in await asyncio.gather(*map(one, tenancies)) for death in deaths]


async def _prepared(tenancies: Sequence[Tenancy], deaths: Sequence[Death]) -> None:
    await asyncio.gather(
        *(KINDS[death.kind].prepare(each) for each, death in zip(tenancies, deaths, strict=True))
    )


@contextlib.asynccontextmanager
async def _worker(
    client: Client, faults: Faults, world: int, *, dies: bool = False
) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.provisioning.replica_changes.worker"),
        *(str(faults.folder), str(world)),
        *(client.service_client.config.target_host, client.namespace),
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGKILL if dies else signal.SIGTERM)
        await process.wait()
