"""What it costs to reach a namespace where it is passive: `python -m tests.benchmarks.forwarding`.

The same call of a real Temporal service, a workflow started, once by the ingress of the cell in
which the namespace is active and once by another cell's, which passes it on: one after the other,
in turn, so that both have the same machine. Then as many as go through at once. The cells are next
to each other: what a forwarded call takes longer elsewhere is this and one way there and back.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import grpc
from temporalio.api.common.v1 import WorkflowType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest

from cells.ingress.records import AdmissionRules
from tests.cells.ingress import processes
from tests.cells.ingress.pair import WEST, joined_cells
from tests.cells.ingress.small_cell import Tenant, new_tenant
from tests.cells.ingress.wire import SERVICE, RawChannel, raw_channel
from tests.eventually import eventually
from tests.postgres import running_postgres

NAMESPACE = "orders.acme1"
WARM_UP = 50
IN_TURN = 400
AT_ONCE, TOGETHER = 16, 1_600


async def main() -> None:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "temporal").mkdir()
        frontend = await stack.enter_async_context(
            processes.temporal_server(folder / "temporal", [NAMESPACE])
        )
        postgres = await stack.enter_async_context(running_postgres(folder / "postgres"))
        east, west = await stack.enter_async_context(
            joined_cells(postgres, folder, east="127.0.0.1:1", west=frontend)
        )
        tenant = new_tenant(NAMESPACE)
        rules = AdmissionRules(client_ca=tenant.authority.pem)
        await west.enforce(west.record(tenant, rules=rules))
        await east.enforce(east.record(tenant, rules=replace(rules, active_cell=WEST)))
        direct, forwarded = [
            await stack.enter_async_context(raw_channel(cell, tenant)) for cell in (west, east)
        ]
        await measure(tenant, direct, forwarded)


async def measure(tenant: Tenant, direct: RawChannel, forwarded: RawChannel) -> None:
    for channel in (direct, forwarded):

        async def works(channel: RawChannel = channel) -> bool:
            return await start(channel, tenant) is not None

        await eventually(works)
        for _ in range(WARM_UP):
            await start(channel, tenant)

    seconds: dict[RawChannel, list[float]] = {direct: [], forwarded: []}
    for _ in range(IN_TURN):
        for channel, taken in seconds.items():
            took = await start(channel, tenant)
            assert took is not None, "a call failed"
            taken.append(took)
    print(f"{IN_TURN} workflows started one at a time      p50       p99")
    report("  where the namespace is active  ", seconds[direct])
    report("  passed on from another cell    ", seconds[forwarded])
    medians = [statistics.median(seconds[channel]) for channel in (direct, forwarded)]
    print(f"  ratio of the medians             {medians[1] / medians[0]:.2f}")

    rates = [await rate(channel, tenant) for channel in (direct, forwarded)]
    print(f"{TOGETHER} workflows started, {AT_ONCE} at once")
    print(f"  where the namespace is active    {rates[0]:.0f}/s")
    print(f"  passed on from another cell      {rates[1]:.0f}/s")
    print(f"  ratio                            {rates[1] / rates[0]:.2f}")


async def start(channel: RawChannel, tenant: Tenant) -> float | None:
    """Start a workflow, and return how many seconds that took, or None if it failed."""
    name = str(uuid4())
    request = StartWorkflowExecutionRequest(
        namespace=tenant.namespace,
        workflow_id=name,
        workflow_type=WorkflowType(name="Benchmark"),
        task_queue=TaskQueue(name="benchmark"),
        request_id=name,
    )
    began = time.perf_counter()
    answer = await channel.call(SERVICE + "StartWorkflowExecution", request.SerializeToString(), ())
    return time.perf_counter() - began if answer.code is grpc.StatusCode.OK else None


async def rate(channel: RawChannel, tenant: Tenant) -> float:
    """Return how many workflows a second are started through the channel."""
    left = TOGETHER

    async def work() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            assert await start(channel, tenant) is not None, "a call failed"

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return TOGETHER / (time.perf_counter() - began)


def report(what: str, seconds: Sequence[float]) -> None:
    quantiles = statistics.quantiles(seconds, n=100)
    print(f"{what}  {1000 * quantiles[49]:6.2f} ms {1000 * quantiles[98]:6.2f} ms")


if __name__ == "__main__":
    asyncio.run(main())
