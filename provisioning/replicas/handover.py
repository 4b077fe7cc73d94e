"""Makes another cell the active one without losing anything, or leaves everything as it is."""

import asyncio
import math
from collections.abc import Coroutine
from datetime import timedelta
from typing import TypeVar

from controlplane.errors import failed_precondition
from provisioning.frontend import called
from provisioning.ports import Incarnation
from provisioning.replicas import records
from provisioning.replicas.records import Record
from provisioning.replicas.services import CellService
from provisioning.replicas.system_workflows import Arguments, SystemWorkflow
from provisioning.replicas.types import ReplicationState

_TYPE = "namespace-handover-v2"
_CLOSED_AT_LEAST, _CLOSED_AT_MOST = 5, 30
"""Seconds that the namespace answers nobody: the service's caches have to follow its database
twice meanwhile; and the workflow takes no more. It has no default: with 0 it hangs in handover."""

T = TypeVar("T")


def handover_of(service: CellService, uuid: str, to: str) -> SystemWorkflow:
    """Return the workflow that hands a namespace over from the service's cell to another one."""
    return SystemWorkflow(service, f"controlplane-handover/{uuid}/{to}")


async def hand_over(
    source: CellService,
    active: Incarnation,
    record: Record,
    to: str,
    within: timedelta,
    allowed_lag: timedelta,
) -> None:
    """Return once the source takes `to` for the active one; see `ports.Replication.hand_over`."""
    handover = handover_of(source, record.uuid, to)
    arguments = _arguments(record.name, source.name_of(to), within, allowed_lag)
    try:
        async with asyncio.timeout(within.total_seconds()):
            await handover.begin_or_follow(_TYPE, arguments)
            await handover.ended()
    except TimeoutError:
        failure = f"not done within {within.total_seconds():g} s"
    except BaseException:
        # Whoever cancels us has not thereby taken the handover back.
        await _uninterrupted(settle(source, active))
        raise
    else:
        failure = await handover.failure()
    after = await _uninterrupted(settle(source, active))
    if after is not None and after.active == to:
        return
    raise failed_precondition(
        f"{called(active)} was not handed over to cell {to}, and everything is as before: "
        f"{failure or 'the service says that it did and still is active there'}. See whether {to} "
        f"keeps up with {active.cell}, and try again; or fail over by force"
    )


async def settle(service: CellService, at: Incarnation) -> Record | None:
    """End every handover of the namespace that began in this cell; return what is on record then,
    None when it is not there."""
    record = await records.find_ours(service, at)
    if record is None:
        return None
    for cell in record.cells:
        if cell != service.cell:
            # First: one that goes on could set the namespace to handover after we looked.
            await handover_of(service, record.uuid, cell).call_off()
    record = await records.find_ours(service, at)
    if record is not None and record.state is ReplicationState.HANDOVER:
        await records.end_handover(service, record)
        record = await records.find_ours(service, at)
    return record


async def _uninterrupted(work: Coroutine[None, None, T]) -> T:
    """Finish the work, which ends soon by itself, even if we are cancelled meanwhile."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.shield(asyncio.gather(task, return_exceptions=True))
        raise


def _arguments(
    namespace: str, cluster: str, within: timedelta, allowed_lag: timedelta
) -> Arguments:
    closed = min(max(math.ceil(within.total_seconds()), _CLOSED_AT_LEAST), _CLOSED_AT_MOST)
    return {
        "Namespace": namespace,
        "RemoteCluster": cluster,
        "AllowedLaggingSeconds": math.ceil(allowed_lag.total_seconds()),
        "HandoverTimeoutSeconds": closed,
    }
