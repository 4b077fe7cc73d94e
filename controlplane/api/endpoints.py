"""The addresses that clients of a namespace dial."""

from dataclasses import dataclass

from controlplane.ids import server_name
from controlplane.store.directory import Directory
from provisioning.types import NamespaceLife, NamespaceView

_SERVING = (NamespaceLife.ACTIVE, NamespaceLife.UPDATING, NamespaceLife.UPDATE_FAILED)


@dataclass(frozen=True)
class Endpoints:
    zone: str
    directory: Directory

    async def mtls(self, view: NamespaceView) -> str | None:
        """Return `host:port` for clients with a certificate, once the namespace was proven."""
        if view.cell is None or view.life not in _SERVING:
            return None
        ingress = (await self.directory.locate(view.cell)).ingress
        return f"{server_name(view.id, self.zone)}:{ingress.rpartition(':')[2]}"
