"""Adds a replica: makes sure of its place, tells the namespace, and waits until it is there."""

import asyncio
import time
from dataclasses import replace

from temporalio.service import RPCError, RPCStatusCode

from controlplane.errors import rejected
from provisioning.frontend import called, until
from provisioning.ports import Incarnation
from provisioning.replicas import records
from provisioning.replicas.probing import acts_on
from provisioning.replicas.records import Record
from provisioning.replicas.services import CellService
from provisioning.replicas.withdrawing import delete_dropped
from provisioning.temporal import UID

_JOINED_WITHIN = 75.0
"""Seconds: a service reads once a minute, unless it is told otherwise, whom it is joined with."""
_THERE_WITHIN = 30.0  # Seconds: cells pull what is new of namespaces about once a second.
_GONE_WITHIN = 60.0  # Seconds, for another namespace of that name that is being deleted.
_REFRESHED = 2.0
"""Seconds: how often each host of a service reads again which namespaces there are."""


async def extend(
    source: CellService, target: CellService, active: Incarnation, record: Record
) -> None:
    """Return once both services act on the target having a replica."""
    source.name_of(target.cell)  # Says so when the two are not joined.
    added = replace(active, cell=target.cell)
    await _await_free_name(target, added, record)
    if target.cell not in record.cells:
        # A removal died before its end. What it left is behind, and nothing would bring it up.
        await delete_dropped(target, added, record.uuid, was_there=False)
    cells = [*record.cells, *({target.cell} - set(record.cells))]
    written = time.monotonic()
    if not await _is_as_told(target, record, cells):
        written = await _told(source, record, cells)
        await until(
            lambda: _is_as_told(target, record, cells),
            f"{called(added)} did not get there from {source.cell}: do the two replicate from each "
            "other?",
            within=_THERE_WITHIN,
        )
    await until(
        lambda: _acts(target, record, source.cell),
        f"{called(added)} is on record there, and not served",
        within=_THERE_WITHIN,
    )
    await _replicates(source, active, record, target.cell, written)


async def _await_free_name(target: CellService, added: Incarnation, record: Record) -> None:
    """Raise when another namespace has the name; one that is on its way out is waited for."""
    other = await records.find(target, record.name)
    if other is None or other.uuid == record.uuid:
        return
    if not other.is_deleted:
        raise rejected(
            f"{called(added)} exists already and is another one: its data has {UID} "
            f"{other.uid or 'unset'}, not {added.uid}. Delete it there, or choose another cell"
        )

    async def is_free() -> bool:
        left = await records.find(target, record.name)
        return left is None or left.uuid != other.uuid

    await until(is_free, f"another {called(added)} is still being deleted", within=_GONE_WITHIN)


async def _told(source: CellService, record: Record, cells: list[str]) -> float:
    """Tell the namespace, and return when that was."""

    async def took() -> bool:
        try:
            await records.set_cells(source, record, cells)
        except RPCError as error:
            # The service has not read yet whom it was joined with.
            if error.status is RPCStatusCode.INVALID_ARGUMENT and "cluster name" in error.message:
                return False
            raise
        return True

    await until(
        took,
        f"cell {source.cell} does not take {cells[-1]} for one it is joined with",
        within=_JOINED_WITHIN,
    )
    return time.monotonic()


async def _is_as_told(target: CellService, record: Record, cells: list[str]) -> bool:
    there = await records.find_by_id(target, record.uuid)
    return (
        there is not None
        and not there.is_deleted
        and there.is_global
        and set(there.cells) == set(cells)
    )


async def _acts(service: CellService, record: Record, active: str) -> bool:
    return await acts_on(service, record.name) == active


async def _replicates(
    source: CellService, active: Incarnation, record: Record, cell: str, written: float
) -> None:
    """Return once the active cell replicates what is new to `cell`.

    What one of its hosts does before it has noticed would reach the replica by a copy alone. A
    service of a later version says what it serves by; of the hosts that we did not happen to ask,
    and of earlier versions, we know only how long they take.
    """
    if await records.tells_what_it_serves(source):

        async def noticed() -> bool:
            served = await records.find(source, record.name, served=True)
            return served is not None and cell in served.cells

        await until(noticed, f"{called(active)} does not act on its replica in {cell}")
    await asyncio.sleep(max(0.0, written + 2 * _REFRESHED - time.monotonic()))
