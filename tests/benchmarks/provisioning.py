"""What durability costs: `python -m tests.benchmarks.provisioning`.

Measures the time from CreateNamespace to the first completed workflow, and how many namespaces
become active per second, against a plain script in the same run: the same adapters making the same
calls in the same order, with no engine, no entity, no API and nothing recorded in between. The
script survives nothing; the ratio is the price of surviving everything.
"""

import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.worker import Worker

from cells.ingress.records import AdmissionRules
from cells.placement import place
from cells.runtime.absent import AbsentRuntime
from controlplane.adapters import adapters
from controlplane.ids import ingress_name, server_name
from controlplane.local.control_plane import service_environment
from controlplane.local.home import Home
from controlplane.settings import Settings
from provisioning.activities import ENDPOINT_TTL, ProvisioningActivities
from provisioning.plan import RENEW_BEFORE
from provisioning.ports import ClientTrust, Incarnation
from provisioning.types import DEMAND
from tests.e2e.greeting import Greeting, greet
from tests.fleet import running_fleet
from tests.tenant import REGIONS, Tenant, tenant_of
from tests.traces import engine_of

SEQUENTIAL = 30
CONCURRENT = {1: 20, 8: 64, 32: 160}
POLL_ALONE_SECONDS = 0.02
# As many clients polling as fast would measure little but their polling.
POLL_TOGETHER_SECONDS = 0.2
WARM_UP = 3

Create = Callable[[str, str], Awaitable[None]]


@dataclass(frozen=True)
class Durable:
    """Creation as tenants ask for it: through the API, carried out by the namespace's entity."""

    tenant: Tenant
    poll_seconds: float

    async def create(self, name: str, region: str) -> None:
        operation = await self.tenant.create(name, region)
        ended = await self.tenant.finished(operation, every=self.poll_seconds)
        assert ended.state == AsyncOperation.STATE_FULFILLED, ended.failure_reason


@dataclass(frozen=True)
class Plain:
    """The same calls, one after the other, by a script that forgets."""

    tenant: Tenant
    world: ProvisioningActivities

    async def create(self, name: str, region: str) -> None:
        world, namespace = self.world, self.tenant.id(name)
        cell = place(region, DEMAND, await world.fleet.cells()).cell
        assert cell is not None
        target, host = (
            Incarnation(namespace, str(uuid4()), cell),
            server_name(namespace, world.zone),
        )
        client_ca = self.tenant.ca.certificate_pem.decode()
        await world.databases.prepare(target, host)
        trust = ClientTrust(client_ca, managed_ca=False)
        issued = await world.certificates.ensure(target, host, trust, RENEW_BEFORE)
        await world.registrar.register(target, timedelta(days=7), {})
        await world.ingress.admit(target, host, AdmissionRules(client_ca))
        await world.dns.publish(host, ingress_name(cell, world.zone), ENDPOINT_TTL, target.uid)
        await world.prober.prove(target, host, issued.fingerprint, api_keys=False)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with running_fleet(Path(folder) / "home") as fleet, tenant_of(fleet) as tenant:
            settings = Settings.from_env(service_environment(Home(fleet.home), fleet.record))
            async with adapters(settings, await engine_of(fleet), AbsentRuntime()) as activities:
                plain = Plain(tenant, activities.provisioning).create
                await _sequential(tenant, Durable(tenant, POLL_ALONE_SECONDS).create, plain)
                await _concurrent(Durable(tenant, POLL_TOGETHER_SECONDS).create, plain)
                await _where_the_time_goes(tenant)


async def _sequential(tenant: Tenant, durable: Create, plain: Create) -> None:
    """One namespace after the other, the two ways in turn."""
    took: dict[str, list[float]] = {"durable": [], "plain": []}
    for n in range(-WARM_UP, SEQUENTIAL):
        for way, create in (("durable", durable), ("plain", plain)):
            name, region = f"{way}-{n + WARM_UP}", REGIONS[n % 3]
            start = time.perf_counter()
            await create(name, region)
            await _first_workflow(tenant, name, region)
            if n >= 0:
                took[way].append(time.perf_counter() - start)
    print("\nFrom CreateNamespace to the first completed workflow, one at a time")
    print(f"{'':10}{'p50':>10}{'p99':>10}")
    for way, seconds in took.items():
        print(f"{way:10}{_ms(_p(seconds, 50)):>10}{_ms(_p(seconds, 99)):>10}")
    ratios = [_p(took["durable"], q) / _p(took["plain"], q) for q in (50, 99)]
    print(f"{'ratio':10}{ratios[0]:>10.2f}{ratios[1]:>10.2f}")


async def _concurrent(durable: Create, plain: Create) -> None:
    print("\nNamespaces becoming active per second")
    print(f"{'at once':10}{'durable':>10}{'plain':>10}{'ratio':>10}")
    for width, count in CONCURRENT.items():
        rates = [
            await _rate(create, f"{way}-{width}-", width, count)
            for way, create in (("d", durable), ("p", plain))
        ]
        print(f"{width:<10}{rates[0]:>10.1f}{rates[1]:>10.1f}{rates[0] / rates[1]:>10.2f}")


async def _rate(create: Create, prefix: str, width: int, count: int) -> float:
    numbers = iter(range(count))

    async def one_after_the_other() -> None:
        for n in numbers:
            await create(f"{prefix}{n}", REGIONS[n % 3])

    start = time.perf_counter()
    await asyncio.gather(*(one_after_the_other() for _ in range(width)))
    return count / (time.perf_counter() - start)


async def _where_the_time_goes(tenant: Tenant) -> None:
    """One at a time again, for the times that the operation itself records."""
    steps: dict[str, list[float]] = defaultdict(list)
    headers = {"authorization": f"Bearer {tenant.fleet.api_key}"}
    async with httpx.AsyncClient(
        base_url=tenant.fleet.url, headers=headers, trust_env=False
    ) as fleet_api:
        for n in range(SEQUENTIAL // 2):
            operation = await tenant.create(f"step-{n}", REGIONS[n % 3])
            await tenant.finished(operation)
            answer = await fleet_api.get(f"/fleet/v1/operations/{operation}")
            for step in answer.raise_for_status().json()["steps"]:
                steps[step["step"]].append(_seconds(step["started_at"], step["finished_at"]))
    print("\nWhere the time of a creation goes (p50; the three after SelectCell run side by side)")
    for name, seconds in steps.items():
        print(f"  {name:20}{_ms(_p(seconds, 50)):>10}")


async def _first_workflow(tenant: Tenant, name: str, region: str) -> None:
    client = await tenant.connect(name, region)
    async with Worker(client, task_queue="first", workflows=[Greeting], activities=[greet]):
        await client.execute_workflow(Greeting.run, "first", id="first", task_queue="first")


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def _p(seconds: Sequence[float], percentile: int) -> float:
    ordered = sorted(seconds)
    return ordered[min(len(ordered) * percentile // 100, len(ordered) - 1)]


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms"


if __name__ == "__main__":
    asyncio.run(main())
