"""Whatever dies, and whenever: a creation finishes once, and one of everything exists."""

import asyncio
from pathlib import Path

import pytest
from temporalio.api.cloud.operation.v1 import AsyncOperation

from controlplane.local.control_plane import ENGINE
from tests.eventually import eventually
from tests.faults.faulty_worker import faulty_worker
from tests.faults.replays import assert_everything_replays
from tests.fleet import RunningFleet
from tests.tenant import REGIONS, Tenant
from tests.traces import engine_of, traces

CALLS = (
    "fleet.reserve",
    "databases.prepare",
    "certificates.ensure",
    "registrar.register",
    "ingress.admit",
    "dns.publish",
    "prober.prove",
    "projection.publish_namespace",
)
"""What the steps of a creation ask of the world, in their order."""
UNDOS = (
    "dns.withdraw",
    "ingress.dismiss",
    "registrar.deregister",
    "certificates.destroy",
    "databases.remove",
)
WHEN = ("before", "during", "after")


@pytest.mark.timeout(900)
async def test_a_worker_killed_in_and_between_all_steps_creates_each_namespace_once(
    fleet: RunningFleet, tenant: Tenant, tmp_path: Path
) -> None:
    plans = [(call, when) for call in CALLS for when in WHEN]
    async with faulty_worker(fleet, tmp_path / "faults") as worker:
        for n, (call, when) in enumerate(plans):
            worker.faults.plan(tenant.id(f"killed-{n}"), call, "kill", when)

        operations = await asyncio.gather(
            *(tenant.create(f"killed-{n}", REGIONS[n % 3]) for n in range(len(plans)))
        )
        ends = await asyncio.gather(*(tenant.finished(op, within=600) for op in operations))

        assert worker.faults.planned() == [], "every fault struck"
        assert 0 < worker.deaths <= len(plans), "two may strike one process at the same moment"
    for n, end in enumerate(ends):
        assert end.state == AsyncOperation.STATE_FULFILLED, (plans[n], end.failure_reason)
        await _assert_one_of_everything(fleet, tenant, f"killed-{n}", REGIONS[n % 3])
    await assert_everything_replays(fleet)
    await tenant.deleted(*(f"killed-{n}" for n in range(len(plans))))


@pytest.mark.timeout(900)
async def test_a_worker_killed_in_and_between_all_undos_leaves_nothing(
    fleet: RunningFleet, tenant: Tenant, tmp_path: Path
) -> None:
    plans = [(call, when) for call in UNDOS for when in WHEN]
    names = [f"unmade-{n}" for n in range(len(plans))]
    await asyncio.gather(*(tenant.created(name) for name in names))
    async with faulty_worker(fleet, tmp_path / "faults") as worker:
        for name, (call, when) in zip(names, plans, strict=True):
            worker.faults.plan(tenant.id(name), call, "kill", when)

        await tenant.deleted(*names)

        assert worker.faults.planned() == [], "every fault struck"
        assert 0 < worker.deaths <= len(plans), "two may strike one process at the same moment"
    for name in names:
        left = await traces(fleet, tenant.id(name))
        assert left.is_empty, (name, left)


@pytest.mark.timeout(900)
async def test_a_step_that_fails_for_good_after_it_took_effect_is_undone(
    fleet: RunningFleet, tenant: Tenant, tmp_path: Path
) -> None:
    calls = [call for call in CALLS if not call.startswith("projection")]
    async with faulty_worker(fleet, tmp_path / "faults") as worker:
        for n, call in enumerate(calls):
            worker.faults.plan(tenant.id(f"refused-{n}"), call, "reject", "after")

        operations = await asyncio.gather(
            *(tenant.create(f"refused-{n}", REGIONS[n % 3]) for n in range(len(calls)))
        )
        ends = await asyncio.gather(*map(tenant.finished, operations))

        assert worker.faults.planned() == [], "every fault struck"
    for n, end in enumerate(ends):
        assert end.state == AsyncOperation.STATE_FAILED, calls[n]
        assert "refused on purpose" in end.failure_reason
        left = await traces(fleet, tenant.id(f"refused-{n}"))
        assert left.is_empty, (calls[n], left)


@pytest.mark.timeout(900)
async def test_no_creation_is_lost_when_the_engine_is_killed_under_twenty(
    fleet: RunningFleet, tenant: Tenant
) -> None:
    names = [f"shaken-{n}" for n in range(20)]
    creations = [
        asyncio.create_task(tenant.create(name, REGIONS[n % 3])) for n, name in enumerate(names)
    ]
    await fleet.kill(ENGINE)
    assert not all(creation.done() for creation in creations), "there is something to lose"
    for _ in range(2):
        await _engine_answers(fleet)
        await fleet.kill(ENGINE)

    for operation in await asyncio.gather(*creations):
        end = await tenant.finished(operation, within=600)
        assert end.state == AsyncOperation.STATE_FULFILLED, end.failure_reason

    for n, name in enumerate(names):
        await _assert_one_of_everything(fleet, tenant, name, REGIONS[n % 3])
    await assert_everything_replays(fleet)
    await tenant.deleted(*names)


async def _engine_answers(fleet: RunningFleet) -> None:
    async def answers() -> bool:
        try:
            await engine_of(fleet)
        except RuntimeError:  # How the client reports that it could not connect.
            return False
        return True

    await eventually(answers, within=100)


async def _assert_one_of_everything(
    fleet: RunningFleet, tenant: Tenant, name: str, region: str
) -> None:
    namespace, cell = tenant.id(name), f"{region}-c1"
    found = await traces(fleet, namespace)
    role = f"ns:{namespace}"
    assert found.records == [namespace]
    assert found.registrations == [namespace]
    assert found.reservations == [f"{cell}: {namespace}"]
    assert found.names == [f"{cell}.cell.{fleet.record.zone}."]
    assert found.roles == [role, f"{role}:a", f"{role}:b"]
    assert found.secrets == [
        f"namespaces/{namespace}/{kind}" for kind in ("certificate", "database")
    ]
