"""Makes a cell the active one whether or not any other answers."""

import asyncio
import contextlib
from dataclasses import replace

from controlplane.errors import failed_precondition
from provisioning.frontend import called, until
from provisioning.ports import Incarnation
from provisioning.replicas import handover, records
from provisioning.replicas.records import Record
from provisioning.replicas.services import CellService, CellServices
from provisioning.replicas.types import ReplicationState

_ANSWERS_WITHIN = 2.0  # Seconds.
_HEARD_WITHIN = 20.0  # Seconds: cells pull what is new of namespaces about once a second.


async def force(services: CellServices, to: Incarnation) -> None:
    """Return once the cell has on record that it is the active one, and is in no handover."""
    service = await services.of(to.cell)
    record = await records.require(service, to)
    if to.cell not in record.cells:
        raise failed_precondition(
            f"{called(to)} is no replica any more: the namespace is in "
            f"{', '.join(record.cells)}. Fail over to one of these"
        )
    if record.active == to.cell:
        record = await _up_to_date(services, service, to, record)
    if record.active != to.cell:
        await records.set_active(service, record, to.cell)
    elif record.state is ReplicationState.HANDOVER:
        await handover.settle(service, to)


async def _up_to_date(
    services: CellServices, service: CellService, to: Incarnation, record: Record
) -> Record:
    """Let a cell that takes itself for the active one hear first that another was made it since.

    Otherwise it would believe so later, by that failover's higher version, and nothing that we did
    before would count.
    """
    others = [replace(to, cell=cell) for cell in record.cells if cell != to.cell]
    known = await asyncio.gather(*(_failover_version(services, other) for other in others))
    latest = max(known, default=0)

    async def has_heard() -> bool:
        return (await records.require(service, to)).failover_version >= latest

    await until(
        has_heard,
        f"{called(to)} takes itself for the active one, and has not heard of a later failover: do "
        "its replicas replicate from each other?",
        within=_HEARD_WITHIN,
    )
    return await records.require(service, to)


async def _failover_version(services: CellServices, at: Incarnation) -> int:
    """Return how many failovers a replica knows of, so to speak; 0 when it does not answer."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_ANSWERS_WITHIN):
            record = await records.find_ours(await services.of(at.cell), at)
            return 0 if record is None else record.failover_version
    return 0
