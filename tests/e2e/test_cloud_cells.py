"""A cell in a cloud: from an empty account to one that serves, is upgraded, and leaves nothing."""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.client import Client
from temporalio.service import TLSConfig
from temporalio.worker import Worker

from cells.types import Provider
from controlplane.local.postgres import SUPERUSER
from provisioning.certificates.x509 import issue_client
from rollout.types import Outcome, Phase
from tests.clouds.aws.region import AwsRegion, FurnishedAws
from tests.clouds.aws.running import RunningAws
from tests.clouds.gcp.region import DatabaseServer, FurnishedGcp, gcp_region
from tests.clouds.gcp.stand_in import running_gcp
from tests.e2e.cloud_worker import connected_with
from tests.e2e.greeting import Greeting, greet
from tests.e2e.operators import IMPATIENT, Operator, operator_of
from tests.failures import FLEET
from tests.fleet import RunningFleet, running_fleet
from tests.kubernetes.cluster import running_cluster
from tests.postgres import RunningPostgres, running_postgres
from tests.tenant import Tenant, tenant_of
from tests.terraform.stand_in import StandIn, stand_in

pytestmark = [pytest.mark.xdist_group(FLEET), pytest.mark.timeout(900)]

OLD, NEW = "1.31.2", "1.32.0"


@pytest.fixture
async def own_fleet(tmp_path: Path) -> AsyncIterator[RunningFleet]:
    """A fleet of its own: its worker is another than everybody's."""
    async with running_fleet(tmp_path / "home") as fleet:
        yield fleet


@pytest.fixture
def terraform(tmp_path: Path) -> StandIn:
    return stand_in(tmp_path / "terraform")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RunningPostgres]:
    """What the cloud's database service makes."""
    async with running_postgres(tmp_path / "database") as server:
        yield server


async def test_on_aws(
    own_fleet: RunningFleet,
    aws: RunningAws,
    terraform: StandIn,
    server: RunningPostgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await aws.reset()
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    settings = await aws.organization()
    async with contextlib.AsyncExitStack() as running:
        region = AwsRegion(aws, server, terraform.cloud)
        cluster = await running.enter_async_context(
            running_cluster(tmp_path / "eks", authenticator=region.authenticate)
        )
        region.clusters.append(cluster)
        cloud = FurnishedAws(settings, region)
        trial = await running.enter_async_context(
            _trial(own_fleet, Provider.AWS, cloud, "us-east-1", terraform, tmp_path)
        )
        account = await trial.build()
        assert terraform.cloud.census()["aws_eks_cluster"] == 1

        await trial.use_and_upgrade()
        await trial.retire()

    assert terraform.cloud.census() == {}
    described = aws.client("organizations").describe_account(AccountId=account)
    assert described["Account"]["Status"] in ("SUSPENDED", "PENDING_CLOSURE")


async def test_on_gcp(
    own_fleet: RunningFleet,
    terraform: StandIn,
    server: RunningPostgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with contextlib.AsyncExitStack() as running:
        gcp = await running.enter_async_context(running_gcp(tmp_path))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(gcp.credentials_file))
        database = DatabaseServer(server.server.port, SUPERUSER, server.password)
        region = await running.enter_async_context(gcp_region(gcp, terraform.cloud, database))
        cluster = await running.enter_async_context(
            running_cluster(tmp_path / "gke", authenticator=region.authenticate)
        )
        region.cluster = cluster.cluster
        cloud = FurnishedGcp(region)
        running.push_async_callback(cloud.close)
        trial = await running.enter_async_context(
            _trial(own_fleet, Provider.GCP, cloud, "us-central1", terraform, tmp_path)
        )
        project = await trial.build()
        assert terraform.cloud.census()["google_container_cluster"] == 1

        await trial.use_and_upgrade()
        await trial.retire()

        assert terraform.cloud.census() == {}
        assert not gcp.world.projects[project].is_active


@dataclass(frozen=True)
class Trial:
    """One cell in a cloud, beside the one that the embedded fleet has in the region."""

    fleet: RunningFleet
    tenant: Tenant
    operator: Operator
    provider: Provider
    cloud_region: str

    @property
    def region(self) -> str:
        return f"{self.provider.value}-{self.cloud_region}"

    @property
    def cell(self) -> str:
        return f"{self.region}-c9"

    async def build(self) -> str:
        """Build the cell, have all new namespaces of the region go there; return its account."""
        await self.operator.release("temporal-old", server_version=OLD)
        await self.succeeds(
            *("cell", "create", self.cell, "--provider", self.provider.value),
            *("--region", self.cloud_region, "--ring", "1", "--version", OLD),
            *("--actions-per-second", "1000"),
        )
        life = await self.json("cell", "life", self.cell)
        assert life["phase"] == "Ready"
        await self.succeeds(
            *("cell", "cordon", f"{self.region}-c1", "--reason", "the new one is to be tried")
        )
        account: str = life["account"]["id"]
        return account

    async def use_and_upgrade(self) -> None:
        await self.serves("orders")
        await self.operator.release("temporal-new", server_version=NEW)
        rollout = await self.operator.start("temporal-new", policy=IMPATIENT)
        view = await self.operator.until(rollout, Phase.ENDED, Phase.HALTED, within=300)
        assert view.outcome is Outcome.SUCCEEDED, view.message
        assert (await self.operator.servers())[self.cell] == NEW
        await self.serves("bills")

    async def retire(self) -> None:
        await self.tenant.deleted("orders", "bills")
        await self.succeeds(
            *("cell", "decommission", self.cell, "--yes", "--reason", "it was to be tried only")
        )
        assert (await self.json("cell", "life", self.cell))["phase"] == "Gone"
        assert self.cell not in await self.operator.servers()

    async def serves(self, name: str) -> None:
        """Create a namespace in the cell, and complete a workflow through its endpoint."""
        operation = await self.tenant.finished(await self.tenant.create(name, self.region))
        assert operation.state == AsyncOperation.STATE_FULFILLED, operation.failure_reason
        described = await self.json("cell", "show", self.cell)
        identity = issue_client(self.tenant.ca, "worker", validity=timedelta(hours=1))
        client = await Client.connect(
            described["spec"]["addresses"]["ingress"],
            namespace=self.tenant.id(name),
            tls=TLSConfig(
                server_root_ca_cert=self.fleet.ca_file.read_bytes(),
                domain=f"{self.tenant.id(name)}.{self.fleet.record.zone}",
                client_cert=identity.certificate_pem,
                client_private_key=identity.key_pem,
            ),
        )
        async with Worker(client, task_queue="greetings", workflows=[Greeting], activities=[greet]):
            greeting = await client.execute_workflow(
                Greeting.run, "world", id="greeting", task_queue="greetings"
            )
        assert greeting == "hello, world"

    async def succeeds(self, *command: str) -> str:
        done = await self.fleet.cli(*command)
        assert done.code == 0, f"{' '.join(command)}: {done.out}\n{done.err}"
        return done.out

    async def json(self, *command: str) -> Any:
        return json.loads(await self.succeeds(*command, "-o", "json"))


@contextlib.asynccontextmanager
async def _trial(
    fleet: RunningFleet,
    provider: Provider,
    cloud: FurnishedAws | FurnishedGcp,
    cloud_region: str,
    terraform: StandIn,
    folder: Path,
) -> AsyncIterator[Trial]:
    async with (
        connected_with(fleet, {provider: cloud}, terraform, folder),
        tenant_of(fleet) as tenant,
        operator_of(fleet) as operator,
    ):
        yield Trial(fleet, tenant, operator, provider, cloud_region)
