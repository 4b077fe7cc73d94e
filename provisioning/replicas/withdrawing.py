"""Takes a replica away: the active cell forgets it, then it is deleted in its own."""

import asyncio

from controlplane.errors import failed_precondition
from provisioning.frontend import called, until
from provisioning.ports import Incarnation
from provisioning.replicas import records
from provisioning.replicas.copying import copy_of
from provisioning.replicas.records import Record
from provisioning.replicas.services import CellService

_TOLD_WITHIN = 20.0  # Seconds: cells pull what is new of namespaces about once a second.
_ARRIVES_WITHIN = 5.0  # Seconds.
_GONE_WITHIN = 60.0  # Seconds: its executions are deleted one by one. Who asks again waits on.


async def forget(source: CellService, active: Incarnation, record: Record, cell: str) -> bool:
    """Let the active cell replicate to `cell` no more; return whether it did until now."""
    await copy_of(source, record.uuid, cell).call_off()
    if cell not in record.cells:
        return False
    if cell == record.active:
        raise failed_precondition(
            f"{called(active)} is the active replica: fail over to another one, then remove it"
        )
    await records.set_cells(source, record, [other for other in record.cells if other != cell])
    return True


async def delete_dropped(
    target: CellService, dropped: Incarnation, uuid: str, *, was_there: bool
) -> None:
    """Delete what a replica leaves in its cell, once that has learnt that it is none any more."""

    async def find() -> Record | None:
        return await records.find_by_id(target, uuid)

    async def is_gone() -> bool:
        return await find() is None

    async def knows() -> bool:
        left = await find()
        return left is None or left.is_deleted or target.cell not in left.cells

    if was_there and await is_gone():
        # It was added just now and has not got there yet: found later, nobody would delete it.
        await asyncio.sleep(_ARRIVES_WITHIN)
    await until(
        knows,
        f"{called(dropped)} has not heard that it is no replica any more: do the two cells "
        "replicate from each other?",
        within=_TOLD_WITHIN,
    )
    left = await find()
    if left is not None and not left.is_deleted:
        await records.delete(target, left)
    await until(is_gone, f"{called(dropped)} was deleted and is still there", within=_GONE_WITHIN)
