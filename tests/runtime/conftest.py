from collections.abc import AsyncIterator

import pytest

from cells.runtime.memory import MemoryRuntime
from cells.types import Capacity, CellAddresses, CellSpec, Provider
from controlplane.local.servers import known_versions
from tests.kubernetes.cluster import running_cluster
from tests.runtime.changed_cell import ChangedCell
from tests.runtime.kubernetes.fixtures import InstalledCell
from tests.runtime.kubernetes.fixtures import installed as installed
from tests.runtime.kubernetes.installed_cell import cell_in_cluster
from tests.runtime.local_cell import running_cells

START_VERSION = "1.31.2"


@pytest.fixture(scope="session", params=["memory", "local", "kubernetes"])
async def cell(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ChangedCell]:
    """A cell of each runtime: whatever a test finds it with, it may leave it with another."""
    if request.param == "local":
        async with running_cells(tmp_path_factory.mktemp("cell") / "home", START_VERSION) as [one]:
            yield ChangedCell(one.runtime, one.id, one.layout.spec, one.pid)
        return
    if request.param == "kubernetes":
        folder = tmp_path_factory.mktemp("cluster")
        async with (
            running_cluster(folder / "kubernetes") as cluster,
            cell_in_cluster(cluster, folder, "aws-us-east-1-k2", "k2abcdef") as cell,
        ):
            installed = InstalledCell(cell, cell.spec(await cell.install()))
            yield ChangedCell(cell.runtime(), cell.id, installed.spec, installed.frontends)
        return
    runtime = MemoryRuntime(known=known_versions())
    addresses = CellAddresses("", "", "", "", "")
    capacity = Capacity(namespaces=1, actions_per_second=1)
    spec = CellSpec(Provider.AWS, "aws-us-east-1", 0, START_VERSION, capacity, addresses)

    async def effects() -> int:
        return len(runtime.effects)

    yield ChangedCell(runtime, "memory-c0", spec, effects)
