"""Who the control plane is in a cell's account, cluster and database, and who Terraform is."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.exceptions import ApplicationError

from cells.life.types import Blueprint
from cells.providers.aws.cloud import AwsCloud
from cells.providers.aws.cluster import TOKEN_LIFE
from cells.providers.aws.settings import AwsSettings
from controlplane.errors import ErrorType
from tests.clouds.aws.cells import blueprint, cloud_of, foundation
from tests.clouds.aws.eks_authenticator import ADMINISTRATORS, eks_authenticator
from tests.clouds.aws.running import STATE_BUCKET, RunningAws

CLUSTER, REGION = "cell-c1a2b3d4", "us-west-2"


async def test_a_token_is_of_the_cells_role_and_opens_its_cluster_only(
    aws: RunningAws, cloud: AwsCloud, cell: Blueprint
) -> None:
    account = await cloud.ensure_account(cell)
    await aws.has_cluster(account.id, REGION, CLUSTER, "https://127.0.0.1:6443", "the CA")

    access = await cloud.cluster_access(foundation(account))

    assert access.cluster.endpoint == "https://127.0.0.1:6443"
    assert access.cluster.ca == "the CA"
    left = access.expires_at - datetime.now(UTC)
    assert timedelta(minutes=10) < left <= TOKEN_LIFE
    entries = {account.acts_as: ADMINISTRATORS}
    user = await eks_authenticator(aws, CLUSTER, entries)(access.token)
    assert user is not None
    assert user.groups == ADMINISTRATORS
    assert user.name.startswith(f"arn:aws:sts::{account.id}:assumed-role/controlplane-cell/")
    assert await eks_authenticator(aws, "another", entries)(access.token) is None
    assert await eks_authenticator(aws, CLUSTER, {})(access.token) is None
    assert await eks_authenticator(aws, CLUSTER, entries)(access.token[:-8]) is None
    assert access.token not in repr(access)


async def test_a_cluster_that_is_not_there_is_named(cloud: AwsCloud, cell: Blueprint) -> None:
    account = await cloud.ensure_account(cell)

    with pytest.raises(ApplicationError, match=f"no EKS cluster {CLUSTER} in {REGION}") as refused:
        await cloud.cluster_access(foundation(account))

    assert refused.value.type == ErrorType.REJECTED


async def test_a_cluster_that_is_being_made_is_waited_for(
    aws: RunningAws, cloud: AwsCloud, cell: Blueprint
) -> None:
    account = await cloud.ensure_account(cell)
    await aws.world(lag=60)
    aws.client("eks", REGION, account.id).create_cluster(
        name=CLUSTER,
        roleArn=f"arn:aws:iam::{account.id}:role/cluster",
        resourcesVpcConfig={"subnetIds": ["subnet-1"]},
    )

    with pytest.raises(ApplicationError, match="is being made") as early:
        await cloud.cluster_access(foundation(account))

    assert early.value.type == ErrorType.THROTTLED


async def test_the_login_of_the_database_is_what_rds_keeps_now(
    aws: RunningAws, cloud: AwsCloud, cell: Blueprint
) -> None:
    account = await cloud.ensure_account(cell)
    secrets = aws.client("secretsmanager", REGION, account.id)
    kept = json.dumps({"username": "postgres", "password": "first"})
    secret = secrets.create_secret(Name="rds!db-1", SecretString=kept)["ARN"]
    standing = foundation(account, secret=secret)

    login = await cloud.database_login(standing)
    secrets.put_secret_value(SecretId=secret, SecretString=kept.replace("first", "second"))

    assert (login.role, login.password) == ("postgres", "first")
    assert (await cloud.database_login(standing)).password == "second"  # noqa: S105 - of a test.
    assert "first" not in repr(login)
    with pytest.raises(ApplicationError, match="no secret gone with the login"):
        await cloud.database_login(replace(standing, database_secret="gone"))


async def test_roles_are_taken_again_before_their_sessions_end(
    aws: RunningAws, settings: AwsSettings, cell: Blueprint
) -> None:
    await aws.world(session_seconds=300)
    cloud = cloud_of(settings)

    await cloud.find_account(cell)
    taken = (await aws.calls())["sts:AssumeRole"]
    await cloud.find_account(cell)

    assert (await aws.calls())["sts:AssumeRole"] > taken


async def test_terraform_may_do_nothing_but_keep_state_and_become_the_cells_role(
    aws: RunningAws, settings: AwsSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws.user().items():
        monkeypatch.setenv(name, value)
    cloud = cloud_of(settings)
    cell, other = blueprint(), blueprint(uid="z9y8x7w6")
    account, foreign = await cloud.ensure_account(cell), await cloud.ensure_account(other)
    await aws.enforce()

    environment = await cloud.environment(account)

    assert environment["AWS_ENDPOINT_URL"] == aws.url
    terraform = aws.acting_as(environment)
    key = cloud.backend(cell)["key"]
    terraform("s3").put_object(Bucket=STATE_BUCKET, Key=key, Body=b"{}")
    terraform("sts").assume_role(RoleArn=account.acts_as, RoleSessionName="terraform")
    denied = terraform("s3").exceptions.ClientError
    with pytest.raises(denied, match="AccessDenied"):
        terraform("sts").assume_role(RoleArn=foreign.acts_as, RoleSessionName="terraform")
    with pytest.raises(denied, match="AccessDenied"):
        terraform("organizations").list_accounts()
    with pytest.raises(denied, match="AccessDenied"):
        terraform("s3").put_object(Bucket=STATE_BUCKET, Key="other", Body=b"")


async def test_the_state_of_a_cell_is_encrypted_locked_and_its_own(
    settings: AwsSettings, cell: Blueprint
) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/state"
    backend = cloud_of(replace(settings, state_key=key)).backend(cell)

    assert backend == {
        "type": "s3",
        "bucket": STATE_BUCKET,
        "key": "cells/aws-us-west-2-c7-c1a2b3d4/terraform.tfstate",
        "region": "us-east-1",
        "encrypt": "true",
        "use_lockfile": "true",
        "kms_key_id": key,
    }


async def test_the_module_gets_what_the_cell_is_and_what_the_settings_say(
    settings: AwsSettings, cloud: AwsCloud, cell: Blueprint
) -> None:
    account = await cloud.ensure_account(cell)
    always = {
        "cell": "aws-us-west-2-c7",
        "uid": "c1a2b3d4",
        "account": account.id,
        "acts_as": account.acts_as,
        "region": "us-west-2",
        "network": "10.7.0.0/16",
        "actions_per_second": 500,
    }

    assert cloud.variables(cell, account) == always
    more = cloud_of(
        replace(settings, zone="fleet.test", zone_id="Z1", control_plane_networks=("10.0.0.0/16",))
    )
    assert more.variables(cell, account) == {
        **always,
        "control_plane_networks": ["10.0.0.0/16"],
        "dns_zone": "aws-us-west-2-c7.cells.fleet.test",
        "dns_parent_zone": "Z1",
    }
    role = "arn:aws:iam::222222222222:role/delegation"
    delegating = cloud_of(replace(settings, zone="fleet.test", zone_id="Z1", dns_role=role))
    assert delegating.variables(cell, account)["dns_role"] == role
