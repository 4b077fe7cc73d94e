"""GetRegions and GetRegion, as clients of Temporal Cloud need them, through every door."""

import re

import pytest
from temporalio.api.cloud.cloudservice.v1 import (
    GetRegionRequest,
    GetRegionResponse,
    GetRegionsRequest,
    GetRegionsResponse,
)
from temporalio.api.cloud.region.v1 import Region
from temporalio.service import RPCStatusCode

from tests.api.doors import Door, Refused

# The Terraform provider refuses any other.
ID = re.compile(r"(aws|gcp|azure)-[a-z0-9-]+")


async def test_every_region_has_an_id_and_a_provider_that_clients_accept(door: Door) -> None:
    listed = await door.call(GetRegionsRequest(), GetRegionsResponse)

    # The region that holds synthetic load alone takes no namespaces.
    assert [region.id for region in listed.regions] == ["aws-us-east-1", "aws-us-west-2"]
    for region in listed.regions:
        assert ID.fullmatch(region.id)
        assert region.cloud_provider == Region.CLOUD_PROVIDER_AWS
        assert region.cloud_provider_deprecated == "aws"
        assert region.id == f"aws-{region.cloud_provider_region}"
        assert region.location


async def test_a_region_is_read_as_it_is_listed(door: Door) -> None:
    listed = await door.call(GetRegionsRequest(), GetRegionsResponse)

    for region in listed.regions:
        read = await door.call(GetRegionRequest(region=region.id), GetRegionResponse)
        assert read.region == region


@pytest.mark.parametrize("region", ["aws-mars-1", "gcp-us-central1"])
async def test_a_region_that_takes_no_namespaces_is_not_there(door: Door, region: str) -> None:
    with pytest.raises(Refused) as refusal:
        await door.call(GetRegionRequest(region=region), GetRegionResponse)

    assert refusal.value.code is RPCStatusCode.NOT_FOUND
    assert region in refusal.value.message
