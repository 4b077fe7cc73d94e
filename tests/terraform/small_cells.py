"""Small cells: a module of five resources, run as the large ones are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from cells.infrastructure.settings import InfrastructureSettings
from cells.infrastructure.terraform import TerraformInfrastructure
from cells.life.types import Blueprint
from cells.providers.ports import Variable
from cells.providers.types import Account
from cells.types import Capacity, Provider

MODULES = Path(__file__).parent / "small" / "modules"
ACCOUNT = Account(id="210987654321")
SECRET = "open-sesame-0123456789"  # noqa: S105 - It opens nothing.
BLUEPRINT = Blueprint(
    cell="aws-us-east-1-a",
    uid="kq2x7wma",
    provider=Provider.AWS,
    region="aws-us-east-1",
    ring=1,
    server_version="1.32.0",
    capacity=Capacity(namespaces=100, actions_per_second=1000),
    failover_version=11,
    network="10.7.0.0/16",
)
WHOLE = {
    "aws_vpc": 1,
    "aws_subnet": 1,
    "aws_iam_role": 1,
    "aws_eks_cluster": 1,
    "aws_db_instance": 1,
}
"""The census of one cell."""


@dataclass(frozen=True)
class SmallAccess:
    """What Terraform needs of a cloud."""

    settings: Mapping[str, str]
    """Of the backend."""
    chosen: dict[str, Variable] = field(default_factory=dict)
    """Variables beside those that all cells have."""

    def variables(self, blueprint: Blueprint, account: Account) -> Mapping[str, Variable]:  # noqa: ARG002
        own: dict[str, Variable] = {
            "uid": blueprint.uid,
            "network": blueprint.network,
            "region": blueprint.cloud_region,
        }
        return {**own, **self.chosen}

    async def environment(self, account: Account) -> Mapping[str, str]:  # noqa: ARG002
        return {"AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}

    def backend(self, blueprint: Blueprint) -> Mapping[str, str]:  # noqa: ARG002
        return self.settings


def small_infrastructure(
    program: Path, folder: Path, access: SmallAccess, lock_patience: timedelta = timedelta()
) -> TerraformInfrastructure:
    """Return the real adapter over the small module."""
    settings = InfrastructureSettings(
        program=program,
        modules=MODULES,
        folder=folder,
        lock_patience=lock_patience,
        interrupt_grace=timedelta(minutes=2),
    )
    return TerraformInfrastructure(settings, {Provider.AWS: access})
