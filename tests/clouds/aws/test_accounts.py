"""Accounts of cells: one for each, whatever happens on the way; closed for good."""

import asyncio
from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError

from cells.life.types import Blueprint
from cells.providers.aws.accounts import account_name
from cells.providers.aws.cloud import AwsCloud
from cells.providers.aws.settings import AwsSettings
from controlplane.errors import ErrorType
from tests.clouds.aws.cells import blueprint, cloud_of
from tests.clouds.aws.faults import Fault, Kind
from tests.clouds.aws.running import MANAGEMENT, RunningAws


async def test_a_cell_gets_an_account_of_its_own_in_its_unit_with_its_tags(
    aws: RunningAws, settings: AwsSettings, cloud: AwsCloud, cell: Blueprint
) -> None:
    account = await cloud.ensure_account(cell)

    organizations = aws.client("organizations")
    described = organizations.describe_account(AccountId=account.id)["Account"]
    assert described["Email"] == "cells+c1a2b3d4@example.com"
    assert described["Name"] == "aws-us-west-2-c7 c1a2b3d4"
    assert account.acts_as == f"arn:aws:iam::{account.id}:role/controlplane-cell"
    parents = organizations.list_parents(ChildId=account.id)["Parents"]
    assert [parent["Id"] for parent in parents] == [settings.organizational_unit]
    tags = organizations.list_tags_for_resource(ResourceId=account.id)["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {
        "controlplane-cell": cell.cell,
        "controlplane-uid": cell.uid,
    }


async def test_a_cell_has_one_account_however_often_it_is_asked_for(
    aws: RunningAws, settings: AwsSettings, cloud: AwsCloud, cell: Blueprint
) -> None:
    assert await cloud.find_account(cell) is None
    first = await cloud.ensure_account(cell)

    again = await asyncio.gather(*(cloud_of(settings).ensure_account(cell) for _ in range(3)))

    assert again == [first] * 3
    assert await cloud.find_account(cell) == first
    assert (await aws.calls())["organizations:CreateAccount"] == 1


async def test_two_who_ask_at_once_get_the_same_account(
    aws: RunningAws, settings: AwsSettings, cell: Blueprint
) -> None:
    async def insist() -> str:
        while True:
            try:
                return (await cloud_of(settings).ensure_account(cell)).id
            except ApplicationError as error:
                if error.type != ErrorType.THROTTLED:
                    raise

    ids = await asyncio.gather(insist(), insist(), insist())

    assert len(set(ids)) == 1
    accounts = aws.client("organizations").list_accounts()["Accounts"]
    assert sorted(one["Id"] for one in accounts) == sorted({MANAGEMENT, *ids})


async def test_an_account_that_somebody_began_to_make_is_waited_for(
    aws: RunningAws, settings: AwsSettings, cloud: AwsCloud, cell: Blueprint
) -> None:
    await aws.world(lag=1.0)
    begun = aws.client("organizations").create_account(
        Email=settings.email(cell.uid),
        AccountName=account_name(cell),
        RoleName=settings.cell_role,
    )["CreateAccountStatus"]
    assert begun["State"] == "IN_PROGRESS"

    account = await cloud.ensure_account(cell)

    assert (await aws.calls())["organizations:CreateAccount"] == 1
    tags = aws.client("organizations").list_tags_for_resource(ResourceId=account.id)["Tags"]
    assert {tag["Key"] for tag in tags} == {"controlplane-cell", "controlplane-uid"}


async def test_an_organisation_that_is_full_is_told_which_quota_to_raise(
    aws: RunningAws, cloud: AwsCloud, cell: Blueprint
) -> None:
    await aws.world(account_limit=1)

    with pytest.raises(ApplicationError, match=r"quota L-E619E033 .* Service Quotas") as refused:
        await cloud.ensure_account(cell)

    assert refused.value.type == ErrorType.REJECTED


async def test_the_role_of_a_new_account_may_take_aws_a_while(
    aws: RunningAws, settings: AwsSettings, cloud: AwsCloud, cell: Blueprint
) -> None:
    denied = Fault("sts:AssumeRole", Kind.DENIED, times=2, skip=1, session=settings.session_name)
    await aws.break_(denied)

    await cloud.ensure_account(cell)

    assert (await aws.calls())["sts:AssumeRole"] == 4


async def test_a_region_that_has_to_be_asked_for_is_enabled(
    aws: RunningAws, cloud: AwsCloud
) -> None:
    cell = blueprint(region="aws-me-south-1")

    await cloud.ensure_account(cell)
    await cloud.ensure_account(cell)

    assert (await aws.calls())["account:EnableRegion"] == 1


async def test_a_closed_account_is_no_account_and_is_never_had_again(
    aws: RunningAws, cloud: AwsCloud, cell: Blueprint
) -> None:
    account = await cloud.ensure_account(cell)

    await cloud.close_account(cell, account)
    await cloud.close_account(cell, account)

    assert await cloud.find_account(cell) is None
    assert list(await cloud.leftovers(cell, account)) == []
    with pytest.raises(ApplicationError, match=f"account {account.id} .* closed") as refused:
        await cloud.ensure_account(cell)
    assert refused.value.type == ErrorType.REJECTED
    assert (await aws.calls())["organizations:CloseAccount"] == 1


async def test_nobody_closes_the_account_of_another_cell(
    aws: RunningAws, cloud: AwsCloud, cell: Blueprint
) -> None:
    account = await cloud.ensure_account(cell)

    with pytest.raises(
        ApplicationError, match=r"belongs to cells\+c1a2b3d4@example.com"
    ) as refused:
        await cloud.close_account(replace(cell, uid="z9y8x7w6"), account)

    assert refused.value.type == ErrorType.REJECTED
    assert (await aws.calls())["organizations:CloseAccount"] == 0
