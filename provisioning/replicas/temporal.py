"""The replication of namespaces between the cells' Temporal services, through their frontends."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cells.replication.ports import CellLinks
from provisioning.frontend import called, translated
from provisioning.ports import CellDirectory, Incarnation
from provisioning.replicas import (
    comparing,
    copying,
    extending,
    forcing,
    handover,
    records,
    reviving,
    withdrawing,
)
from provisioning.replicas.executions import Executions
from provisioning.replicas.probing import acts_on
from provisioning.replicas.services import CellServices
from provisioning.replicas.types import (
    Comparison,
    CopyProgress,
    ReplicationFacts,
)

_ASKED_IN_A_ROW = 5
"""Each time perhaps another host, of which every one has to have taken notice."""
_ASK_EVERY = 0.05  # Seconds.


class TemporalReplication:
    """Meets `provisioning.replicas.ports.Replication`."""

    def __init__(self, directory: CellDirectory, links: CellLinks) -> None:
        self._services = CellServices(directory, links)

    async def observe(self, at: Incarnation) -> ReplicationFacts | None:
        with translated(at, "look at the replication of"):
            record = await records.find_ours(await self._services.of(at.cell), at)
        if record is None:
            return None
        return ReplicationFacts(
            cell=at.cell,
            active=record.active,
            cells=record.cells,
            state=record.state,
            failover_version=record.failover_version,
        )

    async def extend(self, active: Incarnation, to: str) -> None:
        with translated(active, f"add a replica in cell {to} of"):
            source, target = await self._services.of(active.cell), await self._services.of(to)
            record = await records.require_active(source, active)
            await extending.extend(source, target, active, record)

    async def copy(
        self, active: Incarnation, to: str, told: Callable[[CopyProgress], None]
    ) -> CopyProgress:
        with translated(active, f"replicate to cell {to} what there is of"):
            source = await self._services.of(active.cell)
            record = await records.require_active(source, active)
            return await copying.copy(source, active, record, to, told)

    async def compare(self, source: Incarnation, to: str) -> Comparison:
        with translated(source, f"be compared with cell {to} in what they hold of"):
            ours, theirs = await self._services.of(source.cell), await self._services.of(to)
            # What another incarnation holds is no replica.
            await records.require(ours, source)
            await records.require(theirs, replace(source, cell=to))
            return await comparing.compare(
                Executions(ours, source.namespace),
                Executions(theirs, source.namespace),
                datetime.now(UTC),
            )

    async def hand_over(
        self, active: Incarnation, to: str, within: timedelta, allowed_lag: timedelta
    ) -> None:
        with translated(active, f"hand over to cell {to} the namespace"):
            source = await self._services.of(active.cell)
            record = await records.require(source, active)
            if record.active != to:
                record = await records.require_active(source, active)
                await handover.hand_over(source, active, record, to, within, allowed_lag)
        # The new active one finds out by itself, about a second later, which its clients wait for.
        with contextlib.suppress(Exception):
            await self.force(replace(active, cell=to))

    async def force(self, to: Incarnation) -> None:
        with translated(to, "become the active one of"):
            await forcing.force(self._services, to)

    async def settle(self, at: Incarnation) -> None:
        with translated(at, "end the handover of"):
            await handover.settle(await self._services.of(at.cell), at)

    async def await_active(self, at: Incarnation, active: str, within: timedelta) -> None:
        heard: str | None = None
        agreed = 0
        try:
            async with asyncio.timeout(within.total_seconds()):
                with translated(at, "say where it takes the active one to be of"):
                    service = await self._services.of(at.cell)
                    while agreed < _ASKED_IN_A_ROW:
                        heard = await acts_on(service, at.namespace)
                        agreed = agreed + 1 if heard == active else 0
                        if not agreed:
                            await asyncio.sleep(_ASK_EVERY)
        except TimeoutError:
            raise TimeoutError(
                f"{called(at)} does not act on {active} being the active cell after "
                f"{within.total_seconds():g} s: it takes "
                f"{'none' if heard is None else heard} for that"
            ) from None

    async def revive(self, active: Incarnation) -> int:
        with translated(active, "hand out again what lies in"):
            service = await self._services.of(active.cell)
            record = await records.require_active(service, active)
            return await reviving.revive(Executions(service, active.namespace), record.uuid)

    async def withdraw(self, active: Incarnation, cell: str) -> None:
        with translated(active, f"remove the replica in cell {cell} of"):
            source = await self._services.of(active.cell)
            record = await records.require_active(source, active)
            was_there = await withdrawing.forget(source, active, record, cell)
        dropped = replace(active, cell=cell)
        with translated(dropped, "delete its former replica of"):
            target = await self._services.of(cell)
            await withdrawing.delete_dropped(target, dropped, record.uuid, was_there=was_there)
