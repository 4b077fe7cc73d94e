"""Clients and workers of a replicated namespace, who notice nothing of a failover but a pause."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio.client import Client
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError
from temporalio.worker import Worker

from tests.eventually import eventually
from tests.pair import PairedCell
from tests.provisioning.replicas.orders import QUEUE, SOON, Order, double
from tests.provisioning.replicas.tenancy import Tenancy
from tests.sandbox import SANDBOX


@dataclass
class Load:
    """Orders placed one after the other, at whichever cell takes them."""

    clients: list[Client]
    placed: list[str] = field(default_factory=list)
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
        while True:
            for client in self.clients:
                try:
                    await client.start_workflow(
                        Order.run,
                        number,
                        id=workflow_id,
                        task_queue=QUEUE,
                        task_timeout=SOON,
                        rpc_timeout=timedelta(seconds=2),
                    )
                except WorkflowAlreadyStartedError:
                    return  # Its answer was lost.
                except RPCError:
                    continue
                # The next is asked first where this one was taken.
                self.clients.sort(key=lambda other: other is not client)
                return
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def under_load(tenancy: Tenancy) -> AsyncIterator[Load]:
    """Place orders all the time, with workers at both cells that take them."""
    clients = [
        await Client.connect(cell.frontend, namespace=tenancy.here.namespace)
        for cell in tenancy.pair.cells
    ]
    workers = [
        Worker(
            client,
            task_queue=QUEUE,
            workflows=[Order],
            activities=[double],
            workflow_runner=SANDBOX,
        )
        for client in clients
    ]
    load = Load(list(clients))
    async with contextlib.AsyncExitStack() as running:
        for worker in workers:
            await running.enter_async_context(worker)
        placing = asyncio.create_task(load.place_orders())
        try:
            await load.grown(30)
            yield load
            await load.grown(30)
        finally:
            placing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await placing
        await all_completed(tenancy, load)


async def all_completed(tenancy: Tenancy, load: Load) -> None:
    """Return once every order has completed once, at both cells, with the right result."""

    for cell in tenancy.pair.cells:

        async def are_there(cell: PairedCell = cell) -> bool:
            statuses = await tenancy.statuses(cell)
            return all(statuses.get(placed) == ["COMPLETED"] for placed in load.placed)

        await eventually(are_there, every=0.5)
    async with asyncio.TaskGroup() as checks:
        for number, placed in enumerate(load.placed):
            checks.create_task(_has_result(load.clients[0], placed, 4 * number))


async def _has_result(client: Client, placed: str, wanted: int) -> None:
    assert await client.get_workflow_handle(placed, result_type=int).result() == wanted
