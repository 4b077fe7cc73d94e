"""A tenant's namespace on two real cells, and what is in it."""

import asyncio
import contextlib
import secrets
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta

from temporalio.api.replication.v1 import (
    ClusterReplicationConfig,
    NamespaceReplicationConfig,
)
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError
from temporalio.worker import Worker

from cells.replication.operator_service import OperatorServiceLinks
from provisioning.ports import Incarnation
from provisioning.replicas.temporal import TemporalReplication
from provisioning.replicas.types import ReplicationFacts, ReplicationState
from provisioning.temporal import TemporalRegistrar
from tests.eventually import eventually
from tests.pair import Pair, PairedCell
from tests.provisioning.replicas.orders import QUEUE, Ending, Way
from tests.sandbox import SANDBOX

WEEK = timedelta(days=7)
NOBODY = "nobody"
PATIENCE = timedelta(seconds=60)
LAG = timedelta(minutes=2)
"""So that a handover begins, and does not end, while the target cannot pull."""


@dataclass(frozen=True)
class Tenancy:
    """One namespace, first of all in the first cell."""

    pair: Pair
    replication: TemporalReplication
    here: Incarnation
    """Its replica in the first cell."""

    @classmethod
    async def of(cls, pair: Pair) -> "Tenancy":
        name = f"orders-{secrets.token_hex(3)}.acme1"
        return cls(
            pair, replication_of(pair), Incarnation(name, secrets.token_hex(8), pair.cells[0].id)
        )

    @property
    def there(self) -> Incarnation:
        """Its replica in the second cell."""
        return replace(self.here, cell=self.pair.cells[1].id)

    @property
    def source(self) -> PairedCell:
        return self.pair.cells[0]

    @property
    def target(self) -> PairedCell:
        return self.pair.cells[1]

    async def register(self) -> None:
        """Register it in the first cell alone, as the control plane does."""
        await TemporalRegistrar(self.pair.directory).register(self.here, WEEK, {})
        await self.start_at(self.source, "first")

    async def replicate(self) -> None:
        """Register it in both cells at once; the first is the active one."""
        await self.pair.register(self.here.namespace, self.source, self.target, uid=self.here.uid)

    async def client(self, cell: PairedCell) -> Client:
        """Connect to what one cell itself holds."""
        return await cell.client(self.here.namespace, ask_here=True)

    async def start_at(self, cell: PairedCell, *workflows: str) -> None:
        """Start workflows that nobody works on, as soon as the cell takes them."""
        client = await self.client(cell)
        for workflow in workflows:

            async def started(workflow: str = workflow) -> bool:
                try:
                    await client.start_workflow("Waits", id=workflow, task_queue=NOBODY)
                except RPCError as error:
                    return "already" in error.message
                return True

            await eventually(started)

    async def arrived(self, cell: PairedCell, *workflows: str) -> None:
        """Return once the cell lists the workflows."""
        wanted = set(workflows)

        async def are_there() -> bool:
            return wanted <= set(await self.statuses(cell))

        await eventually(are_there)

    async def statuses(self, cell: PairedCell) -> dict[str, list[str]]:
        """Return the statuses of all runs that the cell holds, by workflow id."""
        client = await self.client(cell)
        found = defaultdict(list)
        with contextlib.suppress(RPCError):
            async for run in client.list_workflows():
                assert run.status is not None
                found[run.id].append(run.status.name)
        return found

    async def facts(self, at: Incarnation) -> ReplicationFacts:
        facts = await self.replication.observe(at)
        assert facts is not None
        return facts

    async def active(self) -> Incarnation:
        """Return the active replica, as the first cell sees it."""
        active = (await self.facts(self.here)).active
        return self.here if active == self.here.cell else self.there

    async def in_handover(self) -> None:
        """Return once the source answers nobody."""

        async def answers_nobody() -> bool:
            return (await self.facts(self.here)).state is ReplicationState.HANDOVER

        await eventually(answers_nobody, within=150)

    async def hand_over(
        self, active: Incarnation, to: Incarnation, within: timedelta = PATIENCE
    ) -> None:
        await self.replication.hand_over(active, to.cell, within, LAG)
        for replica in (active, to):
            await self.replication.await_active(replica, to.cell, PATIENCE)

    def begin_handover(self, within: timedelta = PATIENCE) -> asyncio.Task[None]:
        return asyncio.create_task(self.hand_over(self.here, self.there, within))

    async def signals(self, cell: PairedCell, workflow: str) -> set[str]:
        """Return the names of the signals in a workflow's history, as the cell holds it."""
        handle = (await self.client(cell)).get_workflow_handle(workflow)
        with contextlib.suppress(RPCError):
            return {
                event.workflow_execution_signaled_event_attributes.signal_name
                async for event in handle.fetch_history_events()
                if event.HasField("workflow_execution_signaled_event_attributes")
            }
        return set()

    async def set_cells(self, *names: str) -> None:
        """Say where the namespace has replicas, behind our own back."""
        client = await self.client(self.source)
        clusters = [ClusterReplicationConfig(cluster_name=name) for name in names]
        await client.workflow_service.update_namespace(
            UpdateNamespaceRequest(
                namespace=self.here.namespace,
                replication_config=NamespaceReplicationConfig(clusters=clusters),
            )
        )

    async def close_in_every_way(self) -> None:
        """Leave one workflow execution of each status that closes one."""
        client = await Client.connect(self.source.frontend, namespace=self.here.namespace)
        async with Worker(client, task_queue=QUEUE, workflows=[Ending], workflow_runner=SANDBOX):
            for way in Way:
                handle = await client.start_workflow(
                    Ending.run,
                    way,
                    id=way,
                    task_queue=QUEUE,
                    run_timeout=timedelta(seconds=1) if way is Way.TIMED_OUT else None,
                )
                if way is Way.TERMINATED:
                    await handle.terminate()
                if way is Way.CANCELED:
                    await handle.cancel()
                with contextlib.suppress(WorkflowFailureError):
                    await handle.result()

    async def copy(self) -> None:
        await self.replication.copy(self.here, self.there.cell, lambda _: None)


def replication_of(pair: Pair) -> TemporalReplication:
    return TemporalReplication(pair.directory, OperatorServiceLinks(pair.directory))
