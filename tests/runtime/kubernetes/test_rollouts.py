"""What becomes of a cell in a cluster whose software is changed, for better or for worse."""

import asyncio
from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError

from cells.release import Release, SchemaStep, Software
from cells.runtime.kubernetes.answering import observed, server_version
from cells.runtime.kubernetes.documents import Json, elements, text
from cells.runtime.kubernetes.runtime import KubernetesRuntime
from controlplane.errors import ErrorType
from tests.runtime.kubernetes.fixtures import InstalledCell
from tests.runtime.kubernetes.installed_cell import IMPATIENT

pytestmark = pytest.mark.timeout(600)

OLDER, NEWER = Software("1.31.2"), Software("1.32.0")
DOES_NOT_START = Software("1.32.0", configuration={"frontend.rps": 0})
"""The server's rate limiter panics at this."""


async def deploy(
    installed: InstalledCell, software: Software, runtime: KubernetesRuntime | None = None
) -> None:
    await (runtime or installed.cell.runtime()).deploy(
        installed.cell.id, installed.spec, software, installed.next_generation()
    )


async def test_an_upgrade_replaces_every_service_and_clients_are_answered_all_the_while(
    installed: InstalledCell,
) -> None:
    await deploy(installed, OLDER)
    services = ("history", "matching", "worker", "internal-frontend", "frontend")
    before = {service: await installed.cell.pods(service) for service in (*services, "ingress")}
    async with observed(installed.spec.addresses.frontend) as outage:
        await deploy(installed, NEWER)
    assert await server_version(installed.spec.addresses.frontend) == "1.32.0"
    after = {service: await installed.cell.pods(service) for service in (*services, "ingress")}
    assert [s for s in before if not before[s] & after[s]] == list(services)
    assert before["ingress"] == after["ingress"]
    assert outage.longest.total_seconds() < 10, "one moment at most, on a machine that is busy"


async def test_a_server_that_does_not_come_up_is_undone_and_says_why(
    installed: InstalledCell,
) -> None:
    await deploy(installed, NEWER)
    runtime, generation = installed.cell.runtime(), installed.next_generation()
    for _ in range(2):  # Whoever has not heard the answer hears it again.
        with pytest.raises(ApplicationError, match=r"exit code .*1\.32\.0 runs again") as refused:
            await runtime.deploy(installed.cell.id, installed.spec, DOES_NOT_START, generation)
        assert refused.value.type == ErrorType.REJECTED
    assert await runtime.running(installed.cell.id, installed.spec) == NEWER
    assert await runtime.drift(installed.cell.id, installed.spec) == []
    # A visit then brings back what ran, under a higher generation: nothing is left to be done.
    frontends = await installed.cell.pods("frontend")
    await deploy(installed, NEWER)
    assert await installed.cell.pods("frontend") == frontends
    assert await server_version(installed.spec.addresses.frontend) == "1.32.0"


async def test_an_image_that_cannot_be_had_is_named_and_nothing_stays_changed(
    installed: InstalledCell,
) -> None:
    await deploy(installed, NEWER)
    settings = installed.cell.clusters.settings
    promised = replace(settings, server_versions=(*settings.server_versions, "1.32.9"))
    clusters = replace(
        installed.cell.clusters,
        settings=replace(promised, pace=replace(promised.pace, progress_deadline=IMPATIENT)),
    )
    runtime = KubernetesRuntime(clusters)
    histories = await installed.cell.pods("history")
    found = await runtime.obstacles(installed.cell.id, installed.spec, Release("r", "1.32.9"))
    assert "temporalio/server:1.32.9" in "; ".join(found)
    with pytest.raises(ApplicationError, match=r"1\.32\.9") as refused:
        await deploy(installed, Software("1.32.9"), runtime)
    assert refused.value.type == ErrorType.REJECTED
    assert await runtime.running(installed.cell.id, installed.spec) == NEWER
    assert await installed.cell.pods("history") == histories


async def test_who_works_with_a_lower_generation_stops_when_a_higher_one_begins(
    installed: InstalledCell,
) -> None:
    await deploy(installed, OLDER)
    earlier, later = installed.next_generation(), installed.next_generation()
    # Each in a process of its own, as far as they can tell.
    late = asyncio.create_task(
        installed.cell.runtime().deploy(installed.cell.id, installed.spec, NEWER, earlier)
    )
    await asyncio.sleep(1)
    await installed.cell.runtime().deploy(
        installed.cell.id,
        installed.spec,
        replace(OLDER, configuration={"frontend.rps": 901}),
        later,
    )
    with pytest.raises(ApplicationError) as refused:
        await late
    assert refused.value.type == ErrorType.STALE_GENERATION
    running = await installed.cell.runtime().running(installed.cell.id, installed.spec)
    assert running.server_version == "1.31.2"
    assert await installed.cell.runtime().drift(installed.cell.id, installed.spec) == []


async def test_what_somebody_else_has_set_is_named_shown_as_drift_and_repaired(
    installed: InstalledCell,
) -> None:
    await deploy(installed, OLDER)
    cell, runtime = installed.cell, installed.cell.runtime()
    async with cell.client() as client:
        edited: Json = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "matching", "namespace": cell.id},
            "spec": {"replicas": 2},
        }
        await client.merge(edited, "kubectl-edit")
        policy = await client.get("networking.k8s.io/v1", "NetworkPolicy", "default-deny", cell.id)
        assert policy is not None
        await client.delete(policy)

        assert sorted(await runtime.drift(cell.id, installed.spec)) == [
            "Deployment/matching: spec.replicas is 2, not 1",
            "NetworkPolicy/default-deny is missing",
        ]
        obstacles = await runtime.obstacles(cell.id, installed.spec, Release("r", "1.32.0"))
        assert list(obstacles) == ["Deployment/matching: .spec.replicas is kubectl-edit's"]
        with pytest.raises(
            ApplicationError, match=r"\.spec\.replicas is kubectl-edit's"
        ) as refused:
            await deploy(installed, NEWER)
        assert refused.value.type == ErrorType.REJECTED

        await runtime.repair(cell.id, installed.spec)

        assert await runtime.drift(cell.id, installed.spec) == []
        found = await client.get("apps/v1", "Deployment", "matching", cell.id)
        owners = {
            text(entry, "manager") for entry in elements(found or {}, "metadata", "managedFields")
        }
        assert "controlplane" in owners


async def test_a_schema_that_the_tools_do_not_know_is_refused_with_what_they_say(
    installed: InstalledCell,
) -> None:
    cell, runtime = installed.cell, installed.cell.runtime()
    generation = installed.next_generation()
    steps = [SchemaStep("main", "1.19"), SchemaStep("visibility", "9.9")]
    with pytest.raises(ApplicationError, match=r"visibility .*9\.9") as refused:
        await runtime.migrate_schema(cell.id, installed.spec, steps, generation)
    assert refused.value.type == ErrorType.REJECTED


async def test_dynamic_configuration_that_the_server_does_not_know_is_an_obstacle(
    installed: InstalledCell,
) -> None:
    cell, runtime = installed.cell, installed.cell.runtime()
    release = Release("r", configuration={"frontend.rps": 950, "frontend.noSuchKey": 1})
    (found,) = await runtime.obstacles(cell.id, installed.spec, release)
    assert "frontend.noSuchKey" in found
