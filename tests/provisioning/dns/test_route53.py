"""Names in Route 53: several writers, lost replies, records of others, and servers that lag."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from controlplane.errors import ErrorType
from provisioning.dns.route53 import Route53Dns
from provisioning.types import DnsFacts
from tests.clouds.aws.faults import Fault, Kind
from tests.clouds.aws.running import RunningAws
from tests.clouds.aws.zones import zone_in

ZONE = "fleet.test"
TTL = timedelta(seconds=15)
UID, SUCCESSOR = "5b1f", "a07c"
NAME = "orders.acme1.fleet.test"
CELL = "aws-us-east-1-c1.cell.fleet.test"
CHANGE = "route53:ChangeResourceRecordSets"


@pytest.fixture
async def names(aws: RunningAws) -> AsyncIterator[Route53Dns]:
    async with zone_in(aws, ZONE) as names:
        yield names


def records(aws: RunningAws) -> dict[tuple[str, str], list[str]]:
    """Return what the zone has beyond what every zone has, by name and type."""
    route53 = aws.client("route53")
    (zone,) = route53.list_hosted_zones()["HostedZones"]
    found = route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
    return {
        (one["Name"], one["Type"]): [record["Value"] for record in one["ResourceRecords"]]
        for one in found
        if one["Type"] not in ("NS", "SOA")
    }


async def test_publishing_returns_once_the_servers_say_so(
    aws: RunningAws, names: Route53Dns
) -> None:
    await aws.world(lag=1.0)

    await names.publish_address(CELL, "10.1.2.3", TTL)
    await names.publish(NAME, CELL, TTL, UID)

    assert await names.resolve(NAME) == "10.1.2.3"


async def test_publishing_what_is_so_changes_nothing(aws: RunningAws, names: Route53Dns) -> None:
    await names.publish(NAME, CELL, TTL, UID)
    await names.publish_address(CELL, "10.1.2.3", TTL)
    changes = (await aws.calls())[CHANGE]

    await names.publish(NAME, CELL, TTL, UID)
    await names.publish_address(CELL, "10.1.2.3", TTL)

    assert (await aws.calls())[CHANGE] == changes


@pytest.mark.parametrize("kind", [Kind.LOST, Kind.RESET, Kind.ERROR, Kind.THROTTLE])
async def test_a_change_whose_reply_is_lost_is_made_once(
    aws: RunningAws, names: Route53Dns, kind: Kind
) -> None:
    await aws.break_(Fault(CHANGE, kind), Fault("route53:GetChange", kind))

    published = await names.publish(NAME, CELL, TTL, UID)

    assert published == DnsFacts(NAME, CELL, TTL)
    assert records(aws) == {
        (f"{NAME}.", "CNAME"): [f"{CELL}."],
        (f"_uid.{NAME}.", "TXT"): [f'"{UID}"'],
    }
    await aws.break_(Fault(CHANGE, kind))
    await names.withdraw(NAME, UID)
    assert records(aws) == {}


async def test_two_incarnations_that_publish_at_once_never_mix(
    aws: RunningAws, names: Route53Dns
) -> None:
    came = await asyncio.gather(
        *(names.publish(NAME, f"{uid}.{ZONE}", TTL, uid) for uid in (UID, SUCCESSOR)),
        return_exceptions=True,
    )

    (refused,) = [one for one in came if isinstance(one, ApplicationError)]
    assert refused.type == ErrorType.REJECTED
    (owner,) = records(aws)[(f"_uid.{NAME}.", "TXT")]
    assert records(aws)[(f"{NAME}.", "CNAME")] == [f"{owner.strip(chr(34))}.{ZONE}."]


async def test_a_name_taken_by_other_records_is_left_alone(
    aws: RunningAws, names: Route53Dns
) -> None:
    await names.publish_address(NAME, "10.1.2.3", TTL)

    with pytest.raises(ApplicationError, match=r"is taken: .* A 10\.1\.2\.3") as refused:
        await names.publish(NAME, CELL, TTL, UID)

    assert refused.value.type == ErrorType.REJECTED
    assert records(aws) == {(f"{NAME}.", "A"): ["10.1.2.3"]}


async def test_an_address_changes_and_goes(aws: RunningAws, names: Route53Dns) -> None:
    await names.publish_address(CELL, "10.1.2.3", TTL)
    await names.publish_address(CELL, "10.1.2.4", TTL)

    assert await names.resolve(CELL) == "10.1.2.4"
    for _ in range(2):
        await names.withdraw_address(CELL)
    assert records(aws) == {}


async def test_who_may_not_change_the_zone_is_told_where_to_allow_it(
    aws: RunningAws, names: Route53Dns
) -> None:
    await aws.break_(Fault(CHANGE, Kind.DENIED))

    with pytest.raises(ApplicationError, match=f"{CHANGE} .*terraform/modules") as refused:
        await names.publish(NAME, CELL, TTL, UID)

    assert refused.value.type == ErrorType.REJECTED
