"""A namespace of its own for each test of the stand-in."""

import secrets
from collections.abc import AsyncIterator

import pytest

from tests.kubernetes.api import KubernetesApi
from tests.kubernetes.cluster import RunningCluster
from tests.kubernetes.workloads import Space


@pytest.fixture
async def space(cluster: RunningCluster) -> AsyncIterator[Space]:
    """A namespace of one test; what it has runs until the test ends."""
    name = f"test-{secrets.token_hex(4)}"
    async with KubernetesApi(cluster.access) as api:
        await api.create("/api/v1/namespaces", {"metadata": {"name": name}})
        space = Space(api, name, cluster)
        await space.until_pods_are_admitted()
        yield space
        await api.delete(f"/api/v1/namespaces/{name}", {})
