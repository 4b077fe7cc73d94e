"""A cell works without the control plane: what runs, keeps running, whatever dies above it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from controlplane.local.control_plane import API, ENGINE, POSTGRES, WORKER
from tests.e2e.greeting import Greeting, greet
from tests.eventually import eventually
from tests.fleet import RunningFleet
from tests.tenant import Tenant

CONTROL_PLANE = (ENGINE, WORKER, API, POSTGRES)
CELL = "aws-us-east-1-c1"


@dataclass
class Load:
    """Workflows run one after the other through an endpoint, and what became of them."""

    completed: int = 0
    errors: list[str] = field(default_factory=list)
    longest_gap: float = 0.0


@pytest.mark.timeout(600)
async def test_namespaces_serve_old_and_new_connections_without_the_control_plane(
    fleet: RunningFleet, tenant: Tenant
) -> None:
    await tenant.created("steady")
    connected_before = await tenant.connect("steady")
    async with _loaded(connected_before) as load:
        async with _without(fleet, *CONTROL_PLANE):
            await _completes_more(load)
            await _greets(await tenant.connect("steady"), "a connection made without")

            # Both start from what they kept on disk: there is no database to ask.
            await fleet.kill(f"{CELL}.gatekeeper")
            await fleet.kill(f"{CELL}.envoy")
            await eventually(lambda: _can_connect(tenant), within=100, every=0.3)
            await _greets(await tenant.connect("steady"), "a connection after both restarted")
            await _completes_more(load)
        await _answers_again(fleet)
        await _completes_more(load)

    assert load.errors == []
    await tenant.deleted("steady")


async def test_a_dead_gatekeeper_lets_connections_live_and_nobody_new_in(
    fleet: RunningFleet, tenant: Tenant
) -> None:
    await tenant.created("guarded")
    connected_before = await tenant.connect("guarded")
    async with _loaded(connected_before) as load:
        async with _without(fleet, f"{CELL}.gatekeeper"):
            await _completes_more(load)
            assert not await _can_connect(tenant, "guarded")
        await eventually(lambda: _can_connect(tenant, "guarded"), within=100, every=0.3)

    assert load.errors == []
    await tenant.deleted("guarded")


@contextlib.asynccontextmanager
async def _without(fleet: RunningFleet, *programs: str) -> AsyncIterator[None]:
    await fleet.stop(*programs)
    try:
        yield
    finally:
        await fleet.start(*programs)


@contextlib.asynccontextmanager
async def _loaded(client: Client) -> AsyncIterator[Load]:
    load = Load()
    async with Worker(client, task_queue="load", workflows=[Greeting], activities=[greet]):
        running = asyncio.create_task(_run(client, load))
        try:
            yield load
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


async def _run(client: Client, load: Load) -> None:
    last = time.monotonic()
    for n in range(1_000_000):
        try:
            await client.execute_workflow(Greeting.run, "load", id=f"load-{n}", task_queue="load")
        except Exception as error:  # noqa: BLE001 - whatever it is, a tenant saw it
            load.errors.append(f"{type(error).__name__}: {error}")
        load.completed += 1
        load.longest_gap = max(load.longest_gap, time.monotonic() - last)
        last = time.monotonic()


async def _completes_more(load: Load) -> None:
    seen = load.completed

    async def more() -> bool:
        return load.completed >= seen + 5

    await eventually(more, within=100)


async def _greets(client: Client, whom: str) -> None:
    queue = f"greetings-{whom.replace(' ', '-')}"
    async with Worker(client, task_queue=queue, workflows=[Greeting], activities=[greet]):
        greeting = await client.execute_workflow(Greeting.run, whom, id=queue, task_queue=queue)
    assert greeting == f"hello, {whom}"


async def _can_connect(tenant: Tenant, name: str = "steady") -> bool:
    try:
        async with asyncio.timeout(5):
            await tenant.connect(name)
    except (RuntimeError, TimeoutError):
        return False
    return True


async def _answers_again(fleet: RunningFleet) -> None:
    async def answers() -> bool:
        return (await fleet.cli("namespace", "list", "-o", "json")).code == 0

    await eventually(answers, within=60, every=0.5)
