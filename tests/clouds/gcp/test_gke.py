"""A real API server lets in whom Google's tokens say that it is, and nobody else."""

from pathlib import Path

import pytest

from cells.providers.gcp.cloud import GcpCloud
from cells.providers.types import ClusterAccess
from tests.clouds.gcp.cells import BLUEPRINT, PROJECT, built
from tests.clouds.gcp.gke_authenticator import gke_authenticator
from tests.clouds.gcp.stand_in import StandIn
from tests.failures import KUBERNETES
from tests.kubernetes.api import KubernetesApi, Refused
from tests.kubernetes.cluster import running_cluster

pytestmark = [pytest.mark.xdist_group(KUBERNETES), pytest.mark.timeout(600)]


async def test_a_cell_s_cluster_is_its_service_account_s_and_not_the_organisation_s(
    gcp: StandIn, cloud: GcpCloud, tmp_path: Path
) -> None:
    account = await cloud.ensure_account(BLUEPRINT)
    authenticator = gke_authenticator(gcp.world, PROJECT)
    async with running_cluster(tmp_path / "gke", authenticator=authenticator) as cluster:
        foundation = built(gcp, account, cluster.cluster.endpoint, cluster.cluster.ca)

        access = await cloud.cluster_access(foundation)

        namespaces = "/api/v1/namespaces"
        async with KubernetesApi(access) as ours:
            assert (await ours.get(namespaces))["items"]
        foreign = gcp.world.new_token(gcp.world.us)
        for token, status in ((foreign, 403), ("made up", 401)):
            others = ClusterAccess(access.cluster, token, access.expires_at)
            async with KubernetesApi(others) as theirs:
                with pytest.raises(Refused) as refused:
                    await theirs.get(namespaces)
                assert refused.value.status == status
