"""Replication outlives its servers and bridges: what was begun on one side is on the other."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.api.namespace.v1 import UpdateNamespaceInfo
from temporalio.api.operatorservice.v1 import ListClustersRequest
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError

from cells.release import Software
from controlplane.local.runtime import LocalRuntime
from tests.eventually import eventually
from tests.pair import Pair, PairedCell, running_pair

pytestmark = pytest.mark.timeout(300)

ARRIVES_WITHIN = 120


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """Where a home can be: its path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="home-", dir="/tmp") as folder:
        yield Path(folder).resolve() / "home"


@pytest.fixture(scope="module")
async def pair(home: Path) -> AsyncIterator[Pair]:
    async with running_pair(home) as running:
        yield running


async def namespace_of(pair: Pair, active: PairedCell, *replicas: PairedCell) -> str:
    name = f"replicated-{uuid4().hex[:8]}"
    await pair.register(name, active, *replicas)
    return name


async def begin(client: Client, workflow: str) -> None:
    """Start a workflow, as soon as somebody takes it."""

    async def begun() -> bool:
        try:
            await client.start_workflow("Waits", id=workflow, task_queue="nobody")
        except (RPCError, RuntimeError):  # The latter until it has connected once.
            return False
        return True

    await eventually(begun, within=ARRIVES_WITHIN)


async def arrived(cell: PairedCell, namespace: str, workflows: set[str]) -> None:
    client = await cell.client(namespace, ask_here=True)
    missing = workflows

    async def all_there() -> bool:
        nonlocal missing
        try:
            missing = workflows - {found.id async for found in client.list_workflows()}
        except (RPCError, RuntimeError):  # The latter until it has connected once.
            return False
        return not missing

    try:
        await eventually(all_there, within=ARRIVES_WITHIN, every=0.2)
    except TimeoutError:
        pytest.fail(f"{len(missing)} of {len(workflows)} never arrived: {sorted(missing)[:5]}")


@contextlib.asynccontextmanager
async def load(cell: PairedCell, namespace: str) -> AsyncIterator[set[str]]:
    """Begin workflows without a pause; yield those that the server said were begun."""
    client = await cell.client(namespace)
    begun: set[str] = set()

    async def begin_all() -> None:
        while True:
            workflow = f"loaded-{len(begun)}"
            await begin(client, workflow)
            begun.add(workflow)

    async def grown(by: int) -> None:
        goal = len(begun) + by

        async def enough() -> bool:
            return len(begun) >= goal

        await eventually(enough, within=ARRIVES_WITHIN)

    loading = asyncio.create_task(begin_all())
    try:
        await grown(50)
        yield begun
        await grown(50)
    finally:
        loading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loading


@pytest.mark.parametrize(
    ("restarted", "how"),
    [("the puller", "killed"), ("the source", "killed"), ("both", "stopped")],
    ids=["puller killed", "source killed", "both stopped"],
)
async def test_nothing_that_was_begun_while_servers_restart_is_missing_in_the_peer(
    pair: Pair, restarted: str, how: str
) -> None:
    source, puller = pair.cells
    namespace = await namespace_of(pair, source, puller)
    servers = {
        "the puller": [puller.cell.temporal],
        "the source": [source.cell.temporal],
        "both": [source.cell.temporal, puller.cell.temporal],
    }[restarted]
    async with load(source, namespace) as begun:
        await arrived(puller, namespace, {"loaded-0"})
        if how == "killed":
            await pair.kill(*servers)
        else:
            await pair.restart(*servers)
    await arrived(puller, namespace, begun)


async def test_a_bridge_that_dies_is_started_again_and_replication_goes_on(pair: Pair) -> None:
    source, puller = pair.cells
    namespace = await namespace_of(pair, source, puller)
    async with load(source, namespace) as begun:
        await pair.kill(source.cell.bridge)
    await arrived(puller, namespace, begun)


async def test_each_server_keeps_its_own_names_when_a_bridge_was_away(pair: Pair) -> None:
    one, other = pair.cells
    namespace = await namespace_of(pair, one, other)
    expected = {one: ("active", {"active", other.id}), other: (one.id, {"active", one.id})}

    async def names_in(cell: PairedCell) -> tuple[str, set[str]]:
        client = await cell.client(namespace, ask_here=True)
        found = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=namespace)
        )
        replication = found.replication_config
        return replication.active_cluster_name, {c.cluster_name for c in replication.clusters}

    async def known_to(cell: PairedCell) -> set[str]:
        client = await cell.client()
        found = await client.operator_service.list_clusters(ListClustersRequest())
        return {cluster.cluster_name for cluster in found.clusters}

    async def told_of(description: str) -> None:
        async def told() -> bool:
            client = await other.client(namespace, ask_here=True)
            found = await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=namespace)
            )
            return found.namespace_info.description == description

        await eventually(told, within=ARRIVES_WITHIN)

    async def describe_as(description: str) -> None:
        client = await one.client(namespace)
        await client.workflow_service.update_namespace(
            UpdateNamespaceRequest(
                namespace=namespace, update_info=UpdateNamespaceInfo(description=description)
            )
        )

    await pair.cut(one, other)
    await describe_as("changed while the bridges were away")
    await pair.mend(one, other)
    await told_of("changed while the bridges were away")

    assert {cell: await names_in(cell) for cell in pair.cells} == expected
    assert await known_to(one) == {"active", other.id}
    assert await known_to(other) == {"active", one.id}


@pytest.mark.parametrize(
    ("older", "newer"),
    [("1.30.2", "1.31.2"), ("1.31.2", "1.32.0")],
    ids=["1.30 and 1.31", "1.31 and 1.32"],
)
async def test_neighbouring_versions_replicate_and_stay_joined_when_one_is_upgraded(
    short_path: Path, older: str, newer: str
) -> None:
    async with running_pair(short_path / "home", older, newer) as pair:
        upgraded, other = pair.cells
        ways = [(upgraded, other), (other, upgraded)]
        namespaces = await asyncio.gather(*(namespace_of(pair, *way) for way in ways))

        async def replicates(workflow: str) -> None:
            for (source, puller), namespace in zip(ways, namespaces, strict=True):
                await begin(await source.client(namespace), workflow)
                await arrived(puller, namespace, {workflow})

        await replicates("before")
        runtime = LocalRuntime(pair.home)
        await runtime.deploy(upgraded.id, upgraded.layout.spec, Software(newer), 1)
        await replicates("after")
