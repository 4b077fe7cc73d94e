"""The names of cells' ingresses, to which the names of their namespaces point."""

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import Protocol

from cells.types import CellAddresses
from controlplane.ids import ingress_name
from provisioning.types import DnsFacts

TTL = timedelta(seconds=60)
"""An ingress keeps its address for as long as its cell is there."""


class Zone(Protocol):
    """The fleet's zone: addresses and aliases."""

    async def publish(self, name: str, target: str, ttl: timedelta, uid: str) -> DnsFacts: ...
    async def publish_address(self, name: str, address: str, ttl: timedelta) -> None: ...
    async def withdraw(self, name: str, uid: str) -> None: ...
    async def withdraw_address(self, name: str) -> None: ...


@dataclass(frozen=True)
class ZoneCellNames:
    """Meets `cells.life.ports.CellNames`."""

    zone: str
    dns: Zone

    async def publish(self, cell: str, addresses: CellAddresses) -> None:
        """Lead the cell's name to its ingress: AWS gives a load balancer a name, GCP an address."""
        name, host = ingress_name(cell, self.zone), addresses.ingress.rpartition(":")[0].strip("[]")
        if _is_address(host):
            await self.dns.publish_address(name, host, TTL)
        else:
            await self.dns.publish(name, host, TTL, cell)

    async def withdraw(self, cell: str) -> None:
        name = ingress_name(cell, self.zone)
        await self.dns.withdraw(name, cell)
        await self.dns.withdraw_address(name)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
