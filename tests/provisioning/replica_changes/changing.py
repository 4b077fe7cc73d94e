"""Namespaces whose replicas are changed, and what holds of each once nothing is under way."""

import itertools
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from cells.client import CellClient
from cells.types import Capacity, Reserve
from controlplane.ids import namespace_workflow_id, replica_change_workflow_id
from controlplane.payloads import data_converter
from provisioning.client import NamespaceClient
from provisioning.journal import is_open
from provisioning.memory import MemoryFleet, MemoryWorld, replica_key
from provisioning.ports import Incarnation
from provisioning.replicas.memory import MemoryReplication
from provisioning.replicas.types import ReplicationState
from provisioning.replicas.workflow import ReplicaChangeWorkflow
from provisioning.types import (
    AbortReplicaChange,
    ConfirmMigration,
    CreateNamespace,
    DeleteNamespace,
    FailOver,
    FailoverMode,
    MigrateNamespace,
    NamespaceLife,
    NamespaceView,
    OperationKind,
    OperationState,
    RevokeCertificate,
    UpdateNamespace,
)
from provisioning.workflow import NamespaceWorkflow
from tests.engine import cell_spec, cell_view, namespace_spec
from tests.eventually import eventually

EAST, WEST, CENTRAL = "aws-us-east-1", "aws-us-west-2", "gcp-us-central1"
REGIONS = (EAST, WEST, CENTRAL)
C_EAST, C_WEST, C_CENTRAL = CELLS = tuple(f"{region}-c1" for region in REGIONS)
PATIENCE = 240
"""Seconds: nothing here takes a tenth of it where a machine is not shared."""


def three_cells() -> MemoryWorld:
    room = Capacity(namespaces=10_000, actions_per_second=10_000_000)
    return MemoryWorld(
        known_cells=[
            cell_view(f"{region}-c1", cell_spec(region, capacity=room, failover_version=number))
            for number, region in enumerate(REGIONS, start=1)
        ]
    )


@dataclass(frozen=True)
class EntityFleet(MemoryFleet):
    """Cells whose capacity is held by their entities."""

    temporal: Client

    async def reserve(self, cell: str, request: Reserve) -> None:
        await super().reserve(cell, request)
        await CellClient(self.temporal).reserve(cell, request)


@dataclass(frozen=True)
class Tenancy:
    """One namespace, the world it is in, and what its owner and its operator do."""

    id: str
    temporal: Client
    world: MemoryWorld
    replication: MemoryReplication
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    executions: set[str] = field(default_factory=set)
    """What was started and never given up by a forced failover."""

    @property
    def namespaces(self) -> NamespaceClient:
        return NamespaceClient(self.temporal)

    @property
    def view(self) -> NamespaceView:
        return self.world.views[self.id]

    @property
    def other(self) -> str:
        """The cell of the passive replica."""
        return sorted(self.view.passive)[0]

    async def create(self) -> None:
        operation = self._operation()
        await self.namespaces.create(self.id, CreateNamespace(operation, namespace_spec(EAST)))
        assert await self.ended(operation) == OperationState.FULFILLED
        self.start("old")

    def start(self, execution: str) -> None:
        """Let a workflow execution start where the namespace is active."""
        active = self.replication.namespaces.get(self.id)
        cell = self.view.cell if active is None else active.active
        assert cell is not None
        self.replication.start(self.id, cell, execution)
        self.executions.add(execution)

    async def add(self, region: str = WEST) -> OperationState:
        wanted = replace(self.view.spec, replicas=(*self.view.spec.regions, region))
        request = UpdateNamespace(self._operation(), "", wanted, OperationKind.ADD_REGION)
        await self.namespaces.update(self.id, request)
        return await self.ended(request.operation)

    async def remove(self) -> OperationState:
        active = self.view.active_region
        wanted = replace(self.view.spec, region=active, replicas=())
        request = UpdateNamespace(self._operation(), "", wanted, OperationKind.REMOVE_REGION)
        await self.namespaces.update(self.id, request)
        return await self.ended(request.operation)

    async def fail_over(self, cell: str, mode: FailoverMode) -> OperationState:
        request = FailOver(self._operation(), cell=cell, mode=mode)
        await self.namespaces.fail_over(self.id, request)
        return await self.ended(request.operation)

    async def begin_failover(self, cell: str) -> str:
        """Return the operation."""
        request = FailOver(self._operation(), cell=cell)
        await self.namespaces.fail_over(self.id, request)
        return request.operation

    async def begin_revocation(self, serial: str) -> str:
        """Return the operation."""
        request = RevokeCertificate(self._operation(), serial)
        await self.namespaces.revoke(self.id, request)
        return request.operation

    async def retain(self, days: int) -> OperationState:
        wanted = replace(self.view.spec, retention=timedelta(days=days))
        request = UpdateNamespace(self._operation(), "", wanted)
        await self.namespaces.update(self.id, request)
        return await self.ended(request.operation)

    async def delete(self) -> OperationState:
        request = DeleteNamespace(self._operation(), "")
        await self.namespaces.delete(self.id, request)
        return await self.ended(request.operation)

    async def begin_migration(self, region: str = CENTRAL, source: str = "") -> str:
        """Return the operation."""
        request = MigrateNamespace(self._operation(), source=source, region=region)
        await self.namespaces.migrate(self.id, request)
        return request.operation

    async def confirm(self) -> None:
        change = self.view.change
        assert change is not None
        await self.namespaces.confirm_migration(
            self.id, ConfirmMigration(self._operation(), change.id)
        )

    async def abort(self) -> None:
        change = self.view.change
        assert change is not None
        await self.namespaces.abort_change(
            self.id, AbortReplicaChange(self._operation(), change.id, "not now")
        )

    async def waits_or_ends(self, operation: str) -> bool:
        """Return True once the change waits for a person, False once it is over."""

        async def stands() -> bool:
            return self._waits() or self._state(operation) is not None

        await eventually(stands, within=PATIENCE)
        return self._state(operation) is None

    async def closed(self, operation: str) -> OperationState:
        """Return what has become of the operation, whatever else is still to be done."""

        async def is_closed() -> bool:
            return self._state(operation) is not None

        await eventually(is_closed, within=PATIENCE)
        state = self._state(operation)
        assert state is not None
        return state

    async def ended(self, operation: str) -> OperationState:
        """Return what has become of the operation, once the namespace is at rest."""

        async def is_over() -> bool:
            return self._state(operation) is not None and self._is_at_rest()

        await eventually(is_over, within=PATIENCE)
        state = self._state(operation)
        assert state is not None
        return state

    async def assert_whole(self) -> None:
        """One cell is active, everything leads to it, and nothing is left anywhere else."""
        view = self.view
        replicated = self.replication.namespaces.get(self.id)
        if replicated is not None:
            assert replicated.active == view.cell, (replicated, view.cells)
            assert replicated.state == ReplicationState.NORMAL
            assert sorted(replicated.executions) == sorted(view.cells)
            for cell in view.cells:
                assert self.executions <= replicated.executions[cell], cell
        assert view.life == NamespaceLife.ACTIVE
        regions = [view.active_region, *(each.region for each in view.passive.values())]
        assert Counter(view.spec.regions) == Counter(regions)
        passive = {
            replica_key(Incarnation(self.id, view.uid, cell, replica.number))
            for cell, replica in view.passive.items()
        }
        (active,) = self._keys(self.world.records) - passive
        assert active in (self.id, f"{self.id}@{view.cell}")
        assert self._keys(self.world.records) == {active, *passive}
        assert self._keys(self.world.admitted) == {active, *passive}
        routes = {key: self.world.routes[key] for key in self._keys(self.world.routes)}
        assert routes == dict.fromkeys(passive, view.cell)
        revoked = ",".join(view.policy.revoked_serials)
        for key in (active, *passive):
            assert self.world.admitted[key].parts["revoked_serials"] == revoked, key
        (dns,) = (dns for name, dns in self.world.published.items() if name.startswith(self.id))
        assert dns == view.observed.dns
        assert dns.target.startswith(f"{view.cell}.")
        await self.assert_capacity_is_held_in(*view.cells)

    async def assert_gone(self) -> None:
        assert self.world.is_empty_of(self.id)
        await self.assert_capacity_is_held_in()

    async def assert_capacity_is_held_in(self, *cells: str) -> None:
        async def is_held() -> bool:
            held = {cell: await CellClient(self.temporal).allocations(cell) for cell in CELLS}
            holders = [cell for cell, by in held.items() if self.id in by]
            return sorted(holders) == sorted(cells) and all(
                held[cell][self.id].expires_at is None for cell in cells
            )

        await eventually(is_held, within=PATIENCE, every=0.2)

    def _operation(self) -> str:
        return f"op{next(self._numbers)}"

    def _state(self, operation: str) -> OperationState | None:
        view = self.world.views.get(self.id)
        operations = () if view is None else view.operations
        return next((op.state for op in operations if op.id == operation and op.finished_at), None)

    def _waits(self) -> bool:
        change = self.view.change
        return change is not None and bool(change.progress.waits_for)

    def _is_at_rest(self) -> bool:
        view = self.view
        if view.life == NamespaceLife.DELETED:
            return True
        return (
            view.change is None
            and not any(map(is_open, view.operations))
            and view.observed.dns is not None
            and view.observed.proof is not None
            and all(
                replica.routed_to == view.cell
                and replica.admission is not None
                and replica.proof is not None
                for replica in view.passive.values()
            )
        )

    def _keys(self, part: Mapping[str, object]) -> set[str]:
        return {key for key in part if key.partition("@")[0] == self.id}


async def assert_everything_replays(tenancy: Tenancy) -> None:
    """The histories of the namespace's entity and of every change lead to the same commands."""
    replayer = Replayer(
        workflows=[NamespaceWorkflow, ReplicaChangeWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=data_converter,
    )
    async for history in histories(tenancy):
        await replayer.replay_workflow(history)


async def histories(tenancy: Tenancy) -> AsyncIterator[WorkflowHistory]:
    async for history in _runs(tenancy.temporal, namespace_workflow_id(tenancy.id)):
        yield history
        for event in history.events:
            begun = event.start_child_workflow_execution_initiated_event_attributes
            if begun.workflow_id:
                handle = tenancy.temporal.get_workflow_handle(begun.workflow_id)
                yield await handle.fetch_history()


async def activities_of_the_latest_change(tenancy: Tenancy) -> list[str]:
    """Return the activities of its workflow in order, each with which of its kind it is."""
    changes = [
        event.start_child_workflow_execution_initiated_event_attributes.workflow_id
        async for history in _runs(tenancy.temporal, namespace_workflow_id(tenancy.id))
        for event in history.events
        if event.HasField("start_child_workflow_execution_initiated_event_attributes")
    ]
    latest = replica_change_workflow_id(tenancy.id, f"{tenancy.view.uid[:8]}-{len(changes)}")
    history = await tenancy.temporal.get_workflow_handle(latest).fetch_history()
    seen: Counter[str] = Counter()
    named = []
    for event in history.events:
        if event.HasField("activity_task_scheduled_event_attributes"):
            name = event.activity_task_scheduled_event_attributes.activity_type.name
            seen[name] += 1
            named.append(f"{name}.{seen[name]}")
    return named


async def _runs(client: Client, workflow_id: str) -> AsyncIterator[WorkflowHistory]:
    """Yield what happened in each of its runs, the latest first."""
    run: str | None = None
    while run != "":
        history = await client.get_workflow_handle(workflow_id, run_id=run).fetch_history()
        yield history
        begun = history.events[0].workflow_execution_started_event_attributes
        run = begun.continued_execution_run_id
