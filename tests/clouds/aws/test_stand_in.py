"""The stand-in is as strict as AWS where the adapters rely on it, and moto is not."""

import asyncio
import time

import pytest
from botocore.exceptions import ClientError

from cells.providers.aws.settings import AwsSettings
from tests.clouds.aws.running import MANAGEMENT, RunningAws
from tests.eventually import eventually


def change(action: str, name: str, kind: str, value: str) -> dict[str, object]:
    records = {"Name": name, "Type": kind, "TTL": 60, "ResourceRecords": [{"Value": value}]}
    return {"Action": action, "ResourceRecordSet": records}


@pytest.mark.usefixtures("settings")
async def test_an_address_is_taken_by_one_account_only(aws: RunningAws) -> None:
    organizations = aws.client("organizations")

    def made() -> str:
        asked = organizations.create_account(Email="one@example.com", AccountName="one")
        return str(asked["CreateAccountStatus"]["Id"])

    requests = await asyncio.gather(*(asyncio.to_thread(made) for _ in range(8)))

    def states() -> list[str]:
        return [
            organizations.describe_create_account_status(CreateAccountRequestId=one)[
                "CreateAccountStatus"
            ]["State"]
            for one in requests
        ]

    async def over() -> bool:
        return "IN_PROGRESS" not in await asyncio.to_thread(states)

    await eventually(over)
    assert sorted(states()) == ["FAILED"] * 7 + ["SUCCEEDED"]


@pytest.mark.usefixtures("settings")
async def test_an_account_is_listed_once_it_is_made(aws: RunningAws) -> None:
    await aws.world(lag=0.5)
    organizations = aws.client("organizations")

    asked = organizations.create_account(Email="one@example.com", AccountName="one")

    assert "AccountId" not in asked["CreateAccountStatus"]
    assert len(organizations.list_accounts()["Accounts"]) == 1

    async def listed() -> bool:
        return len(organizations.list_accounts()["Accounts"]) == 2

    await eventually(listed)


async def test_a_role_is_taken_by_whom_it_trusts_if_it_is_there(
    aws: RunningAws, settings: AwsSettings
) -> None:
    sts = aws.client("sts")
    for role, outside in (
        (settings.organization_role, {}),
        (settings.organization_role, {"ExternalId": "wrong"}),
        (f"arn:aws:iam::{MANAGEMENT}:role/nobody", {}),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            sts.assume_role(RoleArn=role, RoleSessionName="test", **outside)

    sts.assume_role(
        RoleArn=settings.organization_role,
        RoleSessionName="test",
        ExternalId=settings.external_id,
    )


@pytest.mark.usefixtures("settings")
async def test_a_batch_of_records_is_carried_out_whole_or_not_at_all(aws: RunningAws) -> None:
    route53 = aws.client("route53")
    zone = route53.create_hosted_zone(Name="fleet.test", CallerReference="one")["HostedZone"]["Id"]

    def changed(*changes: dict[str, object]) -> None:
        route53.change_resource_record_sets(
            HostedZoneId=zone, ChangeBatch={"Changes": list(changes)}
        )

    changed(change("CREATE", "a.fleet.test.", "A", "10.0.0.1"))
    for wrong in (
        change("CREATE", "a.fleet.test.", "A", "10.0.0.1"),
        change("CREATE", "a.fleet.test.", "CNAME", "b.fleet.test."),
        change("DELETE", "a.fleet.test.", "A", "10.0.0.2"),
        change("CREATE", "a.elsewhere.test.", "A", "10.0.0.1"),
    ):
        with pytest.raises(ClientError, match="InvalidChangeBatch"):
            changed(change("CREATE", "c.fleet.test.", "A", "10.0.0.1"), wrong)

    records = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert "c.fleet.test." not in [record["Name"] for record in records]


@pytest.mark.usefixtures("settings")
async def test_servers_hear_of_a_change_later_than_the_caller(aws: RunningAws) -> None:
    await aws.world(lag=0.5)
    route53 = aws.client("route53")
    zone = route53.create_hosted_zone(Name="fleet.test", CallerReference="one")["HostedZone"]["Id"]
    batch = {"Changes": [change("CREATE", "a.fleet.test.", "A", "10.0.0.1")]}

    asked = route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)["ChangeInfo"]

    assert asked["Status"] == "PENDING"

    async def known() -> bool:
        return bool(route53.get_change(Id=asked["Id"])["ChangeInfo"]["Status"] == "INSYNC")

    await eventually(known)


@pytest.mark.usefixtures("settings")
async def test_a_cluster_takes_a_while_to_be_made(aws: RunningAws) -> None:
    await aws.world(lag=0.5)
    eks = aws.client("eks")
    begun = time.monotonic()

    eks.create_cluster(
        name="one",
        roleArn=f"arn:aws:iam::{MANAGEMENT}:role/cluster",
        resourcesVpcConfig={"subnetIds": ["subnet-1"]},
    )

    async def active() -> bool:
        return bool(eks.describe_cluster(name="one")["cluster"]["status"] == "ACTIVE")

    await eventually(active)
    assert time.monotonic() - begun >= 0.5
