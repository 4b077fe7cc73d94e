from collections.abc import AsyncIterator

import pytest

from cells.runtime.memory import MemoryRuntime
from cells.types import Capacity, CellAddresses, CellSpec, Provider
from controlplane.local.servers import known_versions
from tests.runtime.changed_cell import ChangedCell
from tests.runtime.kubernetes.fixtures import installed as installed
from tests.runtime.local_cell import running_cells

START_VERSION = "1.31.2"


@pytest.fixture(scope="session", params=["memory", "local"])
async def cell(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ChangedCell]:
    """A cell of each runtime: whatever a test finds it with, it may leave it with another."""
    if request.param == "local":
        async with running_cells(tmp_path_factory.mktemp("cell") / "home", START_VERSION) as [one]:
            yield ChangedCell(one.runtime, one.id, one.layout.spec, one.pid)
        return
    runtime = MemoryRuntime(known=known_versions())
    addresses = CellAddresses("", "", "", "", "")
    capacity = Capacity(namespaces=1, actions_per_second=1)
    spec = CellSpec(Provider.AWS, "aws-us-east-1", 0, START_VERSION, capacity, addresses)

    async def effects() -> int:
        return len(runtime.effects)

    yield ChangedCell(runtime, "memory-c0", spec, effects)
