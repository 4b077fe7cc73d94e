"""The fleet as those see it who decide which of its cells are lost."""

from collections.abc import Sequence
from dataclasses import dataclass

from controlplane.store.directory import Directory
from controlplane.store.ledger import LedgerProjections
from controlplane.store.pool import Pool
from controlplane.store.replicas import StoredReplicas
from provisioning.automatic.facts import cell_facts, namespace_facts
from provisioning.automatic.sight import CellFacts, NamespaceFacts

_PEERS = """
SELECT one.cell, array_agg(DISTINCT other.cell)
FROM namespace_replicas AS one JOIN namespace_replicas AS other USING (namespace)
WHERE one.cell <> other.cell GROUP BY one.cell
"""


@dataclass(frozen=True)
class StoredFleetSight:
    """Implements `provisioning.automatic.ports.FleetSight`."""

    pool: Pool
    directory: Directory

    async def cells(self) -> Sequence[CellFacts]:
        """Return every cell, with who disturbs it and who replicates from it."""
        ledger = await LedgerProjections(self.pool).read()
        leases = {lease.cell: lease.holder for lease in ledger.leases}
        peers = await self._peers()
        return [
            cell_facts(view, leases.get(view.id, ""), peers.get(view.id, ()))
            for view in await self.directory.cells()
        ]

    async def namespaces(self, cell: str) -> Sequence[NamespaceFacts]:
        """Return every namespace with a replica in the cell, active or not."""
        found = map(namespace_facts, await StoredReplicas(self.pool).in_cell(cell))
        return [facts for facts in found if facts is not None]

    async def _peers(self) -> dict[str, Sequence[str]]:
        async with self.pool.connection() as connection:
            rows = await (await connection.execute(_PEERS)).fetchall()
        return dict(rows)
