"""The addresses that clients of a namespace dial."""

from dataclasses import dataclass

from controlplane.ids import server_name
from controlplane.store.directory import Directory
from provisioning.types import NamespaceLife, NamespaceView

_SERVING = (NamespaceLife.ACTIVE, NamespaceLife.UPDATING, NamespaceLife.UPDATE_FAILED)


@dataclass(frozen=True)
class Addresses:
    """`host:port` by what a client has to show; "" where nobody gets in by it."""

    certificates: str = ""
    api_keys: str = ""


@dataclass(frozen=True)
class Endpoints:
    zone: str
    directory: Directory

    async def address(self, view: NamespaceView) -> str | None:
        """Return `host:port` of the namespace, once it was proven."""
        if view.cell is None or view.life not in _SERVING:
            return None
        ingress = (await self.directory.locate(view.cell)).ingress
        return f"{server_name(view.id, self.zone)}:{ingress.rpartition(':')[2]}"

    async def of(self, view: NamespaceView) -> Addresses:
        """Return the address for each way to authenticate that the namespace takes.

        One ingress at one address takes them all.
        """
        address = await self.address(view) or ""
        by_certificate = bool(view.spec.client_ca) or view.spec.managed_ca
        return Addresses(
            certificates=address if by_certificate else "",
            api_keys=address if view.spec.api_keys else "",
        )
