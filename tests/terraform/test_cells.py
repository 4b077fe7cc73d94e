"""The real modules of a cell, built by the runner and taken down by it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cells.infrastructure.settings import InfrastructureSettings
from cells.infrastructure.terraform import TerraformInfrastructure
from cells.life.types import Blueprint
from cells.providers.ports import Variable
from cells.providers.types import Account
from cells.types import Provider
from tests.terraform.small_cells import BLUEPRINT
from tests.terraform.stand_in import StandIn
from tests.terraform.state_server import running_state_server

pytestmark = pytest.mark.timeout(900)

_MODULES = Path(__file__).parent.parent.parent / "terraform" / "modules"
_AWS = (BLUEPRINT, Account("210987654321", "arn:aws:iam::210987654321:role/controlplane"))
_GCP = (
    replace(BLUEPRINT, cell="gcp-b", provider=Provider.GCP, region="gcp-europe-west1"),
    Account("cell-kq2x7wma", "keeper@cell-kq2x7wma.iam.gserviceaccount.com"),
)


@dataclass(frozen=True)
class Access:
    """What Terraform needs of a cloud, where nobody asks for rights."""

    settings: Mapping[str, str]

    def variables(self, blueprint: Blueprint, account: Account) -> Mapping[str, Variable]:
        return {
            "cell": blueprint.cell,
            "uid": blueprint.uid,
            "account": account.id,
            "acts_as": account.acts_as,
            "region": blueprint.cloud_region,
            "network": blueprint.network,
            "control_plane_networks": ["10.0.0.0/16"],
            "dns_zone": f"{blueprint.cell}.cells.example.com",
        }

    async def environment(self, account: Account) -> Mapping[str, str]:  # noqa: ARG002
        return {}

    def backend(self, blueprint: Blueprint) -> Mapping[str, str]:  # noqa: ARG002
        return self.settings


@pytest.mark.parametrize(("blueprint", "account"), [_AWS, _GCP], ids=["aws", "gcp"])
async def test_a_cell_of_the_real_modules_stands_and_leaves_nothing(
    terraform: StandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    blueprint: Blueprint,
    account: Account,
) -> None:
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", terraform.env["TF_CLI_CONFIG_FILE"])
    told: list[str] = []

    async def progress(text: str) -> None:
        told.append(text)

    with running_state_server() as state:
        infrastructure = TerraformInfrastructure(
            InfrastructureSettings(terraform.program, _MODULES, tmp_path / "cells"),
            {blueprint.provider: Access(state.backend(blueprint.cell))},
        )

        foundation = await infrastructure.build(blueprint, account, progress)

        assert foundation.region == blueprint.cloud_region
        assert foundation.cluster.name == f"cell-{blueprint.uid}"
        assert set(foundation.identities) >= {"temporal"}
        assert (await infrastructure.plan(blueprint, account)).is_empty

        await infrastructure.dismantle(blueprint, account, progress)

    assert "switching deletion protection off" in told
    assert terraform.cloud.resources() == {}
