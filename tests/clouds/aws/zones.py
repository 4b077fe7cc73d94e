"""The fleet's zone in Route 53, as the stand-in has it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from controlplane.aws.identity import Identity
from provisioning.dns.route53 import Route53Dns
from tests.clouds.aws.running import REGION, RunningAws, alone_in


@contextlib.asynccontextmanager
async def zone_in(aws: RunningAws, zone: str) -> AsyncIterator[Route53Dns]:
    """Make the zone, in a stand-in that knows nothing else, and yield what publishes names."""
    async with alone_in(aws):
        made = await asyncio.to_thread(
            aws.client("route53").create_hosted_zone, Name=zone, CallerReference=f"zone {zone}"
        )
        zone_id = made["HostedZone"]["Id"].rpartition("/")[2]
        yield Route53Dns(zone, zone_id, (aws.name_server,), Identity.own(REGION))
