"""What is left of a cell in its account: what its tags find, and what no tag would.

The account is the cell's alone. So whatever costs money or keeps data is counted, tagged or not:
Kubernetes makes volumes and load balancers, and services make log groups, without asking us.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from cells.providers.aws.accounts import TAG_UID
from controlplane.aws.identity import Identity

_GLOBAL_REGION = "us-east-1"
"""Where the tags of what has no region are found."""
_KEPT_FOR_A_WHILE = (":kms:", ":secretsmanager:", ":ec2:")
"""What the tag service goes on showing after it is gone, or is going: looked up by itself."""
_LISTED = (":eks:", ":rds:", ":elasticloadbalancing:", ":logs:", ":route53:", ":es:")
_GOING_KEYS = ("PendingDeletion", "PendingReplicaDeletion")


async def leftovers(cell: Identity, region: str, uid: str) -> Sequence[str]:
    """Return what is there still, by ARN or id, sorted. What AWS deletes by itself after a period
    of grace, such as keys, is not."""
    regions = {region, _GLOBAL_REGION}
    found = await asyncio.gather(
        *(_tagged(cell, one, uid) for one in regions),
        *_listings(cell, region),
    )
    return sorted({name for names in found for name in names})


async def _tagged(cell: Identity, region: str, uid: str) -> list[str]:
    mappings = await cell.pages(
        cell.client("resourcegroupstaggingapi", region),
        "get_resources",
        "ResourceTagMappingList",
        TagFilters=[{"Key": TAG_UID, "Values": [uid]}],
    )
    names = [str(mapping["ResourceARN"]) for mapping in mappings]
    return [name for name in names if not any(kind in name for kind in _KEPT_FOR_A_WHILE + _LISTED)]


def _listings(cell: Identity, region: str) -> list[Awaitable[list[str]]]:
    ec2, rds = cell.client("ec2", region), cell.client("rds", region)

    def of(client: Any, operation: str, key: str, name: str, **where: object) -> Any:
        return _named(cell, client, operation, key, name, **where)

    not_default = [{"Name": "is-default", "Values": ["false"]}]
    own_ids = {"OwnerIds": ["self"]}
    return [
        _clusters(cell, region),
        of(rds, "describe_db_instances", "DBInstances", "DBInstanceArn"),
        of(rds, "describe_db_snapshots", "DBSnapshots", "DBSnapshotArn", SnapshotType="manual"),
        of(
            cell.client("elbv2", region),
            "describe_load_balancers",
            "LoadBalancers",
            "LoadBalancerArn",
        ),
        _endpoint_services(cell, region),
        of(ec2, "describe_vpcs", "Vpcs", "VpcId", Filters=not_default),
        of(ec2, "describe_volumes", "Volumes", "VolumeId"),
        of(ec2, "describe_snapshots", "Snapshots", "SnapshotId", **own_ids),
        _instances(cell, region),
        _addresses(cell, region),
        _nat_gateways(cell, region),
        of(cell.client("route53"), "list_hosted_zones", "HostedZones", "Id"),
        of(cell.client("logs", region), "describe_log_groups", "logGroups", "arn"),
        of(cell.client("secretsmanager", region), "list_secrets", "SecretList", "ARN"),
        _keys(cell, region),
        _domains(cell, region),
    ]


async def _named(
    cell: Identity, client: Any, operation: str, key: str, name: str, **where: object
) -> list[str]:
    return [str(item[name]) for item in await cell.pages(client, operation, key, **where)]


async def _clusters(cell: Identity, region: str) -> list[str]:
    names = await cell.pages(cell.client("eks", region), "list_clusters", "clusters")
    return [f"EKS cluster {name}" for name in names]


async def _endpoint_services(cell: Identity, region: str) -> list[str]:
    services = await cell.pages(
        cell.client("ec2", region),
        "describe_vpc_endpoint_service_configurations",
        "ServiceConfigurations",
    )
    return [str(service["ServiceId"]) for service in services]


async def _instances(cell: Identity, region: str) -> list[str]:
    reservations = await cell.pages(
        cell.client("ec2", region),
        "describe_instances",
        "Reservations",
        Filters=[
            {
                "Name": "instance-state-name",
                "Values": ["pending", "running", "stopping", "stopped"],
            }
        ],
    )
    return [str(one["InstanceId"]) for each in reservations for one in each["Instances"]]


async def _addresses(cell: Identity, region: str) -> list[str]:
    answer = await cell.ask(cell.client("ec2", region).describe_addresses)
    return [str(address["AllocationId"]) for address in answer["Addresses"]]


async def _nat_gateways(cell: Identity, region: str) -> list[str]:
    return await _named(
        cell,
        cell.client("ec2", region),
        "describe_nat_gateways",
        "NatGateways",
        "NatGatewayId",
        Filters=[{"Name": "state", "Values": ["pending", "available", "failed"]}],
    )


async def _keys(cell: Identity, region: str) -> list[str]:
    """Return the keys that are ours and stay: those on their way out cost nothing."""
    kms = cell.client("kms", region)
    left = []
    for key in await cell.pages(kms, "list_keys", "Keys"):
        answer = await cell.ask(kms.describe_key, KeyId=key["KeyId"])
        facts = answer["KeyMetadata"]
        if facts["KeyManager"] == "CUSTOMER" and facts["KeyState"] not in _GOING_KEYS:
            left.append(str(facts["Arn"]))
    return left


async def _domains(cell: Identity, region: str) -> list[str]:
    answer = await cell.ask(cell.client("opensearch", region).list_domain_names)
    return [f"OpenSearch domain {domain['DomainName']}" for domain in answer["DomainNames"]]
