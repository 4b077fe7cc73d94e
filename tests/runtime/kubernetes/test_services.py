"""What is brought to a cluster for a new cell, and what is taken out of it again."""

import contextlib
from pathlib import Path

import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from cells.providers.types import ClusterAccess, Foundation
from cells.runtime.kubernetes.clusters import Clusters
from cells.runtime.kubernetes.documents import text
from cells.runtime.kubernetes.services import KubernetesServices
from cells.runtime.observer import AddressObserver
from cells.stores.names import TEMPORAL
from controlplane.secrets.port import cell_temporal_database
from tests.kubernetes.cluster import RunningCluster
from tests.runtime.kubernetes.fixtures import InstalledCell
from tests.runtime.kubernetes.installed_cell import CellInCluster, cell_in_cluster

pytestmark = pytest.mark.timeout(600)


class Died(Exception):
    """Whoever was at work is no more."""


async def test_what_is_installed_answers_at_all_its_addresses(installed: InstalledCell) -> None:
    observer = AddressObserver(installed.cell.clusters.secrets)
    observed = await observer.observe(installed.cell.id, installed.spec)
    assert observed.problems == []
    assert observed.server_version == installed.spec.server_version


async def test_stores_have_the_schema_of_the_server_before_it_runs(
    installed: InstalledCell,
) -> None:
    cell = installed.cell
    password = await cell.clusters.secrets.get(cell_temporal_database(cell.id))
    assert password is not None
    conninfo = make_conninfo(
        f"postgresql://{TEMPORAL}@{cell.foundation.database}/{TEMPORAL}", password=password.decode()
    )
    async with await AsyncConnection.connect(conninfo) as connection:
        rows = await connection.execute("SELECT curr_version FROM schema_version")
        assert await rows.fetchall() == [("1.19",)]


async def test_what_is_installed_already_is_left_alone(installed: InstalledCell) -> None:
    before = await installed.cell.pods("frontend") | await installed.cell.pods("ingress")
    assert await installed.cell.install() == installed.spec.addresses
    assert await installed.cell.pods("frontend") | await installed.cell.pods("ingress") == before


async def test_a_cluster_that_does_not_let_us_in_says_so(installed: InstalledCell) -> None:
    cell = installed.cell
    assert await cell.services.admitted(cell.blueprint, cell.foundation) == []
    stranger = KubernetesServices(Clusters(Stranger(cell), cell.clusters.secrets))
    (reason,) = await stranger.admitted(cell.blueprint, cell.foundation)
    assert "does not let us in" in reason
    assert "nobody-knows-it" not in reason


class Stranger:
    """A cloud whose tokens no cluster knows."""

    def __init__(self, cell: CellInCluster) -> None:
        self._cell = cell

    async def cluster_access(self, foundation: Foundation) -> ClusterAccess:
        assert foundation == self._cell.foundation
        return self._cell.cloud.cluster.as_user("nobody-knows-it")


async def test_whoever_dies_while_installing_is_followed_by_one_who_ends_right(
    cluster: RunningCluster, tmp_path: Path
) -> None:
    async with cell_in_cluster(cluster, tmp_path, "gone-c1", "gone1234") as cell:
        addresses, lives = None, 0
        while addresses is None:
            lives += 1
            heard: list[str] = []

            async def until_the_last(
                line: str, lives: int = lives, heard: list[str] = heard
            ) -> None:
                heard.append(line)
                if len(heard) == lives:
                    raise Died(line)

            with contextlib.suppress(Died):
                addresses = await cell.services.install(
                    cell.blueprint, cell.foundation, until_the_last
                )
        assert lives > 3, "each goes one step further than the one before"
        assert await cell.install() == addresses
        async with cell.client() as client:
            jobs = await client.listed("batch/v1", "Job", cell.id)
            assert len(jobs) == 2, "one for each store, however often it was begun"

        for _ in range(2):
            await cell.remove()
        async with cell.client() as client:
            assert await client.get("v1", "Namespace", cell.id) is None
            services = await client.listed("v1", "Service")
            assert cell.id not in {text(found, "metadata", "namespace") for found in services}
