"""One cell that is installed in a cluster, for all tests that change it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from cells.types import CellSpec
from tests.kubernetes.cluster import RunningCluster
from tests.runtime.kubernetes.installed_cell import CellInCluster, cell_in_cluster


@dataclass
class InstalledCell:
    """A cell that serves. Whatever a test finds it with, it may leave it with another."""

    cell: CellInCluster
    spec: CellSpec
    generation: int = 0

    def next_generation(self) -> int:
        self.generation += 1
        return self.generation

    async def frontends(self) -> frozenset[str]:
        """Return who answers clients: others after each roll-out."""
        return frozenset(await self.cell.pods("frontend"))


@pytest.fixture(scope="session")
async def installed(
    cluster: RunningCluster, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[InstalledCell]:
    folder = tmp_path_factory.mktemp("installed")
    async with cell_in_cluster(cluster, folder, "aws-us-east-1-k1", "k1abcdef") as cell:
        yield InstalledCell(cell, cell.spec(await cell.install()))
