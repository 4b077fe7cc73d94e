"""What stands against a cell is found before anything is made, all of it, and says what to do."""

from dataclasses import replace

import pytest

from cells.life.types import Blueprint
from cells.providers.aws.cloud import AwsCloud
from cells.providers.aws.permissions import organization
from cells.providers.aws.settings import AwsSettings
from tests.clouds.aws.cells import blueprint, cloud_of
from tests.clouds.aws.faults import Fault, Kind
from tests.clouds.aws.running import STATE_BUCKET, RunningAws


async def test_nothing_stands_against_a_cell_where_there_is_room(
    aws: RunningAws, cloud: AwsCloud, cell: Blueprint
) -> None:
    assert list(await cloud.obstacles(cell)) == []
    assert (await aws.calls())["organizations:CreateAccount"] == 0


async def test_nothing_stands_against_a_cell_that_is_half_built(
    cloud: AwsCloud, cell: Blueprint
) -> None:
    await cloud.ensure_account(cell)

    assert list(await cloud.obstacles(cell)) == []


@pytest.mark.parametrize("with_account", [False, True], ids=["new account", "its account"])
async def test_a_quota_that_is_too_small_is_named_with_what_the_cell_takes(
    aws: RunningAws, cloud: AwsCloud, cell: Blueprint, with_account: bool
) -> None:
    if with_account:
        await cloud.ensure_account(cell)
    await aws.world(quotas={"ec2/L-1216C47A": 5, "vpc/L-F678F1CE": 1})

    vpcs, processors = sorted(await cloud.obstacles(cell), key=lambda one: "vCPUs" in one)

    assert "may have 1 VPCs in us-west-2, and the cell takes 2" in vpcs
    assert "may have 5 vCPUs of running on-demand standard instances" in processors
    assert "quota L-1216C47A of ec2" in processors


async def test_a_quota_that_new_accounts_are_to_have_is_enough(
    aws: RunningAws, cloud: AwsCloud, cell: Blueprint
) -> None:
    await aws.world(quotas={"ec2/L-1216C47A": 5}, quota_template={"ec2/L-1216C47A": 64})

    assert list(await cloud.obstacles(cell)) == []


async def test_everything_that_is_wrong_with_an_organisation_is_told_at_once(
    aws: RunningAws, settings: AwsSettings
) -> None:
    cloud = cloud_of(
        replace(settings, organizational_unit="ou-abcd-12345678", state_bucket="nowhere")
    )
    await aws.world(account_limit=1)

    found = "\n".join(await cloud.obstacles(blueprint(region="aws-mars-north-1")))

    for expected in (
        "has no unit ou-abcd-12345678",
        "no bucket nowhere for the state",
        "AWS has no region mars-north-1",
        "has 1 accounts and may have 1",
    ):
        assert expected in found


async def test_a_bucket_that_keeps_no_versions_is_no_place_for_state(
    aws: RunningAws, cloud: AwsCloud, cell: Blueprint
) -> None:
    aws.client("s3").put_bucket_versioning(
        Bucket=STATE_BUCKET, VersioningConfiguration={"Status": "Suspended"}
    )

    (obstacle,) = await cloud.obstacles(cell)

    assert f"bucket {STATE_BUCKET} keeps no versions" in obstacle


async def test_permissions_that_are_missing_are_listed_with_where_to_grant_them(
    aws: RunningAws, cloud: AwsCloud, cell: Blueprint
) -> None:
    missing = {"organizations:CreateAccount", "s3:PutObject"}
    aws.allow("controlplane", sorted(set(organization()) - missing))

    (obstacle,) = await cloud.obstacles(cell)

    assert ("role/controlplane may not do organizations:CreateAccount, s3:PutObject") in obstacle
    assert "terraform/modules/control-plane-aws" in obstacle


async def test_what_is_allowed_is_all_that_the_adapter_calls(
    aws: RunningAws, settings: AwsSettings, cell: Blueprint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With IAM enforced, and no permission but those that the policies grant."""
    for name, value in aws.user().items():
        monkeypatch.setenv(name, value)
    cloud = cloud_of(settings)
    await aws.enforce()

    assert list(await cloud.obstacles(cell)) == []
    account = await cloud.ensure_account(cell)
    await cloud.leftovers(cell, account)
    await cloud.close_account(cell, account)

    await aws.enforce(permissions=False)


async def test_a_refusal_by_policy_of_the_organisation_is_an_obstacle_like_others(
    aws: RunningAws, cloud: AwsCloud, cell: Blueprint
) -> None:
    await aws.break_(Fault("ec2:DescribeRegions", Kind.DENIED))

    (obstacle,) = await cloud.obstacles(cell)

    assert "does not let arn:aws:iam::123456789012:role/controlplane do ec2:DescribeRegions" in (
        obstacle
    )
    assert "service control policies" in obstacle


async def test_a_role_that_cannot_be_taken_is_one_obstacle(
    settings: AwsSettings, cell: Blueprint
) -> None:
    (obstacle,) = await cloud_of(replace(settings, external_id="wrong")).obstacles(cell)

    assert "sts:AssumeRole" in obstacle
