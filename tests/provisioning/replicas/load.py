"""Clients and workers of a replicated namespace, who notice nothing of a failover but a pause."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio.api.common.v1 import Payloads, WorkflowType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from tests.eventually import eventually
from tests.pair import PairedCell
from tests.provisioning.replicas.orders import QUEUE, SOON, Order, double
from tests.provisioning.replicas.tenancy import Tenancy
from tests.sandbox import SANDBOX


@dataclass
class Load:
    """Orders placed one after the other, at whichever cell takes them."""

    clients: list[tuple[str, Client]]
    """Of the cells, by id; the one that took the latest order first."""
    placed: list[str] = field(default_factory=list)
    taken: Counter[str] = field(default_factory=Counter)
    """By cell: how many orders it took."""
    pause: float = 0.0
    """Seconds: the longest time between two orders that were taken."""

    async def place_orders(self) -> None:
        latest = time.monotonic()
        while True:
            workflow_id = f"order-{len(self.placed)}"
            await self._place(workflow_id, len(self.placed))
            self.placed.append(workflow_id)
            self.pause = max(self.pause, time.monotonic() - latest)
            latest = time.monotonic()
            await asyncio.sleep(0.01)

    async def grown(self, by: int) -> None:
        goal = len(self.placed) + by

        async def enough() -> bool:
            return len(self.placed) >= goal

        await eventually(enough)

    async def _place(self, workflow_id: str, number: int) -> None:
        """Ask as an ingress does that passes on to the active cell: until one of them takes it."""
        request = StartWorkflowExecutionRequest(
            workflow_id=workflow_id,
            workflow_type=WorkflowType(name="Order"),
            task_queue=TaskQueue(name=QUEUE),
            input=Payloads(payloads=DataConverter.default.payload_converter.to_payloads([number])),
            request_id=workflow_id,
        )
        request.workflow_task_timeout.FromTimedelta(SOON)
        while True:
            for cell, client in self.clients:
                request.namespace = client.namespace
                try:
                    # An SDK would first try for a while to reach a cell that is dead.
                    await client.workflow_service.start_workflow_execution(
                        request, timeout=timedelta(seconds=2)
                    )
                except RPCError as error:
                    if error.status is not RPCStatusCode.ALREADY_EXISTS:
                        continue  # Otherwise an answer was lost.
                # The next is asked first where this one was taken.
                self.clients.sort(key=lambda other: other[0] != cell)
                self.taken[cell] += 1
                return
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def under_load(tenancy: Tenancy) -> AsyncIterator[Load]:
    """Place orders all the time, with workers at both cells; at the end all have completed."""
    async with working(tenancy) as load:
        async with placing(load):
            yield load
        await all_completed(tenancy, load)


@contextlib.asynccontextmanager
async def working(tenancy: Tenancy) -> AsyncIterator[Load]:
    """Run workers at both cells."""
    clients = [
        (cell.id, await Client.connect(cell.frontend, namespace=tenancy.here.namespace))
        for cell in tenancy.pair.cells
    ]
    async with contextlib.AsyncExitStack() as running:
        for _, client in clients:
            worker = Worker(
                client,
                task_queue=QUEUE,
                workflows=[Order],
                activities=[double],
                workflow_runner=SANDBOX,
            )
            await running.enter_async_context(worker)
        yield Load(clients)


@contextlib.asynccontextmanager
async def placing(load: Load) -> AsyncIterator[None]:
    """Place orders all the time, some of them before and after."""
    orders = asyncio.create_task(load.place_orders())
    try:
        await load.grown(30)
        yield
        await load.grown(30)
    finally:
        orders.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await orders


async def all_completed(tenancy: Tenancy, load: Load) -> None:
    """Return once every order has completed once, at both cells, with the right result."""
    for cell in tenancy.pair.cells:

        async def are_there(cell: PairedCell = cell) -> bool:
            # Now and then a server loses a task in the moment of a failover.
            await tenancy.replication.revive(await tenancy.active())
            statuses = await tenancy.statuses(cell)
            return all(statuses.get(placed) == ["COMPLETED"] for placed in load.placed)

        await eventually(are_there, within=120, every=1)
    async with asyncio.TaskGroup() as checks:
        for number, placed in enumerate(load.placed):
            checks.create_task(_has_result(load.clients[0][1], placed, 4 * number))


async def _has_result(client: Client, placed: str, wanted: int) -> None:
    assert await client.get_workflow_handle(placed, result_type=int).result() == wanted
