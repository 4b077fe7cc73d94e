"""The cells' Temporal services, as replication speaks to them: in the names each of them knows."""

from collections.abc import Mapping
from dataclasses import dataclass

from temporalio.client import Client

from cells.replication.ports import CellLinks
from controlplane.errors import failed_precondition
from provisioning.ports import CellDirectory

OWN_STATE = {"xdc-redirection": "false"}
"""The header by which a service answers for itself, and asks no other cell's."""

_SYSTEM_NAMESPACE = "temporal-system"


@dataclass(frozen=True)
class CellService:
    """One cell's Temporal service, and what it calls the cells that it knows."""

    cell: str
    client: Client
    """Of the service's own namespace, in which it replicates and hands over by workflows."""
    cells: Mapping[str, str]
    """By what the service calls them, itself included."""

    def name_of(self, cell: str) -> str:
        """Return what the service calls a cell."""
        for name, known in self.cells.items():
            if known == cell:
                return name
        raise failed_precondition(
            f"cells {self.cell} and {cell} are not joined: the Temporal service of {self.cell} "
            f"knows {', '.join(sorted(self.cells.values()))}. Join them first"
        )

    def cell_called(self, name: str) -> str:
        """Return whom the service means; the name itself where that is nobody we know."""
        return self.cells.get(name, name)


class CellServices:
    """The services of all cells, one connection each."""

    def __init__(self, directory: CellDirectory, links: CellLinks) -> None:
        self._directory = directory
        self._links = links
        self._clients: dict[str, Client] = {}

    async def of(self, cell: str) -> CellService:
        """Return the cell's service; only this one cell has to answer."""
        links = await self._links.links(cell)
        cells = {link.name: link.peer for link in links}
        cells[await self._links.cluster_name(cell, cell)] = cell
        return CellService(cell, await self._client(cell), cells)

    async def _client(self, cell: str) -> Client:
        address = (await self._directory.locate(cell)).frontend
        client = self._clients.get(address)
        if client is None:
            client = await Client.connect(
                address, namespace=_SYSTEM_NAMESPACE, lazy=True, identity="controlplane"
            )
            self._clients[address] = client
        return client
