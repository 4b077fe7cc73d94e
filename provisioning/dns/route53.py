"""Names published in a Route 53 zone, and checked with its authoritative servers.

Route 53 carries out a batch of changes as a whole or not at all, and deletes only what is exactly
as the batch says.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import dns.name

from controlplane.aws.errors import code_of
from controlplane.aws.identity import Identity
from provisioning.dns.authority import DEFAULT_PATIENCE, Authority
from provisioning.dns.record_sets import RecordSet, RecordSetDns

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0
_PROPAGATION_SECONDS = 300
"""Route 53 has told all of its servers within a minute, usually."""


class Route53Dns(RecordSetDns):
    """The fleet's zone; adapter of `provisioning.ports.Dns`."""

    def __init__(
        self,
        zone: str,
        zone_id: str,
        servers: tuple[str, ...],
        identity: Identity,
        patience: timedelta = DEFAULT_PATIENCE,
    ) -> None:
        """`servers` are the zone's authoritative ones (its delegation set), each `ip:port`."""
        super().__init__(Authority.parse(zone, servers, patience))
        self._zone_id = zone_id
        self._identity = identity

    async def _at(self, name: str) -> list[RecordSet]:
        answer = await self._identity.ask(
            self._client.list_resource_record_sets,
            HostedZoneId=self._zone_id,
            StartRecordName=name,
            MaxItems="20",
        )
        return [
            RecordSet(
                _plainly(found["Name"]),
                found["Type"],
                found.get("TTL", 0),
                tuple(record["Value"] for record in found.get("ResourceRecords", ())),
            )
            for found in answer["ResourceRecordSets"]
            if _plainly(found["Name"]) == name
        ]

    async def _changed(
        self, deletions: Sequence[RecordSet], additions: Sequence[RecordSet]
    ) -> bool:
        batch = [
            *(_change("DELETE", one) for one in deletions),
            *(_change("CREATE", one) for one in additions),
        ]
        try:
            await self._change(batch)
        except Exception as error:
            if code_of(error) == "InvalidChangeBatch":
                return False
            raise
        return True

    async def _change(self, batch: list[dict[str, Any]]) -> None:
        answer = await self._identity.ask(
            self._client.change_resource_record_sets,
            HostedZoneId=self._zone_id,
            ChangeBatch={"Changes": batch},
        )
        change, pause = answer["ChangeInfo"], _FIRST_PAUSE_SECONDS
        try:
            async with asyncio.timeout(_PROPAGATION_SECONDS):
                while change["Status"] != "INSYNC":
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                    answer = await self._identity.ask(self._client.get_change, Id=change["Id"])
                    change = answer["ChangeInfo"]
        except TimeoutError:
            raise TimeoutError(
                f"Route 53 has not told its servers of change {change['Id']} in zone "
                f"{self._zone_id} within {_PROPAGATION_SECONDS} s"
            ) from None

    @property
    def _client(self) -> Any:
        return self._identity.client("route53")


def _change(action: str, records: RecordSet) -> dict[str, Any]:
    return {
        "Action": action,
        "ResourceRecordSet": {
            "Name": records.name,
            "Type": records.type,
            "TTL": records.ttl,
            "ResourceRecords": [{"Value": value} for value in records.values],
        },
    }


def _plainly(name: str) -> str:
    """Return a name as we write it: Route 53 writes some characters as octal escapes."""
    return dns.name.from_text(name).canonicalize().to_text()
