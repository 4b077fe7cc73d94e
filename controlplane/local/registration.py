"""Making the fleet's cells known to the control plane."""

import asyncio
from collections.abc import Sequence

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from cells.client import CellClient
from cells.types import CellCondition
from controlplane.local.cells import CellLayout
from controlplane.local.temporal_server import ENGINE_NAMESPACE
from controlplane.local.waiting import until
from controlplane.resource import ConditionStatus

_READY_SECONDS = 60.0
_ASK_EVERY_SECONDS = 0.2


async def register_cells(engine: str, cells: Sequence[CellLayout]) -> None:
    """Register every cell, and return once the control plane finds all of them ready."""
    temporal = await Client.connect(
        engine, namespace=ENGINE_NAMESPACE, data_converter=pydantic_data_converter
    )
    client = CellClient(temporal)
    await asyncio.gather(*(_register(client, cell) for cell in cells))


async def _register(client: CellClient, cell: CellLayout) -> None:
    generation = (await client.register(cell.cell.id, cell.spec)).generation
    why = "not observed yet"

    async def ready() -> bool:
        nonlocal why
        condition = (await client.describe(cell.cell.id)).conditions.get(CellCondition.READY)
        if condition is None or condition.observed_generation < generation:
            return False
        why = condition.message or condition.reason
        return condition.status is ConditionStatus.TRUE

    try:
        await until(ready, "ready", _READY_SECONDS, every=_ASK_EVERY_SECONDS)
    except TimeoutError:
        raise TimeoutError(f"cell {cell.cell.id} is not ready: {why}") from None
