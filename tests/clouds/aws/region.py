"""What AWS does for one cell besides what the stand-in of its API does: a cluster, a database."""

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from cells.life.types import Blueprint
from cells.providers.aws.cloud import AwsCloud
from cells.providers.aws.settings import AwsSettings
from cells.providers.types import Account
from controlplane.local.postgres import SUPERUSER
from tests.clouds.aws.eks_authenticator import ADMINISTRATORS, eks_authenticator
from tests.clouds.aws.running import RunningAws
from tests.kubernetes.authenticator import User
from tests.kubernetes.cluster import RunningCluster
from tests.postgres import RunningPostgres
from tests.terraform.stand_in import StandInCloud


@dataclass
class AwsRegion:
    """One region, in which EKS has one real cluster, and RDS one real server."""

    aws: RunningAws
    postgres: RunningPostgres
    made: StandInCloud
    clusters: list[RunningCluster] = field(default_factory=list)
    _doors: dict[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    """By cluster, the groups of those who may enter it."""

    async def authenticate(self, token: str) -> User | None:
        """Say whose a token is, as EKS does: for the cluster whose name was signed."""
        for cluster, entries in self._doors.items():
            if user := await eks_authenticator(self.aws, cluster, entries)(token):
                return user
        return None

    async def furnish(self, blueprint: Blueprint, account: Account) -> None:
        """Let what Terraform makes in this account be the real cluster and the real server."""
        name, (cluster,) = f"cell-{blueprint.uid}", self.clusters
        endpoint, authority = cluster.cluster.endpoint, cluster.cluster.ca
        encoded = base64.b64encode(authority.encode()).decode()
        await self.aws.has_cluster(account.id, blueprint.cloud_region, name, endpoint, authority)
        self._doors[name] = {account.acts_as: ADMINISTRATORS}
        port = self.postgres.server.port
        self.made.override(
            {
                "aws_eks_cluster": {
                    "endpoint": endpoint,
                    "certificate_authority": [{"data": encoded}],
                },
                "aws_db_instance": {
                    "address": "127.0.0.1",
                    "port": port,
                    "endpoint": f"127.0.0.1:{port}",
                    "master_user_secret": [
                        {
                            "secret_arn": await asyncio.to_thread(self._login, blueprint, account),
                            "kms_key_id": "",
                            "secret_status": "active",
                        }
                    ],
                },
            }
        )

    def settle(self, blueprint: Blueprint, account: Account) -> None:
        """Have nothing in the account that Terraform has taken away."""
        name, where = f"cell-{blueprint.uid}", (blueprint.cloud_region, account.id)
        if self.made.census().get("aws_eks_cluster") or self._doors.pop(name, None) is None:
            return
        self.aws.client("eks", *where).delete_cluster(name=name)
        self.aws.client("secretsmanager", *where).delete_secret(
            SecretId=f"rds!{name}", ForceDeleteWithoutRecovery=True
        )

    def _login(self, blueprint: Blueprint, account: Account) -> str:
        secrets = self.aws.client("secretsmanager", blueprint.cloud_region, account.id)
        login = {"username": SUPERUSER, "password": self.postgres.password}
        made = secrets.create_secret(
            Name=f"rds!cell-{blueprint.uid}", SecretString=json.dumps(login)
        )
        return str(made["ARN"])


class FurnishedAws(AwsCloud):
    """AWS as the control plane sees it, in a region that furnishes each account it opens."""

    def __init__(self, settings: AwsSettings, region: AwsRegion) -> None:
        super().__init__(settings, timedelta(seconds=0.05), timedelta(seconds=20))
        self._region = region

    async def ensure_account(self, blueprint: Blueprint) -> Account:
        account = await super().ensure_account(blueprint)
        await self._region.furnish(blueprint, account)
        return account

    async def leftovers(self, blueprint: Blueprint, account: Account) -> Sequence[str]:
        await asyncio.to_thread(self._region.settle, blueprint, account)
        return await super().leftovers(blueprint, account)
