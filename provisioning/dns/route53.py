"""Names published in a Route 53 zone, and checked with its authoritative servers.

Route 53 carries out a batch of changes as a whole or not at all, and deletes only what is exactly
as the batch says. So what was read is deleted and what is wanted created in one batch, which fails
when somebody else was there in between. Beside each alias, under `_uid.`, stands for which
incarnation of a namespace it was published: every batch has that in it as well.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import dns.name
from dns.rcode import Rcode
from dns.rdatatype import RdataType

from controlplane.aws.errors import code_of
from controlplane.aws.identity import Identity
from controlplane.errors import rejected
from provisioning.dns.answers import Saying
from provisioning.dns.authority import DEFAULT_PATIENCE, Authority, denies, plain
from provisioning.types import DnsFacts

_RACES = 5
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0
_PROPAGATION_SECONDS = 300
"""Route 53 has told all of its servers within a minute, usually."""


@dataclass(frozen=True)
class _RecordSet:
    """All records of one name and type, as Route 53 has them."""

    name: str
    """With its trailing dot."""
    type: str
    ttl: int
    values: tuple[str, ...]

    def change(self, action: str) -> dict[str, Any]:
        return {
            "Action": action,
            "ResourceRecordSet": {
                "Name": self.name,
                "Type": self.type,
                "TTL": self.ttl,
                "ResourceRecords": [{"Value": value} for value in self.values],
            },
        }

    def __str__(self) -> str:
        return f"{self.name.rstrip('.')} is {self.type} {' '.join(self.values)}"


class Route53Dns:
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
        self._authority = Authority.parse(zone, servers, patience)
        self._zone_id = zone_id
        self._identity = identity

    async def publish(self, name: str, target: str, ttl: timedelta, uid: str) -> DnsFacts:
        """Make `name` an alias; an alias of something else gives way, other records do not."""
        alias, alias_of = self._authority.inside(name), dns.name.from_text(target).canonicalize()
        seconds = int(ttl.total_seconds())
        wanted = _RecordSet(_dotted(alias), "CNAME", seconds, (alias_of.to_text(),))
        owner = _RecordSet(_owner(alias), "TXT", seconds, (f'"{uid}"',))
        for _ in range(_RACES):
            present = await self._present(wanted)
            owners = await self._owners(owner)
            if present == [wanted] and [one.values for one in owners] == [owner.values]:
                break
            batch = [
                *(one.change("DELETE") for one in (*owners, *present)),
                owner.change("CREATE"),
                wanted.change("CREATE"),
            ]
            if await self._changed(batch):
                break
        else:
            raise RuntimeError(f"{plain(alias)} kept changing while it was being published")
        await self._agree(wanted, alias)
        return DnsFacts(plain(alias), plain(alias_of), ttl)

    async def publish_address(self, name: str, address: str, ttl: timedelta) -> None:
        """Give `name` this one address, IPv4 or IPv6; return once every server says so."""
        kind = "AAAA" if ip_address(address).version == 6 else "A"
        inside = self._authority.inside(name)
        value = ip_address(address).compressed
        wanted = _RecordSet(_dotted(inside), kind, int(ttl.total_seconds()), (value,))
        if await self._present(wanted) != [wanted]:
            await self._change([wanted.change("UPSERT")])
        await self._agree(wanted, inside)

    async def withdraw(self, name: str, uid: str) -> None:
        alias = self._authority.inside(name)
        for _ in range(_RACES):
            owners = await self._at(_owner(alias), "TXT")
            if any(one.values != (f'"{uid}"',) for one in owners):
                return None
            present = [one for one in await self._at(_dotted(alias)) if one.type == "CNAME"]
            batch = [one.change("DELETE") for one in (*owners, *present)]
            if not batch or await self._changed(batch):
                aim = f"{plain(alias)} is withdrawn"
                return await self._authority.agree(aim, alias, RdataType.CNAME, denies)
        raise RuntimeError(f"{plain(alias)} kept changing while it was being withdrawn")

    async def withdraw_address(self, name: str) -> None:
        """Take the addresses of `name` away; return once every server denies them."""
        inside = self._authority.inside(name)
        for _ in range(_RACES):
            present = [one for one in await self._at(_dotted(inside)) if one.type in ("A", "AAAA")]
            if not present or await self._changed([one.change("DELETE") for one in present]):
                aim = f"{plain(inside)} is withdrawn"
                for rdtype in (RdataType.A, RdataType.AAAA):
                    await self._authority.agree(aim, inside, rdtype, denies)
                return
        raise RuntimeError(f"{plain(inside)} kept changing while it was being withdrawn")

    async def observe(self, name: str) -> DnsFacts | None:
        """Return what every server that answers says; None also when they differ."""
        return await self._authority.observe(name)

    async def resolve(self, name: str) -> str:
        """Return the IPv4 address `name` leads to, asking the authoritative servers only.

        Raise LookupError when it leads nowhere. No resolver's cache is consulted or filled.
        """
        return await self._authority.resolve(name)

    async def _present(self, wanted: _RecordSet) -> list[_RecordSet]:
        """Return what is to give way; raise `rejected` for what does not."""
        present = await self._at(wanted.name)
        others = [one for one in present if one.type != wanted.type]
        if others:
            raise rejected(
                f"{wanted.name.rstrip('.')} cannot become a {wanted.type} record, for it is taken: "
                f"{'; '.join(map(str, others))}: remove that from zone "
                f"{plain(self._authority.zone)} first"
            )
        return present

    async def _owners(self, owner: _RecordSet) -> list[_RecordSet]:
        owners = await self._at(owner.name, owner.type)
        for other in owners:
            if other.values != owner.values:
                raise rejected(
                    f"{owner.name.rstrip('.').removeprefix('_uid.')} was published for incarnation "
                    f"{' '.join(other.values)}, not {' '.join(owner.values)}: delete that "
                    f"namespace first, or remove {owner.name.rstrip('.')}"
                )
        return owners

    async def _at(self, name: str, kind: str = "") -> list[_RecordSet]:
        """Return what Route 53 has at the name: all of it, or of one type."""
        answer = await self._identity.ask(
            self._client.list_resource_record_sets,
            HostedZoneId=self._zone_id,
            StartRecordName=name,
            MaxItems="20",
        )
        return [
            _RecordSet(
                _plainly(found["Name"]),
                found["Type"],
                found.get("TTL", 0),
                tuple(record["Value"] for record in found.get("ResourceRecords", ())),
            )
            for found in answer["ResourceRecordSets"]
            if _plainly(found["Name"]) == name and kind in ("", found["Type"])
        ]

    async def _changed(self, batch: Sequence[dict[str, Any]]) -> bool:
        """Tell whether the batch was carried out; it was not when the zone has changed."""
        try:
            await self._change(batch)
        except Exception as error:
            if code_of(error) == "InvalidChangeBatch":
                return False
            raise
        return True

    async def _change(self, batch: Sequence[dict[str, Any]]) -> None:
        answer = await self._identity.ask(
            self._client.change_resource_record_sets,
            HostedZoneId=self._zone_id,
            ChangeBatch={"Changes": list(batch)},
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

    async def _agree(self, wanted: _RecordSet, name: dns.name.Name) -> None:
        rdtype = RdataType.from_text(wanted.type)
        saying = Saying(True, Rcode.NOERROR, rdtype, wanted.ttl, wanted.values)
        aim = f"{wanted} with TTL {wanted.ttl}"
        await self._authority.agree(aim, name, rdtype, lambda heard: heard == saying)

    @property
    def _client(self) -> Any:
        return self._identity.client("route53")


def _owner(alias: dns.name.Name) -> str:
    """Return the name of the record that notes for which incarnation the alias was published."""
    return f"_uid.{_dotted(alias)}"


def _dotted(name: dns.name.Name) -> str:
    return name.canonicalize().to_text()


def _plainly(name: str) -> str:
    """Return a name as we write it: Route 53 writes some characters as octal escapes."""
    return dns.name.from_text(name).canonicalize().to_text()
