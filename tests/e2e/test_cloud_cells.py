"""A cell in a cloud: from an empty account to a cell that serves, and back to nothing."""

import contextlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.client import Client
from temporalio.service import TLSConfig
from temporalio.worker import Worker

from cells.types import Provider
from provisioning.certificates.x509 import issue_client
from rollout.types import Outcome, Phase
from tests.clouds.aws.running import RunningAws
from tests.e2e.aws_region import AwsRegion, FurnishedAws
from tests.e2e.cloud_worker import connected_with
from tests.e2e.greeting import Greeting, greet
from tests.e2e.operators import operator_of
from tests.failures import FLEET
from tests.fleet import RunningFleet, running_fleet
from tests.kubernetes.cluster import running_cluster
from tests.postgres import running_postgres
from tests.tenant import Tenant, tenant_of
from tests.terraform.stand_in import StandIn, stand_in

pytestmark = [pytest.mark.xdist_group(FLEET), pytest.mark.timeout(900)]

CELL = "aws-us-east-1-c9"
SIBLING = "aws-us-east-1-c1"
REGION = "aws-us-east-1"
OLD, NEW = "1.31.2", "1.32.0"
IMPATIENT = {
    "rings": [
        {"ring": ring, "batch_bake": "PT2S", "ring_bake": "PT3S", "tolerance": "0", "approvals": 0}
        for ring in range(4)
    ],
    "visit": {"settle": "PT1S", "verify_for": "PT2S", "healthy_within": "PT60S"},
}
"""The rules of a fleet whose bakes take seconds; everything else is as by default."""


@pytest.fixture
async def own_fleet(tmp_path: Path) -> AsyncIterator[RunningFleet]:
    """A fleet of its own: its worker is another than everybody's."""
    async with running_fleet(tmp_path / "home") as fleet:
        yield fleet


@pytest.fixture
def terraform(tmp_path: Path) -> StandIn:
    return stand_in(tmp_path / "terraform")


async def test_a_cell_is_built_on_aws_serves_a_tenant_is_upgraded_and_leaves_nothing(
    own_fleet: RunningFleet,
    aws: RunningAws,
    terraform: StandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fleet = own_fleet
    await aws.reset()
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    settings = await aws.organization()
    async with contextlib.AsyncExitStack() as running:
        postgres = await running.enter_async_context(running_postgres(tmp_path / "rds"))
        region = AwsRegion(aws, postgres, terraform.cloud)
        cluster = await running.enter_async_context(
            running_cluster(tmp_path / "eks", authenticator=region.authenticate)
        )
        region.clusters.append(cluster)
        cloud = FurnishedAws(settings, region)
        await running.enter_async_context(
            connected_with(fleet, {Provider.AWS: cloud}, terraform, tmp_path)
        )
        tenant = await running.enter_async_context(tenant_of(fleet))
        operator = await running.enter_async_context(operator_of(fleet))
        await operator.release("temporal-1.31", server_version=OLD)

        await _succeeds(
            fleet,
            *("cell", "create", CELL, "--provider", "aws", "--region", "us-east-1"),
            *("--ring", "1", "--version", OLD, "--actions-per-second", "1000"),
        )
        life = await _json(fleet, "cell", "life", CELL)
        assert life["phase"] == "Ready"
        account = life["account"]["id"]
        assert terraform.cloud.census()["aws_eks_cluster"] == 1

        await _succeeds(fleet, "cell", "cordon", SIBLING, "--reason", "the new one is to be tried")
        await _serves(fleet, tenant, "orders")

        await operator.release("temporal-1.32", server_version=NEW)
        rollout = await operator.start("temporal-1.32", policy=IMPATIENT)
        view = await operator.until(rollout, Phase.ENDED, Phase.HALTED, within=300)
        assert view.outcome is Outcome.SUCCEEDED, view.message
        assert (await operator.servers())[CELL] == NEW
        await _serves(fleet, tenant, "bills")

        await tenant.deleted("orders", "bills")
        await _succeeds(
            fleet, "cell", "decommission", CELL, "--yes", "--reason", "it was to be tried only"
        )

        assert (await _json(fleet, "cell", "life", CELL))["phase"] == "Gone"
        assert terraform.cloud.census() == {}
        status = aws.client("organizations").describe_account(AccountId=account)
        assert status["Account"]["Status"] in ("SUSPENDED", "PENDING_CLOSURE")


async def _serves(fleet: RunningFleet, tenant: Tenant, name: str) -> None:
    """Create a namespace in the cell, and complete a workflow through its endpoint."""
    operation = await tenant.finished(await tenant.create(name, REGION))
    assert operation.state == AsyncOperation.STATE_FULFILLED, operation.failure_reason
    described = await _json(fleet, "cell", "show", CELL)
    identity = issue_client(tenant.ca, "worker", validity=timedelta(hours=1))
    client = await Client.connect(
        described["spec"]["addresses"]["ingress"],
        namespace=tenant.id(name),
        tls=TLSConfig(
            server_root_ca_cert=fleet.ca_file.read_bytes(),
            domain=f"{tenant.id(name)}.{fleet.record.zone}",
            client_cert=identity.certificate_pem,
            client_private_key=identity.key_pem,
        ),
    )
    async with Worker(client, task_queue="greetings", workflows=[Greeting], activities=[greet]):
        greeting = await client.execute_workflow(
            Greeting.run, "world", id="greeting", task_queue="greetings"
        )
    assert greeting == "hello, world"


async def _succeeds(fleet: RunningFleet, *command: str) -> str:
    done = await fleet.cli(*command)
    assert done.code == 0, f"{' '.join(command)}: {done.out}\n{done.err}"
    return done.out


async def _json(fleet: RunningFleet, *command: str) -> Any:
    return json.loads(await _succeeds(fleet, *command, "-o", "json"))
