"""The fleet as a rollout sees it: projections, releases and calendar, put together."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import LiteralString

import psycopg
from psycopg.rows import TupleRow
from pydantic import ValidationError

from cells.silence import as_known
from cells.types import DRIFTED, CellCondition, CellView
from controlplane.resource import ConditionStatus
from controlplane.store.calendars import Calendars
from controlplane.store.pool import Pool
from controlplane.store.projections import CELL_VIEW
from rollout.calendar import Calendar
from rollout.types import CellFacts, Fleet, Replicas

_CELLS = "SELECT view::text FROM cells WHERE view->>'retired' IS DISTINCT FROM 'true' ORDER BY id"
# With a replica in one cell only there is nobody to be disturbed together with.
# A replica of which nobody has said whether it has everything is not held against its namespace.
_REPLICAS = """
SELECT replicas.namespace,
       coalesce(min(replicas.cell) FILTER (WHERE active), min(replicas.cell)),
       array_agg(DISTINCT replicas.cell ORDER BY replicas.cell),
       coalesce(bool_and(known.view #>> '{conditions,Replicated,status}' = 'True'), true)
FROM namespace_replicas AS replicas LEFT JOIN namespaces AS known ON known.id = replicas.namespace
GROUP BY replicas.namespace HAVING count(DISTINCT replicas.cell) > 1 ORDER BY replicas.namespace
"""
_SERVERS = """
SELECT DISTINCT server_version FROM releases WHERE server_version <> '' ORDER BY server_version
"""
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredInventory:
    """Implements `rollout.ports.Inventory`."""

    pool: Pool

    async def take(self) -> Fleet:
        """Return the fleet as it is known now.

        A calendar that cannot be read is one that lets nothing start; anything else that cannot be
        read is an error.
        """
        seen_at = datetime.now(UTC)
        views = [
            as_known(CELL_VIEW.validate_json(view), seen_at) for (view,) in await self._rows(_CELLS)
        ]
        return Fleet(
            seen_at=seen_at,
            cells=tuple(map(cell_facts, views)),
            replicas=tuple(
                Replicas(
                    namespace, active, tuple(cell for cell in cells if cell != active), caught_up
                )
                for namespace, active, cells, caught_up in await self._rows(_REPLICAS)
            ),
            servers=tuple(version for (version,) in await self._rows(_SERVERS)),
            calendar=await self._calendar(),
        )

    async def _calendar(self) -> Calendar:
        try:
            return (await Calendars(self.pool).read()).calendar
        except (psycopg.Error, ValidationError) as error:
            _logger.warning("the calendar cannot be read, so nothing starts: %s", error)
            return Calendar(source_ok=False)

    async def _rows(self, query: LiteralString) -> Sequence[TupleRow]:
        async with self.pool.connection() as connection:
            return await (await connection.execute(query)).fetchall()


def cell_facts(view: CellView) -> CellFacts:
    """Return what a rollout has to know of a cell."""
    why = _why_not_ready(view)
    return CellFacts(
        id=view.id,
        provider=view.spec.provider.value,
        region=view.spec.region,
        ring=view.spec.ring,
        server_version=view.server_version or view.spec.server_version,
        release=view.release,
        ready=not why,
        why_not_ready=why,
        visit="" if view.visit is None else view.visit.id,
        quarantine="" if view.quarantine is None else view.quarantine.reason,
        namespaces=view.namespaces,
        software=view.software,
        drift=drift_of(view),
    )


def drift_of(view: CellView) -> str:
    """Return how a cell differs from what was brought to it; empty when it does not, or while that
    is not known."""
    in_sync = view.conditions.get(CellCondition.IN_SYNC)
    if in_sync is None or in_sync.status is not ConditionStatus.FALSE or view.visit is not None:
        return ""
    return in_sync.message if in_sync.observed_generation == view.generation else ""


def _why_not_ready(view: CellView) -> str:
    """Return why nobody may rely on the cell; empty when it is known to be ready."""
    ready = view.conditions.get(CellCondition.READY)
    if ready is None:
        return "nobody has looked at it yet"
    # Of one that drifted all parts answer: what a rollout makes of it is its policy's to say.
    if ready.status is not ConditionStatus.TRUE and ready.reason != DRIFTED:
        return f"{ready.reason}: {ready.message}" if ready.message else ready.reason
    if ready.observed_generation != view.generation:
        return (
            f"it was last looked at as generation {ready.observed_generation}, and is at "
            f"{view.generation} now"
        )
    return ""
