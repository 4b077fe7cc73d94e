"""Real Terraform builds a cell's module with what the adapter gives it, and takes it down again."""

import asyncio
from pathlib import Path

import pytest

from cells.infrastructure.settings import InfrastructureSettings
from cells.infrastructure.terraform import TerraformInfrastructure
from cells.providers.types import Cluster
from cells.types import Provider
from tests.clouds.gcp.cells import BLUEPRINT, CA, NAME, PROJECT
from tests.clouds.gcp.region import DatabaseServer, FurnishedGcp, gcp_region
from tests.clouds.gcp.stand_in import StandIn
from tests.kubernetes.authenticator import User
from tests.terraform.stand_in import stand_in

MODULES = Path(__file__).parents[3] / "terraform" / "modules"


@pytest.mark.timeout(600)
async def test_a_cell_s_infrastructure_stands_lets_us_in_and_goes(
    gcp: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terraform = await asyncio.to_thread(stand_in, tmp_path / "terraform")
    for name, value in terraform.env.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "work").mkdir()
    told = list[str]()

    async def tell(text: str) -> None:
        told.append(text)

    server = DatabaseServer(port=1, role="postgres", password="of the first role")
    async with gcp_region(gcp, terraform.cloud, server) as region:
        region.cluster = Cluster("any", "https://127.0.0.1:6443", CA)
        cloud = FurnishedGcp(region)
        infrastructure = TerraformInfrastructure(
            InfrastructureSettings(terraform.program, MODULES, tmp_path / "work"),
            {Provider.GCP: cloud},
        )
        account = await cloud.ensure_account(BLUEPRINT)

        foundation = await infrastructure.build(BLUEPRINT, account, tell)

        assert foundation.account == account
        assert foundation.cluster == Cluster(NAME, "https://127.0.0.1:6443", CA)
        assert foundation.database == f"{region.address}:5432"
        assert terraform.cloud.census()["google_container_cluster"] == 1
        assert (await infrastructure.plan(BLUEPRINT, account)).is_empty
        access = await cloud.cluster_access(foundation)
        assert access.cluster == foundation.cluster
        assert await region.authenticate(access.token) == User(
            account.acts_as, ("system:authenticated", "system:masters")
        )
        login = await cloud.database_login(foundation)
        assert (login.role, login.password) == (server.role, server.password)
        assert await cloud.leftovers(BLUEPRINT, account)

        await infrastructure.dismantle(BLUEPRINT, account, tell)

        assert not any(terraform.cloud.census().values())
        assert list(await cloud.leftovers(BLUEPRINT, account)) == []
        await cloud.close_account(BLUEPRINT, account)
        assert not gcp.world.projects[PROJECT].is_active
        await cloud.close()
    assert any("google_container_cluster" in line for line in told)
