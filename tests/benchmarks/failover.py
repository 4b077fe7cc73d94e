"""What a failover costs the clients: `python -m tests.benchmarks.failover`.

Two real cells with a load on one namespace: a client places an order after the other at whichever
cell takes it, as an ingress would that passes requests on, and workers at both cells complete them.
Graceful failovers, ours and the bare `namespace-handover-v2` of the server in turn; then forced
ones, with the active cell's server killed. In the end every order must have completed once.
"""

import asyncio
import itertools
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client

from provisioning.ports import Incarnation
from provisioning.replicas.types import ReplicationState
from tests.eventually import eventually
from tests.pair import running_pair
from tests.provisioning.replicas.load import Load, placing, under_load, working
from tests.provisioning.replicas.tenancy import PATIENCE, Tenancy

GRACEFUL = 12
FORCED = 5
LAG = timedelta(seconds=10)

FailOver = Callable[[Incarnation, Incarnation], Awaitable[None]]


async def main() -> None:
    # A short path: sockets lie in it.
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder:
        async with running_pair(Path(folder) / "home") as pair:
            tenancy = await Tenancy.of(pair)
            await tenancy.replicate()
            async with under_load(tenancy) as load:
                await _graceful(tenancy, load)
            print(f"{len(load.placed)} orders were placed meanwhile, and each completed once")
            lossy = await Tenancy.of(pair)
            await lossy.replicate()
            async with working(lossy) as load:
                async with placing(load):
                    await _forced(lossy, load)
                await _count_lost(lossy, load)


async def _graceful(tenancy: Tenancy, load: Load) -> None:
    ways: dict[str, FailOver] = {"ours": _ours(tenancy), "bare": _bare(tenancy)}
    took: dict[str, list[float]] = defaultdict(list)
    paused: dict[str, list[float]] = defaultdict(list)
    directions = [(tenancy.here, tenancy.there), (tenancy.there, tenancy.here)]
    for number in range(-1, GRACEFUL // 2):
        for (way, fail_over), (active, passive) in itertools.product(ways.items(), directions):
            load.pause = 0.0
            began = time.perf_counter()
            await fail_over(active, passive)
            await tenancy.replication.await_active(passive, passive.cell, PATIENCE)
            seconds = time.perf_counter() - began
            await load.grown(20)
            await _settled(tenancy, active, passive)
            if number >= 0:
                took[way].append(seconds)
                paused[way].append(load.pause)
    print(f"\nGraceful failover, {GRACEFUL} times each in turn: the clients' pause, and all of it")
    print(f"{'':8}{'pause p50':>12}{'p99':>10}{'total p50':>12}{'p99':>10}")
    for way in ways:
        figures = [_p(values[way], q) for values in (paused, took) for q in (50, 99)]
        print(f"{way:8}{figures[0]:>10.2f} s{figures[1]:>8.2f} s", end="")
        print(f"{figures[2]:>10.2f} s{figures[3]:>8.2f} s")
    ratios = [
        _p(values["ours"], q) / _p(values["bare"], q) for values in (paused, took) for q in (50, 99)
    ]
    print(f"{'ratio':8}{ratios[0]:>12.2f}{ratios[1]:>10.2f}{ratios[2]:>12.2f}{ratios[3]:>10.2f}")


async def _forced(tenancy: Tenancy, load: Load) -> None:
    """Kill the active cell's server, and make the other one active at once."""
    took: list[float] = []
    for _ in range(FORCED):
        server = tenancy.source.cell.temporal
        taken = load.taken[tenancy.target.id]

        async def survivor_took_one(taken: int = taken) -> bool:
            return load.taken[tenancy.target.id] > taken

        began = time.perf_counter()
        await tenancy.pair.kill(server)
        await tenancy.replication.force(tenancy.there)
        await tenancy.replication.await_active(tenancy.there, tenancy.there.cell, PATIENCE)
        await eventually(survivor_took_one, every=0.005)
        took.append(time.perf_counter() - began)
        await tenancy.pair.start(server)
        await _settled(tenancy, tenancy.here, tenancy.there)
        await tenancy.hand_over(tenancy.there, tenancy.here)
        await load.grown(20)
    print(
        f"\nForced failover, {FORCED} times: from SIGKILL to the first order that the survivor took"
    )
    print(f"{'p50':>12}{_p(took, 50):>10.2f} s\n{'worst':>12}{max(took):>10.2f} s")


async def _count_lost(tenancy: Tenancy, load: Load) -> None:
    """Print how many orders are nowhere, which is what a forced failover may cost."""

    async def are_done() -> bool:
        await tenancy.replication.revive(tenancy.here)
        statuses = await tenancy.statuses(tenancy.source)
        return all("RUNNING" not in statuses.get(placed, []) for placed in load.placed)

    await eventually(are_done, within=300, every=1)
    known = await tenancy.statuses(tenancy.source)
    lost = [placed for placed in load.placed if "COMPLETED" not in known.get(placed, [])]
    print(
        f"{len(lost)} of {len(load.placed)} orders were lost by that: {', '.join(lost) or 'none'}"
    )


def _ours(tenancy: Tenancy) -> FailOver:
    async def fail_over(active: Incarnation, to: Incarnation) -> None:
        await tenancy.replication.hand_over(active, to.cell, PATIENCE, LAG)

    return fail_over


def _bare(tenancy: Tenancy) -> FailOver:
    async def fail_over(active: Incarnation, to: Incarnation) -> None:
        cell = next(cell for cell in tenancy.pair.cells if cell.id == active.cell)
        client: Client = await cell.client()
        await client.execute_workflow(
            "namespace-handover-v2",
            {
                "Namespace": active.namespace,
                "RemoteCluster": to.cell,
                "AllowedLaggingSeconds": 10,
                "HandoverTimeoutSeconds": 30,
            },
            id=f"bare-{time.monotonic_ns()}",
            task_queue="default-worker-tq",
        )

    return fail_over


async def _settled(tenancy: Tenancy, before: Incarnation, after: Incarnation) -> None:
    """Return once both cells are at rest, and so ready for the next failover."""
    await tenancy.replication.await_active(before, after.cell, PATIENCE)

    async def at_rest() -> bool:
        facts = [await tenancy.facts(at) for at in (before, after)]
        return (
            all(found.state is ReplicationState.NORMAL for found in facts)
            and len({found.failover_version for found in facts}) == 1
        )

    await eventually(at_rest)


def _p(values: Sequence[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


if __name__ == "__main__":
    asyncio.run(main())
