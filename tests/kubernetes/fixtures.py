"""The cluster that the tests of one process share."""

from collections.abc import AsyncIterator

import pytest

from tests.kubernetes.cluster import RunningCluster, running_cluster


@pytest.fixture(scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningCluster]:
    """A Kubernetes cluster shared by the whole session: use a namespace of your own in it."""
    async with running_cluster(tmp_path_factory.mktemp("kubernetes")) as running:
        yield running
